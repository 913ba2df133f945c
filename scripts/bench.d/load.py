"""The load: one wrk run, read back as numbers, and the judgement whether it counts."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

SCRIPT = Path(__file__).resolve().parent / "templates" / "wrk.lua"
MARK = "sidekey-bench "


class NoFigures(Exception):
    """wrk did not print what its script prints at the end."""


@dataclass(frozen=True)
class Load:
    """What wrk counted in one run; times in microseconds."""

    requests: int
    seconds: float
    bytes: int
    p50_us: float
    p99_us: float
    mean_us: float
    errors: dict

    def faults(self, answer_size):
        """Why this run must not be counted: anything but complete 200 answers. Empty when it may."""
        found = [f"{count} {kind} errors" for kind, count in self.errors.items() if count and kind != "status"]
        if self.errors.get("status"):
            found.append(f"{self.errors['status']} answers with an error status")
        if self.requests == 0:
            found.append("no answer at all")
        elif self.bytes / self.requests < answer_size:
            found.append(f"answers of {self.bytes / self.requests:.0f} bytes instead of {answer_size}")
        return found


def parse(output):
    """wrk's output as a Load. Raises NoFigures."""
    for line in output.splitlines():
        if line.startswith(MARK):
            try:
                seen = json.loads(line[len(MARK):])
                return Load(requests=seen["requests"], seconds=seen["micros"] / 1e6, bytes=seen["bytes"],
                            p50_us=seen["p50_us"], p99_us=seen["p99_us"], mean_us=seen["mean_us"],
                            errors=dict(seen["errors"]))
            except (ValueError, KeyError, TypeError) as error:
                raise NoFigures(f"wrk's last line is not what it should be: {line}") from error
    raise NoFigures(f"wrk printed no figures:\n{output[-600:]}")


def run(wrk, url, connections, seconds, cpus):
    """Loads `url` for whole `seconds` over `connections` keep-alive connections, from one thread.

    Raises NoFigures, OSError, subprocess.TimeoutExpired.
    """
    def before_exec():
        if cpus is not None:
            os.sched_setaffinity(0, cpus)

    done = subprocess.run(
        [wrk, "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s", str(SCRIPT), url],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds + 30, check=False,
        preexec_fn=before_exec,
    )
    return parse(done.stdout + done.stderr)
