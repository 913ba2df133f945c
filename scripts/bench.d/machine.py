"""The machine a run happens on: its processor, its limits, which cores are whose, which ports are free.

Starts nothing and installs nothing.
"""

import os
import platform
import random
import resource
import socket
from dataclasses import dataclass

# Below the usual ephemeral range (from 32768), so that the load's own connections never take a chosen port.
PORTS = range(15000, 30000)
# 5,000 held clients cost a proxy at least as many descriptors, and a proxy may reserve two for each.
WANTED_FILES = 20_000


class NoFreePort(Exception):
    """No loopback port in PORTS could be bound."""


@dataclass(frozen=True)
class Pinning:
    """Which cores the proxies and the load (wrk, upstream, this program) run on; None means wherever they like."""

    proxy: frozenset | None
    load: frozenset | None

    def words(self):
        """How the report names it."""
        if self.proxy is None:
            return "none"
        return f"proxies on cpu {listed(self.proxy)}, load and upstream on cpu {listed(self.load)}"


def listed(cpus):
    """A set of cores as `0,2`."""
    return ",".join(str(cpu) for cpu in sorted(cpus))


def parse_cpus(text):
    """`0`, `1,3` or `2-5` as a set of cores. Raises ValueError."""
    cpus = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        cpus.update(range(int(first), int(last or first) + 1))
    return frozenset(cpus)


def choose_pinning(text, allowed=None):
    """The pinning for `auto`, `none` or `PROXY:LOAD`. Raises ValueError when a core is not ours to use."""
    allowed = frozenset(os.sched_getaffinity(0) if allowed is None else allowed)
    if text == "none" or (text == "auto" and len(allowed) < 2):
        return Pinning(None, None)
    if text == "auto":
        first, second = sorted(allowed)[:2]
        return Pinning(frozenset({first}), frozenset({second}))
    proxy_text, colon, load_text = text.partition(":")
    if not colon:
        raise ValueError("expected PROXY:LOAD, for example 0:1")
    proxy, load = parse_cpus(proxy_text), parse_cpus(load_text)
    if not proxy <= allowed or not load <= allowed:
        raise ValueError(f"only these cores may be used here: {listed(allowed)}")
    return Pinning(proxy, load)


def free_ports(count):
    """`count` different loopback ports that could be bound a moment ago."""
    found = []
    for port in random.sample(PORTS, len(PORTS)):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise NoFreePort(f"no {count} free loopback ports between {PORTS.start} and {PORTS.stop}")


def raise_file_limit():
    """Lets this process and what it starts open as many files as the hard limit allows; returns the new limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED_FILES if hard == resource.RLIM_INFINITY else min(hard, WANTED_FILES)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return soft
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted


def cpu_model():
    """The processor's own name, or its architecture where the kernel does not tell."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.lower().startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.machine()


def describe():
    """What the report says about the machine."""
    return {
        "cpu": cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_average": round(os.getloadavg()[0], 2),
    }
