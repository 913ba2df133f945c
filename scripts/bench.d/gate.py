"""What the gate costs: sidekey without gates (`rate.mode = "off"`) beside sidekey with them at work, interleaved on the plain
busy cell; and the instructions of one request each, counted by valgrind, which needs no counters of the processor.
"""

import contextlib
import http.client

import goals
import rounds
from packages import find
from report import goal_lines, shown, table

KINDS = {"without": 'rate = { mode = "off" }', "with": 'rate = { mode = "enforce" }'}
# Both start the program; the second carries so many requests more, which is what is counted.
COUNTED = (300, 2_300)
# Everything takes fifty times as long there.
READY_UNDER_VALGRIND = 120.0


def measure(start, run_rounds):
    """The processor time of both. `start(purpose, **options)` starts a sidekey, `run_rounds(running, cells)` loads several."""
    cell = rounds.Cell("plain", goals.SMALL, goals.BUSY)
    with contextlib.ExitStack() as stack:
        running = {}
        for kind, table_of_rate in KINDS.items():
            running[kind] = start(f"gate-{kind}", rate=table_of_rate)
            stack.callback(running[kind].stop)
        seen = run_rounds(running, [cell])
    return {"kinds": {kind: rounds.summarise(seen[cell][kind]) for kind in KINDS},
            "ratios": rounds.ratios(seen, cell, "with", "without", "cpu_us")}


def instructions(start, tell):
    """{kind: instructions of one request}; None without valgrind, or where it did not count."""
    valgrind = find("valgrind")
    if valgrind is None:
        return None
    counts = {}
    for kind, table_of_rate in KINDS.items():
        tell(f"counting the instructions of {COUNTED[1]} requests {kind} gates")
        totals = [total(start, valgrind, f"{kind}-{requests}", table_of_rate, requests) for requests in COUNTED]
        if None in totals:
            return None
        counts[kind] = (totals[1] - totals[0]) / (COUNTED[1] - COUNTED[0])
    return counts


def total(start, valgrind, purpose, table_of_rate, requests):
    """The instructions of a whole process that carried so many requests, one after the other on one connection."""
    under = (valgrind, "--tool=callgrind", "--callgrind-out-file=counted")
    proxy = start(f"gate-{purpose}", rate=table_of_rate, under=under, ready_seconds=READY_UNDER_VALGRIND)
    try:
        in_turn(proxy.port, requests)
    finally:
        proxy.process.stop(patience=60.0)
    return parse((proxy.process.log.parent / "counted").read_text("utf-8", "replace"))


def in_turn(port, requests):
    """So many requests on one connection. Raises OSError."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        for _ in range(requests):
            connection.request("GET", "/bench/small")
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                raise OSError(f"status {answer.status} while instructions were counted")
    except http.client.HTTPException as error:
        raise OSError(f"broken answer: {error!r}") from error
    finally:
        connection.close()


def parse(output):
    """The count at the end of what callgrind wrote; None when there is none."""
    for line in output.splitlines():
        word, _, count = line.partition(":")
        if word in ("summary", "totals") and count.split():
            return int(count.split()[0])
    return None


def text(figures, counts, verdicts):
    """What was found, for people."""
    faults = [fault for summary in figures["kinds"].values() for fault in summary["faults"]]
    if faults:
        return "gate: not measured: " + "; ".join(faults)
    rows = [[f"{kind} gates", f"{summary['cpu_us']:.2f} ±{summary['cpu_spread'] * 100:.0f}%", shown(summary["rate"], 0),
             "–" if counts is None else shown(counts[kind], 0)] for kind, summary in figures["kinds"].items()]
    return "\n".join([table(["sidekey", "CPU µs/request", "requests/s", "instructions/request"], rows),
                      *goal_lines(verdicts)])
