"""The proxies under measurement: each one's configuration, start and proof that it injects the key.

All of them do the same job on the same two paths, with one thread, no access log, upstream keep-alive, TLS 1.3 with
session reuse, and the upstream's certificate verified against its CA and name:
`/bench/…` goes to the plain upstream, `/benchtls/…` to the one with TLS. Beside it each has a front in TLS and a port
for bytes alone, as far as it can (`fronts` tells what they are for); mitmproxy has nothing but its CONNECT.
"""

import os
import socket
from pathlib import Path

import sidekey
from machine import free_ports
from processes import Process, wait_until
from upstream import NAME, PATHS, fetch, fill, write_private

PREFIXES = {"plain": "/bench", "tls": "/benchtls"}
PEERS = ("nginx", "haproxy", "envoy")
ALL = (*PEERS, "sidekey")
# What only takes part in interception.
INTERCEPTORS = ("mitmproxy",)


class Unproven(Exception):
    """A proxy runs but does not deliver the authenticated answer; it must not be measured."""


class Proxy:
    """One running proxy, until `stop`."""

    def __init__(self, name, port, process, front=None, blind=None, connect=None, ca=None):
        """`front` and `blind` are the ports of the other doors, `connect` is what the front is asked for by CONNECT,
        and `ca` is the file with the CA of the front's certificate.
        """
        self.name = name
        self.port = port
        self.process = process
        self.front, self.blind, self.connect, self.ca = front, blind, connect, ca

    def url(self, upstream_kind, size):
        """Where the load for this cell goes."""
        return f"http://127.0.0.1:{self.port}{PREFIXES[upstream_kind]}/{PATHS[size]}"

    def is_ready(self):
        """Whether it forwards at all."""
        if self.port is None:
            return self.ca.exists() and is_open(self.front)
        try:
            return fetch(self.port, f"{PREFIXES['plain']}/small")[0] == 200
        except OSError:
            return False

    def prove(self, upstream):
        """Raises Unproven unless every path delivers the right bytes, which the upstream gives only for the key."""
        for kind, prefix in PREFIXES.items() if self.port else ():
            for size, path in PATHS.items():
                status, body = fetch(self.port, f"{prefix}/{path}")
                if status != 200 or body != upstream.answers[size].encode():
                    detail = "" if status == 200 else f": {body[:300].decode('utf-8', 'replace')}"
                    raise Unproven(f"{self.name}, {kind} upstream, {size}: status {status}, {len(body)} bytes{detail}")

    def stop(self):
        """Ends it."""
        self.process.stop()


def is_open(port):
    """Whether something listens on a loopback port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def start_nginx(binary, folder, upstream, cpus):
    """nginx as a reverse proxy with `proxy_set_header`: one master, one worker."""
    port, front, blind = free_ports(3)
    # Its module for the fourth layer is a package of its own.
    streams = Path("/usr/lib/nginx/modules/ngx_stream_module.so")
    # Started by root, nginx would hand its worker to a user who cannot read this folder.
    user = "user root;" if os.geteuid() == 0 else ""
    conf = folder / "nginx.conf"
    write_private(conf, fill(
        "nginx.conf", USER=user, FOLDER=folder, PORT=port, FRONT=front, PLAIN=upstream.plain, TLS=upstream.tls,
        KEY=upstream.key, NAME=NAME, STREAMS=f"load_module {streams};" if streams.exists() else "",
        BLIND=fill("nginx-blind.conf", BLIND=blind, FAR=upstream.far) if streams.exists() else "",
    ))
    argv = [binary, "-p", str(folder), "-c", str(conf), "-e", str(folder / "nginx-error.log")]
    return Proxy("nginx", port, Process("nginx", argv, folder, cpus), front, blind if streams.exists() else None,
                 ca=folder / "ca.pem")


def start_haproxy(binary, folder, upstream, cpus):
    """HAProxy with `http-request set-header`: one process, one thread."""
    port, front, blind = free_ports(3)
    conf = folder / "haproxy.cfg"
    write_private(conf, fill("haproxy.cfg", FOLDER=folder, PORT=port, FRONT=front, BLIND=blind, FAR=upstream.far,
                             PLAIN=upstream.plain, TLS=upstream.tls, KEY=upstream.key, NAME=NAME))
    process = Process("haproxy", [binary, "-db", "-f", str(conf)], folder, cpus)
    return Proxy("haproxy", port, process, front, blind, ca=folder / "ca.pem")


def start_envoy(binary, folder, upstream, cpus):
    """Envoy with its credential injector, the key coming from a file by SDS: one worker."""
    port, front, blind = free_ports(3)
    conf = folder / "envoy.yaml"
    write_private(folder / "envoy-secret.yaml", fill("envoy-secret.yaml", KEY=upstream.key))
    write_private(conf, fill("envoy.yaml", FOLDER=folder, PORT=port, FRONT=front, BLIND=blind, FAR=upstream.far,
                             PLAIN=upstream.plain, TLS=upstream.tls, NAME=NAME))
    argv = [binary, "--config-path", str(conf), "--concurrency", "1", "--disable-hot-restart",
            "--log-level", "error"]
    return Proxy("envoy", port, Process("envoy", argv, folder, cpus), front, blind, ca=folder / "ca.pem")


def start_mitmproxy(binary, folder, upstream, cpus):
    """mitmproxy's `mitmdump` with `modify_headers`; it has no path that an ordinary request could go to."""
    (port,) = free_ports(1)
    write_private(folder / "config.yaml", fill("mitmproxy.yaml", FOLDER=folder, PORT=port, KEY=upstream.key))
    process = Process("mitmproxy", [binary, "--set", f"confdir={folder}"], folder, cpus)
    return Proxy("mitmproxy", None, process, port, connect=f"127.0.0.1:{upstream.tls}",
                 ca=folder / "mitmproxy-ca-cert.pem")


def start_sidekey(binary, folder, upstream, cpus, keys=2, rate="", under=()):
    """sidekey with `keys` keys in total, of which two are the benchmark's own. One port for all doors."""
    port, process = sidekey.start(binary, folder, upstream, cpus, keys, rate, under)
    return Proxy("sidekey", port, process, port, port, f"{NAME}:443", folder / "own-ca.pem")


STARTERS = {"nginx": start_nginx, "haproxy": start_haproxy, "envoy": start_envoy, "mitmproxy": start_mitmproxy,
            "sidekey": start_sidekey}


def start(name, binary, folder, upstream, cpus, ready_seconds=20.0, **options):
    """Starts one proxy in its own `folder` and proves it. Raises Died, Unproven, OSError."""
    folder = Path(folder)
    folder.mkdir(parents=True)
    (folder / "ca.pem").write_bytes((upstream.folder / "ca.pem").read_bytes())
    write_private(folder / "front.pem", "".join((upstream.folder / part).read_text("ascii")
                                                for part in ("leaf.pem", "leaf.key")))
    proxy = STARTERS[name](binary, folder, upstream, cpus, **options)
    try:
        wait_until(proxy.is_ready, proxy.process, ready_seconds)
        proxy.prove(upstream)
    except BaseException:
        proxy.stop()
        raise
    return proxy
