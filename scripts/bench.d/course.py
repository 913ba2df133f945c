"""The course of a run: provide, start, prove, measure, report, and stop everything whatever happened."""

import contextlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import choices
import counters
import fronts
import gate
import generator
import goals
import machine
import memory
import packages
import proxies
import report
import rounds
import selftest
import sidekey
from load import NoFigures
from processes import Died
from upstream import Upstream

# A proxy with 100,000 services reads a long file before it is ready.
READY_WITH_MANY_KEYS = 120.0
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
FAILURES = (Died, proxies.Unproven, sidekey.KeyRefused, NoFigures, OSError, subprocess.SubprocessError)
# Memory over many tunnels is looked at after so many equal parts of them.
SOAK_STEPS = 5


def tell(words):
    """Progress, apart from the report."""
    print(f"bench: {words}", file=sys.stderr, flush=True)


def end_once(number, _frame):
    """Ends the run in order; whoever asks twice does not interrupt the cleaning up, which is bounded."""
    for ending in ENDING:
        signal.signal(ending, signal.SIG_IGN)
    raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)


def main(arguments):
    """Runs as the arguments say; returns the exit status."""
    chosen = choices.read(arguments)
    for number in ENDING:
        signal.signal(number, end_once)
    if chosen.self_test:
        return selftest.run()
    began = time.monotonic()
    try:
        status = measure_all(chosen)
    except KeyboardInterrupt:
        tell("stopped; every process that was started has ended")
        return 130
    except (packages.Missing, machine.NoFreePort, *FAILURES) as error:
        tell(f"failed: {error}")
        return 1
    tell(f"took {time.monotonic() - began:.0f} s")
    return status


@contextlib.contextmanager
def work_folder(keep):
    """A temporary folder, removed at the end unless it is to be kept."""
    folder = Path(tempfile.mkdtemp(prefix="sidekey-bench-"))
    try:
        yield folder
    finally:
        if keep:
            tell(f"configurations and logs are in {folder}; they hold this run's throwaway key")
        else:
            shutil.rmtree(folder, ignore_errors=True)


def measure_all(chosen):
    """One whole run; returns the exit status."""
    wanted = [name for name in chosen.proxies if "intercept" in chosen.parts or name not in proxies.INTERCEPTORS]
    wanted = ["sidekey"] if chosen.gate else wanted
    paths, left_out = packages.provide(wanted, chosen.sidekey, tell)
    nginx, wrk = packages.demand("nginx"), packages.demand("wrk")
    packages.demand("openssl")
    machine.raise_file_limit()
    tools = {**paths, "nginx": nginx, "wrk": wrk, "openssl": packages.find("openssl")}
    versions = {name: packages.version(name, path) for name, path in tools.items()}
    parts, mebi = chosen.parts, 1 << 20
    program = None if chosen.gate else intercepting(chosen)
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(work_folder(chosen.keep))
        huge = chosen.download * mebi if program else 0
        far = stack.enter_context(generator.far_end(program, huge, chosen.pin.load)) if program else None
        upstream = Upstream(folder, nginx, chosen.pin.load, huge, far)
        stack.callback(upstream.stop)
        run = Run(chosen, folder, upstream, paths, left_out, wrk)
        if chosen.gate:
            return run.gate()
        seen, instructions, intercepted, soaked = run.load_all(program)
        if not seen and not intercepted and {"path", "intercept"} & set(parts):
            raise Died("no proxy could be measured: " + "; ".join(f"{n}: {why}" for n, why in left_out.items()))
        fresh = run.memory_of_all() if "memory" in parts else {}
        keys = run.number_of_keys() if "sidekey" in paths and "keys" in parts and chosen.filler_keys else None
    facts = {
        "machine": machine.describe(), "versions": versions, "left_out": left_out,
        "measured": [name for name in paths if name not in left_out],
        "settings": {"pinning": chosen.pin.words(), "rounds": chosen.rounds, "seconds": chosen.seconds,
                     "tunnels": chosen.tunnels, "download_mib": chosen.download,
                     "intercept_rounds": chosen.intercept_rounds},
    }
    verdicts = verdicts_on(chosen, seen, fresh, keys, intercepted, soaked)
    outcome = (facts, seen, instructions, fresh, keys, verdicts, intercepted, soaked)
    print(report.text(*outcome), flush=True)
    if chosen.json:
        report.write_json(chosen.json, report.document(*outcome))
    return exit_status(chosen, {**seen, **intercepted}, left_out, verdicts)


def intercepting(chosen):
    """The load generator, when interception is a part of the run."""
    if "intercept" not in chosen.parts:
        return None
    return packages.given("--generator", chosen.generator) if chosen.generator else packages.build_generator(tell)


def verdicts_on(chosen, seen, fresh, keys, intercepted, soaked):
    """The verdicts on the parts of the run."""
    verdicts = []
    if set(chosen.parts) - {"intercept"}:
        counted = keys["rows"][-1]["keys"] if keys and "rows" in keys else None
        verdicts += goals.judge(seen, fresh, counted, keys.get("ratios") if keys else None)
    if "intercept" in chosen.parts:
        verdicts += goals.judge_fronts(intercepted, soaked, chosen.tunnels, proxies.PEERS)
    return verdicts


def exit_status(chosen, seen, left_out, verdicts):
    """1 when a figure does not count, when sidekey was asked for and absent, or when --strict and a goal is missed."""
    invalid = any(seen_once.faults for cell in seen.values() for all_seen in cell.values() for seen_once in all_seen)
    return 1 if invalid or misses(chosen, verdicts) or "sidekey" in left_out else 0


def misses(chosen, verdicts):
    """Whether a goal is missed, and that is to count."""
    return chosen.strict and any(verdict.passed is False for verdict in verdicts)


class Run:
    """What the stages of one run share."""

    def __init__(self, chosen, folder, upstream, paths, left_out, wrk):
        self.chosen, self.folder, self.upstream = chosen, folder, upstream
        self.paths, self.left_out, self.wrk = paths, left_out, wrk

    def start(self, name, purpose, **options):
        """One proxy in a folder of its own. Raises one of FAILURES."""
        return proxies.start(name, self.paths[name], self.folder / f"{purpose}-{name}", self.upstream,
                             self.chosen.pin.proxy, **options)

    def rounds(self, running, cells):
        """The rounds on `cells` as chosen."""
        return rounds.run(running, cells, self.upstream, self.wrk, self.chosen.rounds, self.chosen.seconds,
                          self.chosen.pin.load, tell)

    def load_all(self, program):
        """The matrix, the instruction counts, interception with its memory. A proxy that does not start is left out."""
        with contextlib.ExitStack() as stack:
            running = {}
            for name in self.paths:
                try:
                    running[name] = self.start(name, "load")
                except FAILURES as error:
                    self.left_out[name] = str(error)
                    tell(f"{name} is left out: {error}")
                    continue
                stack.callback(running[name].stop)
            reverse = {name: proxy for name, proxy in running.items() if proxy.port}
            seen, instructions = self.load_paths(reverse) if "path" in self.chosen.parts and reverse else ({}, None)
            return seen, instructions, *(self.load_fronts(running, program) if program else ({}, None))

    def load_paths(self, running):
        """The matrix at the path door, and the instruction counts."""
        chosen = self.chosen
        cells = rounds.matrix(chosen.upstreams, chosen.sizes, chosen.connections)
        minutes = len(cells) * len(running) * chosen.rounds * (chosen.seconds + 0.15) / 60
        tell(f"{len(cells)} cells, {len(running)} proxies, {chosen.rounds} rounds: about {minutes:.1f} minutes")
        self.warm_up(running, cells)
        return self.rounds(running, cells), self.instructions(running)

    def load_fronts(self, running, program):
        """Interception beside fronts, and sidekey's memory over many tunnels."""
        chosen = self.chosen
        seen = fronts.run(running, fronts.ALL, program, chosen.intercept_rounds, chosen.seconds, self.upstream,
                          chosen.pin.load, tell)
        if "sidekey" not in running:
            return seen, None
        try:
            return seen, fronts.soak(running["sidekey"], program, chosen.tunnels, SOAK_STEPS, chosen.pin.load, tell)
        except FAILURES as error:
            tell(f"memory over many tunnels is left out: {error}")
            return seen, None

    def gate(self):
        """Only what the gate costs; returns the exit status."""
        def start(purpose, **options):
            return self.start("sidekey", purpose, **options)
        figures = gate.measure(start, self.rounds)
        counts = None if self.chosen.no_instructions else gate.instructions(start, tell)
        verdicts = goals.judge_gate(figures["ratios"], counts)
        print(gate.text(figures, counts, verdicts), flush=True)
        if self.chosen.json:
            found = {**figures, "instructions": counts, "goals": [asdict(verdict) for verdict in verdicts]}
            report.write_json(self.chosen.json, found)
        return 0 if figures["ratios"] and not misses(self.chosen, verdicts) else 1

    def warm_up(self, running, cells):
        """One uncounted second for each proxy and upstream, so that no pool is filled in a counted one."""
        largest = {}
        for cell in cells:
            if cell.upstream not in largest or cell.connections > largest[cell.upstream].connections:
                largest[cell.upstream] = cell
        for cell in largest.values():
            for proxy in running.values():
                rounds.measure(proxy, cell, self.upstream, self.wrk, 1, self.chosen.pin.load)

    def instructions(self, running):
        """{(proxy, upstream): instructions per request}, or None where they cannot be counted."""
        perf = packages.find("perf")
        if not counters.supported(perf):
            return None
        tell("counting instructions")
        return {
            (name, kind): counters.per_request(perf, proxy, rounds.Cell(kind, goals.SMALL, goals.BUSY), self.wrk,
                                               self.chosen.seconds, self.chosen.pin.load)
            for kind in self.chosen.upstreams for name, proxy in running.items()
        }

    def memory_of_all(self):
        """{proxy: memory figures} of fresh processes; sidekey's with the keys that the goal names."""
        figures = {}
        for name in self.paths:
            if name in self.left_out or name in proxies.INTERCEPTORS:
                continue
            tell(f"memory of {name}")
            options = {"keys": goals.IDLE_KEYS} if name == "sidekey" else {}
            try:
                proxy = self.start(name, "memory", **options)
                try:
                    seen = memory.measure(proxy, goals.HELD_CLIENTS, f"{proxies.PREFIXES['plain']}/small")
                finally:
                    proxy.stop()
            except FAILURES as error:
                tell(f"memory of {name} is left out: {error}")
                continue
            figures[name] = {"keys": options.get("keys", 1), **seen}
        return figures

    def number_of_keys(self):
        """sidekey with few keys beside sidekey with many, interleaved on the plain busy cell."""
        counts = {"few": goals.FEW_KEYS, "many": self.chosen.filler_keys}
        cell = rounds.Cell("plain", goals.SMALL, goals.BUSY)
        tell(f"sidekey with {counts['few']} keys and with {counts['many']:,}")
        try:
            with contextlib.ExitStack() as stack:
                running = {}
                for name, count in counts.items():
                    running[name] = self.start("sidekey", f"keys-{name}", keys=count,
                                               ready_seconds=READY_WITH_MANY_KEYS)
                    stack.callback(running[name].stop)
                seen = self.rounds(running, [cell])
        except FAILURES as error:
            tell(f"the number of keys is left out: {error}")
            return {"failed": str(error)}
        summaries = {name: rounds.summarise(seen[cell][name]) for name in counts}
        faults = [fault for summary in summaries.values() for fault in summary["faults"]]
        if faults:
            return {"failed": "; ".join(faults)}
        rows = [{"keys": counts[name], **summaries[name]} for name in counts]
        return {"rows": rows, "ratios": rounds.ratios(seen, cell, "many", "few", "cpu_us")}
