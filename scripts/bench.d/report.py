"""The report: aligned tables for people, one JSON document for programs. Computes nothing."""

import json
import statistics
from dataclasses import asdict

from rounds import ratio, summarise


def table(headings, rows):
    """Aligned columns: the first to the left, the others to the right."""
    grid = [headings, *rows]
    widths = [max(len(row[column]) for row in grid) for column in range(len(headings))]
    lines = []
    for row in grid:
        cells = [row[0].ljust(widths[0])]
        cells += [text.rjust(width) for text, width in zip(row[1:], widths[1:])]
        lines.append("  ".join(cells).rstrip())
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)


def shown(value, digits=2):
    """A number, or a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}f}"


def machine_lines(facts):
    """Machine, versions, settings."""
    machine, settings = facts["machine"], facts["settings"]
    lines = [
        f"machine   {machine['cpu']}, {machine['cores']} cores, Linux {machine['kernel']}, "
        f"load average {machine['load_average']}",
        "versions  " + ", ".join(f"{name} {version}" for name, version in facts["versions"].items()),
        f"pinning   {settings['pinning']}",
        f"rounds    {settings['rounds']} of {settings['seconds']} s for each proxy and cell, "
        f"{settings['intercept_rounds']} of interception, order turned every round",
        "terms     one thread each, no access log at the peers, upstream keep-alive, TLS 1.3 AES-128-GCM, "
        "everyone verifies the upstream's certificate against its CA and name",
    ]
    lines += [f"left out  {name}: {why}" for name, why in facts["left_out"].items()]
    return lines


def proxy_row(seen, cell, name, peers):
    """One proxy's line in a cell's table."""
    summary = summarise(seen[cell][name])
    if not summary["valid"]:
        return [name, "INVALID", *[""] * (5 + len(peers) + 1)]
    ratios = [shown(None if name == peer else ratio(seen, cell, name, peer, "cpu_us")) for peer in peers]
    latency = None if name == "nginx" else ratio(seen, cell, name, "nginx", "p50_us")
    return [name, f"{summary['cpu_us']:.1f} ±{summary['cpu_spread'] * 100:.0f}%", f"{summary['rate']:.0f}",
            f"{summary['p50_us']:.0f}", f"{summary['p99_us']:.0f}", f"{summary['busy'] * 100:.0f}%",
            f"{summary['rss_mib']:.1f}", *ratios, shown(latency)]


def cell_lines(seen, names):
    """A table for each cell, with every reason why a figure does not count."""
    peers = [name for name in names if name != "sidekey"]
    lines = []
    for cell, by_proxy in seen.items():
        plural = "connection" if cell.connections == 1 else "connections"
        lines += ["", f"{cell.upstream} upstream, {cell.size}, {cell.connections} {plural}"]
        headings = ["proxy", "CPU µs/request", "requests/s", "p50 µs", "p99 µs", "CPU busy", "RSS MiB",
                    *[f"CPU÷{peer}" for peer in peers], "p50÷nginx"]
        lines.append(table(headings, [proxy_row(seen, cell, name, peers) for name in by_proxy]))
        for name, measurements in by_proxy.items():
            lines += [f"  INVALID {name}: {fault}" for fault in summarise(measurements)["faults"]]
    return lines


def front_lines(seen, soaked, tunnels, length_mib):
    """A table for each kind of load of interception, and the memory over many tunnels."""
    if not seen:
        return []
    lines = ["", "interception: the client speaks TLS 1.3, X25519, AES-128-GCM to everyone; P-256 certificates without "
             "a chain; stateless session tickets, as many as everyone gives by default; "
             f"downloads of {length_mib} MiB"]
    for course, by_proxy in seen.items():
        per = "CPU ms/GiB" if course.is_transfer() else "CPU µs/request"
        rate = "GiB/s" if course.is_transfer() else "requests/s"
        peers = [name for name in by_proxy if name != "sidekey"]
        headings = ["proxy", per, rate, "p50 µs", "p99 µs", "CPU busy", "RSS MiB", *[f"CPU÷{peer}" for peer in peers],
                    "p50÷nginx"]
        lines += ["", course.name, table(headings, [front_row(seen, course, name, peers) for name in by_proxy])]
        for name, measurements in by_proxy.items():
            lines += [f"  INVALID {name}: {fault}" for fault in summarise(measurements)["faults"]]
    if soaked:
        lines += ["", f"sidekey's RSS in MiB over {tunnels:,} fresh tunnels, from a warm start: "
                  + ", ".join(shown(mib, 1) for mib in soaked)]
    return lines


def front_row(seen, course, name, peers):
    """One proxy's line in a table of interception: the row of a cell, in the course's own units."""
    row = proxy_row(seen, course, name, peers)
    summary = summarise(seen[course][name])
    if summary["valid"] and course.is_transfer():
        row[1] = f"{summary['cpu_us'] / 1000:.0f} ±{summary['cpu_spread'] * 100:.0f}%"
        row[2] = shown(summary["rate"])
    return row


def instruction_lines(instructions):
    """Instructions per request, or why there are none."""
    if instructions is None:
        return ["", "instructions per request: not supported (perf absent, or no hardware counters on this machine)"]
    rows = [[name, upstream, shown(count, 0)] for (name, upstream), count in instructions.items()]
    return ["", "instructions per request, 0.2KiB, 32 connections", table(["proxy", "upstream", "instructions"], rows)]


def memory_lines(memory):
    """The memory table."""
    if not memory:
        return []
    rows = [[name, f"{seen['keys']:,}", shown(seen["idle"], 1), f"{seen['clients']:,}", shown(seen["held"], 1),
             shown(seen["asked"], 1), f"{seen['answered']:,}", f"{seen['open']:,}"] for name, seen in memory.items()]
    return ["", "memory of a fresh process, RSS MiB (nginx: master and worker, shared pages counted twice)",
            table(["proxy", "keys", "idle", "clients", "clients silent", "after one request each", "answered",
                   "still open"], rows)]


def keys_lines(keys):
    """What the number of keys costs."""
    if not keys:
        return []
    if keys.get("failed"):
        return ["", f"number of keys: not measured: {keys['failed']}"]
    rows = [[f"{row['keys']:,}", shown(row["cpu_us"], 1), shown(row["rate"], 0), shown(row["rss_mib"], 1)]
            for row in keys["rows"]]
    return ["", f"number of keys, plain upstream, 0.2KiB, 32 connections; ratio {shown(statistics.median(keys['ratios']), 3)}",
            table(["keys", "CPU µs/request", "requests/s", "RSS MiB"], rows)]


def goal_lines(verdicts):
    """The table at the end."""
    words = {True: "pass", False: "MISS", None: "–"}
    rows = [[verdict.goal, verdict.limit, verdict.found, words[verdict.passed]] for verdict in verdicts]
    return ["", "goals", table(["goal", "limit", "found", ""], rows)]


def text(facts, seen, instructions, memory, keys, verdicts, intercepted=None, soaked=None):
    """The whole report for people."""
    measured = {name for by_proxy in seen.values() for name in by_proxy}
    lines = [*machine_lines(facts), *cell_lines(seen, [name for name in facts["versions"] if name in measured])]
    if seen:
        lines += instruction_lines(instructions)
    lines += front_lines(intercepted, soaked, facts["settings"]["tunnels"], facts["settings"]["download_mib"])
    lines += [*memory_lines(memory), *keys_lines(keys), *goal_lines(verdicts)]
    return "\n".join(lines)


def document(facts, seen, instructions, memory, keys, verdicts, intercepted=None, soaked=None):
    """The whole report as data; every round's figures are in it."""
    counted = None if instructions is None else [
        {"proxy": name, "upstream": upstream, "per_request": count}
        for (name, upstream), count in instructions.items()
    ]
    return {**facts, "cells": tables(seen), "instructions": counted, "interception": tables(intercepted or {}),
            "tunnels_rss_mib": soaked, "memory": memory, "keys": keys,
            "goals": [asdict(verdict) for verdict in verdicts]}


def tables(seen):
    """Every cell's figures, with each proxy's ratios to the others and its rounds."""
    cells = []
    for cell, by_proxy in seen.items():
        proxies = {}
        for name, measurements in by_proxy.items():
            ratios = {
                other: {figure: ratio(seen, cell, name, other, figure) for figure in ("cpu_us", "rate", "p50_us")}
                for other in by_proxy if other != name
            }
            proxies[name] = {**summarise(measurements), "ratios": ratios,
                             "rounds": [asdict(measured) for measured in measurements]}
        cells.append({**asdict(cell), "proxies": proxies})
    return cells


def write_json(path, data):
    """Writes the document. Raises OSError."""
    with open(path, "w", encoding="utf-8") as file:
        json.dump(data, file, indent=2, ensure_ascii=False)
        file.write("\n")
