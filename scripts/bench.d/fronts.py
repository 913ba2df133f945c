"""Interception beside TLS-terminating fronts: the proxies of `proxies` at their other doors, under `generator`'s load.

nginx, HAProxy and Envoy listen with a static certificate of the upstream's name, inject the key and encrypt again;
mitmproxy and sidekey are asked by CONNECT and make the certificate themselves. Figures of two are only ever compared
within one round. Blind tunnels are bytes alone: the fourth layer at the fronts, an unmatched host at sidekey.
"""

import statistics
import subprocess
from dataclasses import dataclass

import generator
from load import NoFigures
from rounds import Measurement, turned
from upstream import NAME, SIZES

GIB = 1 << 30


@dataclass(frozen=True, order=True)
class Course:
    """One kind of load. `kind` is the generator's plan."""

    name: str
    kind: str
    protocol: str = "h1"
    connections: int = 1
    streams: int = 1
    resume: bool = False

    def is_transfer(self):
        """Whether it is measured per GiB and not per request."""
        return self.kind in ("download", "blind")


KEPT_H1 = Course("kept-alive, HTTP/1.1, 32 connections", "kept", connections=32)
KEPT_H2 = Course("kept-alive, HTTP/2, 4 connections with 8 requests each", "kept", protocol="h2", connections=4,
                 streams=8)
FRESH = Course("fresh connection, full handshake, one request; 8 at once", "fresh", connections=8)
RESUMED = Course("fresh connection, resumed session, one request; 8 at once", "fresh", connections=8, resume=True)
ALONE = Course("fresh connection, full handshake, one request; one at a time", "fresh")
DOWNLOAD = Course("download, HTTP/1.1", "download")
DOWNLOAD_H2 = Course("download, HTTP/2", "download", protocol="h2")
BLIND = Course("download through a blind tunnel", "blind")
ALL = (KEPT_H1, KEPT_H2, FRESH, RESUMED, ALONE, DOWNLOAD, DOWNLOAD_H2, BLIND)


def argument(proxy, course, seconds, length, count=None):
    """The generator's plan for one run."""
    if course.kind == "blind":
        return generator.plan("blind", address=f"127.0.0.1:{proxy.blind}", bytes=length)
    transfer = course.kind == "download"
    door = {"address": f"127.0.0.1:{proxy.front}", "connect": proxy.connect, "name": NAME, "ca": str(proxy.ca),
            "protocol": course.protocol, "path": "/huge" if transfer else "/small",
            "answer": length if transfer else SIZES["0.2KiB"], "resume": course.resume}
    if transfer:
        return generator.plan("download", door=door)
    if course.kind == "kept":
        return generator.plan("kept", door=door, connections=course.connections, streams=course.streams,
                              seconds=seconds)
    return generator.plan("fresh", door=door, at_once=course.connections, count=count, seconds=seconds)


def measure(proxy, course, program, seconds, length, cpus):
    """One run. Its failure to run is a fault of the measurement, not an end of the whole."""
    try:
        asked = argument(proxy, course, seconds, length)
        seen, resumed, cpu = generator.run(program, asked, cpus, proxy.process)
        proxy.process.demand_running()
    except (NoFigures, OSError, ValueError, subprocess.TimeoutExpired) as error:
        return Measurement(0, 0, 0, 0, 0, 0, 0, 0, (str(error),))
    faults = [f"{count} × {error}" for error, count in seen.errors.items()]
    if not seen.requests:
        faults.append("no answer at all")
    # Whoever begins at the same moment as others finds no session yet.
    wanted = range(seen.requests - course.connections, seen.requests + 1) if course.resume else (0,)
    if course.kind == "fresh" and resumed not in wanted:
        faults.append(f"{resumed} of {seen.requests} sessions were resumed")
    count = seen.bytes / GIB if course.is_transfer() else seen.requests
    return Measurement(
        requests=seen.requests, cpu_us=cpu / max(count, 1e-9) * 1e6, rate=count / seen.seconds, p50_us=seen.p50_us,
        p99_us=seen.p99_us, busy=cpu / seen.seconds, rss_mib=proxy.process.rss_mib(), upstream_connections=0,
        faults=tuple(faults),
    )


def takes_part(proxy, course):
    """Whether the proxy has a door for it. mitmproxy speaks HTTP/2 only where its upstream does."""
    if course.protocol == "h2" and proxy.name == "mitmproxy":
        return False
    return (proxy.blind if course.kind == "blind" else proxy.front) is not None


def run(running, courses, program, rounds, seconds, upstream, cpus, tell):
    """{course: {proxy: [one Measurement a round]}} for all `running` proxies, by name."""
    seen = {}
    for course in courses:
        names = [name for name, proxy in running.items() if takes_part(proxy, course)]
        if names:
            seen[course] = {name: [] for name in names}
    for number in range(rounds):
        for index, (course, by_proxy) in enumerate(seen.items()):
            tell(f"round {number + 1}/{rounds}: {course.name}")
            for name in turned(list(by_proxy), number + index):
                proxy = running[name]
                by_proxy[name].append(measure(proxy, course, program, seconds, upstream.huge, cpus))
    return seen


def best(seen, course, peers):
    """The peer with the least processor time on `course`; None when none was measured."""
    def cost(name):
        return statistics.median(one.cpu_us for one in seen[course][name])

    by_proxy = seen.get(course, {})
    good = [name for name in peers if name in by_proxy and not any(one.faults for one in by_proxy[name])]
    return min(good, key=cost, default=None)


def soak(proxy, program, count, steps, cpus, tell):
    """The proxy's memory in MiB before and after each of `steps` equal parts of `count` tunnels.

    Raises NoFigures, OSError.
    """
    found = []
    for step in range(steps + 1):
        # The first part only warms up: pools, caches and the allocator have their size afterwards.
        part = count // steps if step else max(count // (steps * 2), 500)
        if step:
            tell(f"{count:,} tunnels: part {step} of {steps}")
        seen, _, _ = generator.run(program, argument(proxy, FRESH, generator.PATIENCE, 0, part), cpus, proxy.process)
        if seen.errors or seen.requests < part:
            raise NoFigures(f"{seen.requests} of {part} tunnels: {seen.errors}")
        found.append(proxy.process.rss_mib())
    return found
