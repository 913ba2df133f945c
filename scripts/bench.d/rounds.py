"""The rounds: every proxy in turn on every cell of the matrix, in an order that turns, and what the rounds amount to.

A cell is one upstream kind, one number of connections, one answer size. Figures of two proxies are only ever compared
within one round, moments apart; what is reported is the median over the rounds.
"""

import statistics
import subprocess
from dataclasses import dataclass

import load
from processes import elapsed
from upstream import SIZES


@dataclass(frozen=True, order=True)
class Cell:
    """One field of the matrix."""

    upstream: str
    size: str
    connections: int


@dataclass(frozen=True)
class Measurement:
    """One proxy on one cell in one round. With `faults` it is shown and never counted."""

    requests: int
    cpu_us: float
    rate: float
    p50_us: float
    p99_us: float
    busy: float
    rss_mib: float
    upstream_connections: int
    faults: tuple = ()


def matrix(upstreams, sizes, connections):
    """All cells, in the order in which they are shown."""
    return [Cell(kind, size, count) for kind in upstreams for size in sizes for count in connections]


def turned(names, by):
    """`names` begun `by` places later, so that nobody always comes first or after the same one."""
    by %= len(names)
    return names[by:] + names[:by]


def measure(proxy, cell, upstream, wrk, seconds, cpus):
    """One run. Its failure to run is a fault of the measurement, not an end of the whole."""
    try:
        served_before, cpu_before = upstream.served(), proxy.process.cpu_time()
        seen = load.run(wrk, proxy.url(cell.upstream, cell.size), cell.connections, seconds, cpus)
        cpu_after, served_after = proxy.process.cpu_time(), upstream.served()
        proxy.process.demand_running()
    except (load.NoFigures, OSError, ValueError, subprocess.TimeoutExpired) as error:
        return Measurement(0, 0, 0, 0, 0, 0, 0, 0, (str(error),))
    cpu = elapsed(cpu_before, cpu_after)
    opened = served_after.connections - served_before.connections - 1
    faults = seen.faults(SIZES[cell.size])
    # Whoever reconnects for more than one request in a hundred is not using upstream keep-alive.
    if opened > cell.connections * 2 + seen.requests / 100:
        faults.append(f"{opened} upstream connections for {seen.requests} requests: keep-alive is not in use")
    count = max(seen.requests, 1)
    return Measurement(
        requests=seen.requests, cpu_us=cpu / count * 1e6, rate=seen.requests / seen.seconds, p50_us=seen.p50_us,
        p99_us=seen.p99_us, busy=cpu / seen.seconds, rss_mib=proxy.process.rss_mib(), upstream_connections=opened,
        faults=tuple(faults),
    )


def run(running, cells, upstream, wrk, rounds, seconds, cpus, tell):
    """{cell: {proxy: [one Measurement a round]}} for all `running` proxies, by name."""
    names = list(running)
    seen = {cell: {name: [] for name in names} for cell in cells}
    for number in range(rounds):
        for index, cell in enumerate(cells):
            tell(f"round {number + 1}/{rounds}: {cell.upstream} upstream, {cell.size}, {cell.connections} connections")
            for name in turned(names, number + index):
                seen[cell][name].append(measure(running[name], cell, upstream, wrk, seconds, cpus))
    return seen


FIGURES = ("cpu_us", "rate", "p50_us", "p99_us", "busy", "rss_mib")


def summarise(measurements):
    """The medians of what counts, the spread of the processor time, and every fault."""
    good = [seen for seen in measurements if not seen.faults]
    faults = sorted({fault for seen in measurements for fault in seen.faults})
    if faults or not good:
        return {"valid": False, "faults": faults or ["not measured"]}
    medians = {figure: statistics.median(getattr(seen, figure) for seen in good) for figure in FIGURES}
    costs = [seen.cpu_us for seen in good]
    spread = (max(costs) - min(costs)) / 2 / medians["cpu_us"] if medians["cpu_us"] else 0.0
    return {"valid": True, "faults": [], **medians, "cpu_spread": spread,
            "requests": sum(seen.requests for seen in good),
            "upstream_connections": max(seen.upstream_connections for seen in good)}


def ratios(seen, cell, one, other, figure):
    """`one`'s figure divided by `other`'s in each round; empty when either is absent or invalid."""
    by_proxy = seen.get(cell, {})
    if one not in by_proxy or other not in by_proxy:
        return []
    if any(measured.faults for name in (one, other) for measured in by_proxy[name]):
        return []
    pairs = [(getattr(a, figure), getattr(b, figure)) for a, b in zip(by_proxy[one], by_proxy[other])]
    return [a / b for a, b in pairs if b]


def ratio(seen, cell, one, other, figure):
    """The median of `ratios`; None when there are none."""
    found = ratios(seen, cell, one, other, figure)
    return statistics.median(found) if found else None


def middle_half(values):
    """The first and third quartile: between them lies the middle half of the values. Needs at least two."""
    first, _, third = statistics.quantiles(values, n=4, method="inclusive")
    return first, third
