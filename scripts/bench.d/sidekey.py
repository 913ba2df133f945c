"""sidekey under measurement: its proxy.toml, its keys, its start.

Knows sidekey only from outside: the configuration file and the command line.
"""

import os
import subprocess
from pathlib import Path

from machine import free_ports
from processes import Process
from upstream import NAME, fill, write_private

OWN_SERVICES = ("bench", "benchtls")
# Sealing one key is one run of the command line. Above this many, the keys are declared in proxy.toml instead.
MOST_SEALED = 1_000


class KeyRefused(Exception):
    """`sidekey key add` failed; the message carries what it said."""


def filler_service(number):
    """The name of the n-th service that is there only to be looked past."""
    return f"filler-{number:06d}"


def filler_tables(count):
    """`count` further services for proxy.toml, none of which is ever called."""
    return "".join(
        f'\n[service.{filler_service(number)}]\nbase_url = "https://{filler_service(number)}.test/v1"\n'
        'auth = { location = "header", name = "X-API-Key" }\n'
        for number in range(count)
    )


def seal_key(binary, config, service, value):
    """Adds one key to the store through the command line. Raises KeyRefused, OSError."""
    done = subprocess.run(
        [binary, "--config", str(config), "key", "add", service, "--name", service, "--stdin"],
        cwd=config.parent, input=value, text=True, capture_output=True, timeout=60, check=False,
    )
    if done.returncode != 0:
        raise KeyRefused(f"key add {service}: status {done.returncode}: {done.stderr.strip()[-600:]}")


def add_keys_in_bulk(binary, config, services, value):
    """Gives each of `services` the key `value`: sealed in the store up to MOST_SEALED, else declared in proxy.toml.

    Raises KeyRefused, OSError.
    """
    if len(services) <= MOST_SEALED:
        for service in services:
            seal_key(binary, config, service, value)
        return
    file = config.parent / "declared.key"
    write_private(file, value)
    with open(config, "a", encoding="utf-8") as toml:
        for service in services:
            toml.write(f'\n[credential.{service}]\nservice = "{service}"\nfile = "{file}"\n')


def start(binary, folder, upstream, cpus, keys, rate="", under=()):
    """(port, process) of `sidekey serve` with `keys` keys in total, and `rate` in the table of the plain service; run by the
    program and arguments `under`. Raises KeyRefused, OSError."""
    port, console = free_ports(2)
    folder = Path(folder)
    config = folder / "proxy.toml"
    fillers = max(0, keys - len(OWN_SERVICES))
    text = fill("sidekey.toml", FOLDER=folder, PORT=port, CONSOLE=console, PLAIN=upstream.plain, TLS=upstream.tls,
                NAME=NAME, RATE=rate)
    write_private(config, text + filler_tables(fillers))
    (folder / "data").mkdir(mode=0o700)
    for service in OWN_SERVICES:
        seal_key(binary, config, service, upstream.key)
    add_keys_in_bulk(binary, config, [filler_service(number) for number in range(fillers)], "filler-value")
    with open(folder / "own-ca.pem", "wb") as file:
        subprocess.run([binary, "--config", str(config), "ca", "export"], cwd=folder, stdout=file, timeout=60,
                       check=True)
    env = {**os.environ, "HTTPS_PROXY": f"http://127.0.0.1:{upstream.far}"}
    return port, Process("sidekey", [*under, binary, "--config", str(config), "serve"], folder, cpus, env)
