"""The goals, and whether this run reached them. A goal that could not be measured is neither passed nor missed."""

import statistics
from dataclasses import dataclass

import fronts
from rounds import Cell, middle_half, ratios

SMALL = "0.2KiB"
BUSY = 32
IDLE_KEYS = 1_000
HELD_CLIENTS = 5_000
FEW_KEYS = 10
MANY_KEYS = 100_000
TUNNELS = 100_000
# How much larger memory may be after TUNNELS than before, in MiB: what the allocator rounds to, and no leak.
GROWTH = 3
# How far what gates cost may be from nothing, as a part of the whole.
GATES = 0.03


@dataclass(frozen=True)
class Verdict:
    """One goal: what was asked, what was found; `passed` is None when it was not measured."""

    goal: str
    limit: str
    found: str
    passed: bool | None


def times_at_most(goal, found, limit):
    """A verdict on the median of the ratios in `found`; where their middle half lies tells how far to trust it."""
    bound = f"≤ {limit:.2f} ×"
    if not found:
        return Verdict(goal, bound, "not measured", None)
    value = statistics.median(found)
    return Verdict(goal, bound, f"{value:.2f} ×{half(found, lambda one: f'{one:.2f}')}", value <= limit)


def mib_at_most(goal, value, limit):
    """A verdict on an amount of memory."""
    if value is None:
        return Verdict(goal, f"≤ {limit} MiB", "not measured", None)
    return Verdict(goal, f"≤ {limit} MiB", f"{value:.1f} MiB", value <= limit)


def half(found, show):
    """The middle half of several values in brackets; nothing for a single one."""
    return f" ({' to '.join(show(one) for one in middle_half(found))})" if len(found) > 1 else ""


def keys_verdict(found, keys):
    """A verdict on the change of cost from FEW_KEYS to `keys`, from the ratios in `found`."""
    goal = f"CPU per request, {keys or MANY_KEYS:,} keys against {FEW_KEYS}"
    if not found or not keys:
        return Verdict(goal, "within ±5 %", "not measured", None)
    change = statistics.median(found)
    shown = f"{(change - 1) * 100:+.1f} %{half(found, lambda one: f'{(one - 1) * 100:+.1f}')}"
    # With fewer keys than the goal names, the figure is shown and proves nothing.
    return Verdict(goal, "within ±5 %", shown, abs(change - 1) <= 0.05 if keys >= MANY_KEYS else None)


def judge_fronts(seen, soaked, tunnels, peers, who="sidekey"):
    """The verdicts on interception, from its rounds and the memory before and after so many tunnels."""
    def times(course, figure, peer):
        return ratios(seen, course, who, peer, figure) if peer else []

    def least(goal, course):
        peer = fronts.best(seen, course, peers)
        return times_at_most(f"{goal} ÷ best peer{f' ({peer})' if peer else ''}", times(course, "cpu_us", peer), 1.15)

    growth = max(soaked[1:]) - soaked[0] if soaked else None
    return [
        times_at_most("CPU per intercepted request, HTTP/1.1 ÷ nginx", times(fronts.KEPT_H1, "cpu_us", "nginx"), 1.15),
        times_at_most("CPU per intercepted request, HTTP/2 ÷ nginx", times(fronts.KEPT_H2, "cpu_us", "nginx"), 1.15),
        times_at_most("CPU per fresh tunnel ÷ nginx's fresh handshake", times(fronts.FRESH, "cpu_us", "nginx"), 1.1),
        times_at_most("CPU per tunnel with a resumed session ÷ its own full handshake", resumed(seen, who), 0.85),
        times_at_most("p50 of a fresh tunnel, one at a time ÷ nginx", times(fronts.ALONE, "p50_us", "nginx"), 1.5),
        least("CPU per GiB, interception, HTTP/1.1", fronts.DOWNLOAD),
        least("CPU per GiB, interception, HTTP/2", fronts.DOWNLOAD_H2),
        least("CPU per GiB, blind tunnel", fronts.BLIND),
        growth_verdict(growth, tunnels),
    ]


def resumed(seen, who):
    """What a resumed session costs, as a part of a full handshake in the same round."""
    pairs = [seen.get(course, {}).get(who, []) for course in (fronts.RESUMED, fronts.FRESH)]
    return [a.cpu_us / b.cpu_us for a, b in zip(*pairs) if b.cpu_us and not a.faults and not b.faults]


def growth_verdict(growth, tunnels):
    """A verdict on how much memory grew over `tunnels`; fewer than the goal names are shown and prove nothing."""
    goal = f"RSS growth over {tunnels or TUNNELS:,} tunnels"
    if growth is None:
        return Verdict(goal, f"≤ {GROWTH} MiB", "not measured", None)
    return Verdict(goal, f"≤ {GROWTH} MiB", f"{growth:+.1f} MiB", growth <= GROWTH if tunnels >= TUNNELS else None)


def judge_gate(cpu_ratios, counts):
    """The verdicts on gates at work beside none: the ratios of processor time, the instructions of both or None."""
    instructions = [counts["with"] / counts["without"]] if counts else []
    return [about_one("CPU per request, gates at work ÷ off", cpu_ratios, GATES),
            about_one("instructions per request, gates at work ÷ off", instructions, GATES)]


def about_one(goal, found, part):
    """A verdict on the median of the ratios in `found`, which is to be 1, or off by so much."""
    bound = f"{1 - part:.2f} to {1 + part:.2f} ×"
    if not found:
        return Verdict(goal, bound, "not measured", None)
    value = statistics.median(found)
    return Verdict(goal, bound, f"{value:.3f} ×{half(found, lambda one: f'{one:.3f}')}", abs(value - 1) <= part)


def judge(seen, memory, many_keys, keys_ratios, who="sidekey"):
    """All verdicts on `who`, from the rounds, the memory figures and the ratios of the two key counts."""
    def times(upstream, connections, figure, peer):
        return ratios(seen, Cell(upstream, SMALL, connections), who, peer, figure)

    held = memory.get(who, {})
    # Memory is only cheap to save for a proxy that drops its clients or refuses them.
    served = all(held.get(count) == HELD_CLIENTS for count in ("clients", "answered", "open"))
    full = held if served else {}
    return [
        times_at_most("CPU per request, TLS upstream, 32 connections ÷ nginx",
                      times("tls", BUSY, "cpu_us", "nginx"), 1.0),
        times_at_most("CPU per request, plain upstream, 32 connections ÷ nginx",
                      times("plain", BUSY, "cpu_us", "nginx"), 1.15),
        times_at_most("CPU per request, TLS upstream, 32 connections ÷ Envoy",
                      times("tls", BUSY, "cpu_us", "envoy"), 0.45),
        times_at_most("CPU per request, plain upstream, 32 connections ÷ Envoy",
                      times("plain", BUSY, "cpu_us", "envoy"), 0.45),
        times_at_most("p50, one connection, plain upstream ÷ nginx",
                      times("plain", 1, "p50_us", "nginx"), 1.15),
        times_at_most("p50, one connection, TLS upstream ÷ nginx",
                      times("tls", 1, "p50_us", "nginx"), 1.15),
        mib_at_most(f"RSS idle, {IDLE_KEYS:,} keys", held.get("idle"), 30),
        mib_at_most(f"RSS, {HELD_CLIENTS:,} silent clients", full.get("held"), 100),
        mib_at_most(f"RSS, {HELD_CLIENTS:,} clients after one request each", full.get("asked"), 100),
        keys_verdict(keys_ratios, many_keys),
    ]
