"""The proxies under measurement: each one's configuration, start and proof that it injects the key.

All of them do the same job on the same two paths, with one thread, no access log, upstream keep-alive, TLS 1.3 with
session reuse, and the upstream's certificate verified against its CA and name:
`/bench/…` goes to the plain upstream, `/benchtls/…` to the one with TLS.
"""

import os
from pathlib import Path

import sidekey
from machine import free_ports
from processes import Process, wait_until
from upstream import NAME, PATHS, fetch, fill, write_private

PREFIXES = {"plain": "/bench", "tls": "/benchtls"}
PEERS = ("nginx", "haproxy", "envoy")
ALL = (*PEERS, "sidekey")


class Unproven(Exception):
    """A proxy runs but does not deliver the authenticated answer; it must not be measured."""


class Proxy:
    """One running proxy, until `stop`."""

    def __init__(self, name, port, process):
        self.name = name
        self.port = port
        self.process = process

    def url(self, upstream_kind, size):
        """Where the load for this cell goes."""
        return f"http://127.0.0.1:{self.port}{PREFIXES[upstream_kind]}/{PATHS[size]}"

    def is_ready(self):
        """Whether it forwards at all."""
        try:
            return fetch(self.port, f"{PREFIXES['plain']}/small")[0] == 200
        except OSError:
            return False

    def prove(self, upstream):
        """Raises Unproven unless every path delivers the right bytes, which the upstream gives only for the key."""
        for kind, prefix in PREFIXES.items():
            for size, path in PATHS.items():
                status, body = fetch(self.port, f"{prefix}/{path}")
                if status != 200 or body != upstream.answers[size].encode():
                    detail = "" if status == 200 else f": {body[:300].decode('utf-8', 'replace')}"
                    raise Unproven(f"{self.name}, {kind} upstream, {size}: status {status}, {len(body)} bytes{detail}")

    def stop(self):
        """Ends it."""
        self.process.stop()


def start_nginx(binary, folder, upstream, cpus):
    """nginx as a reverse proxy with `proxy_set_header`: one master, one worker."""
    (port,) = free_ports(1)
    # Started by root, nginx would hand its worker to a user who cannot read this folder.
    user = "user root;" if os.geteuid() == 0 else ""
    conf = folder / "nginx.conf"
    write_private(conf, fill("nginx.conf", USER=user, FOLDER=folder, PORT=port, PLAIN=upstream.plain,
                             TLS=upstream.tls, KEY=upstream.key, NAME=NAME))
    argv = [binary, "-p", str(folder), "-c", str(conf), "-e", str(folder / "nginx-error.log")]
    return Proxy("nginx", port, Process("nginx", argv, folder, cpus))


def start_haproxy(binary, folder, upstream, cpus):
    """HAProxy with `http-request set-header`: one process, one thread."""
    (port,) = free_ports(1)
    conf = folder / "haproxy.cfg"
    write_private(conf, fill("haproxy.cfg", FOLDER=folder, PORT=port, PLAIN=upstream.plain, TLS=upstream.tls,
                             KEY=upstream.key, NAME=NAME))
    return Proxy("haproxy", port, Process("haproxy", [binary, "-db", "-f", str(conf)], folder, cpus))


def start_envoy(binary, folder, upstream, cpus):
    """Envoy with its credential injector, the key coming from a file by SDS: one worker."""
    (port,) = free_ports(1)
    conf = folder / "envoy.yaml"
    write_private(folder / "envoy-secret.yaml", fill("envoy-secret.yaml", KEY=upstream.key))
    write_private(conf, fill("envoy.yaml", FOLDER=folder, PORT=port, PLAIN=upstream.plain, TLS=upstream.tls,
                             NAME=NAME))
    argv = [binary, "--config-path", str(conf), "--concurrency", "1", "--disable-hot-restart",
            "--log-level", "error"]
    return Proxy("envoy", port, Process("envoy", argv, folder, cpus))


def start_sidekey(binary, folder, upstream, cpus, keys=2, rate="", under=()):
    """sidekey's path door with `keys` keys in total, of which two are the benchmark's own."""
    port, process = sidekey.start(binary, folder, upstream, cpus, keys, rate, under)
    return Proxy("sidekey", port, process)


STARTERS = {"nginx": start_nginx, "haproxy": start_haproxy, "envoy": start_envoy, "sidekey": start_sidekey}


def start(name, binary, folder, upstream, cpus, ready_seconds=20.0, **options):
    """Starts one proxy in its own `folder` and proves it. Raises Died, Unproven, OSError."""
    folder = Path(folder)
    folder.mkdir(parents=True)
    (folder / "ca.pem").write_bytes((upstream.folder / "ca.pem").read_bytes())
    proxy = STARTERS[name](binary, folder, upstream, cpus, **options)
    try:
        wait_until(proxy.is_ready, proxy.process, ready_seconds)
        proxy.prove(upstream)
    except BaseException:
        proxy.stop()
        raise
    return proxy
