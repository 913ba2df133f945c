"""Processes that a run starts, and what they cost: processor time and memory from /proc.

Every process is its own session and dies with this program. Only what was started here is ever signalled.
"""

import ctypes
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

TICK = 1 / os.sysconf("SC_CLK_TCK")
# Thread clocks count nanoseconds but forget threads that ended; ticks forget nothing but are coarse. Where the two
# differ by more than the coarseness of a few ticks, a thread has ended and the ticks are right.
AGREEMENT = 4 * TICK
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)


class Died(Exception):
    """A process ended although it should run; the message carries the end of its log."""


@dataclass(frozen=True)
class CpuTime:
    """Seconds of processor time of a process tree since it began, by two clocks."""

    ticks: float
    nanos: float


def elapsed(before, after):
    """Seconds of processor time between two readings, by the finer clock unless it lost a thread."""
    coarse, fine = after.ticks - before.ticks, after.nanos - before.nanos
    return fine if abs(fine - coarse) <= AGREEMENT else coarse


def parse_stat(text):
    """(parent, ticks) of one /proc/PID/stat; ticks include the children it has already waited for."""
    fields = text[text.rindex(")") + 2:].split()
    return int(fields[1]), sum(int(field) for field in fields[11:15])


def parents():
    """Every process's parent, as far as it can be read."""
    found = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                found[int(entry)] = parse_stat(Path("/proc", entry, "stat").read_text("utf-8", "replace"))[0]
            except (OSError, ValueError):
                continue
    return found


def descendants(root, parent_of):
    """`root` and everything below it."""
    tree, grown = {root}, True
    while grown:
        below = {pid for pid, parent in parent_of.items() if parent in tree and pid not in tree}
        grown = bool(below)
        tree |= below
    return sorted(tree)


class Process:
    """One started program, until `stop`."""

    def __init__(self, name, argv, folder, cpus=None, env=None):
        """Starts `argv` in `folder` on `cpus`, its output going to `NAME.log` there. Raises OSError."""
        self.name = name
        self.log = Path(folder, f"{name}.log")

        def before_exec():
            LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
            if cpus is not None:
                os.sched_setaffinity(0, cpus)

        with open(self.log, "ab") as log:
            self.child = subprocess.Popen(
                argv, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, preexec_fn=before_exec,
            )

    def demand_running(self):
        """Raises Died when the program has ended."""
        if self.child.poll() is not None:
            raise Died(f"{self.name} ended with status {self.child.returncode}:\n{self.log_end()}")

    def log_end(self, lines=15):
        """The last lines of its output."""
        try:
            return "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-lines:])
        except OSError:
            return ""

    def tree(self):
        """The process ids of the program and all below it."""
        return descendants(self.child.pid, parents())

    def cpu_time(self):
        """What the whole tree has used so far."""
        ticks, nanos = 0, 0
        for pid in self.tree():
            try:
                ticks += parse_stat(Path(f"/proc/{pid}/stat").read_text("utf-8", "replace"))[1]
                for task in os.listdir(f"/proc/{pid}/task"):
                    nanos += int(Path(f"/proc/{pid}/task/{task}/schedstat").read_text().split()[0])
            except (OSError, ValueError, IndexError):
                continue
        return CpuTime(ticks * TICK, nanos / 1e9)

    def rss_mib(self):
        """Resident memory of the whole tree in MiB; pages that two of its processes share count twice."""
        kib = 0
        for pid in self.tree():
            try:
                for line in Path(f"/proc/{pid}/status").read_text("utf-8", "replace").splitlines():
                    if line.startswith("VmRSS:"):
                        kib += int(line.split()[1])
            except OSError:
                continue
        return kib / 1024

    def stop(self, patience=5.0):
        """Asks it to end, and after `patience` seconds ends it and what is left of its session."""
        if self.child.poll() is None:
            self.child.terminate()
            try:
                self.child.wait(patience)
            except subprocess.TimeoutExpired:
                self.end_session()
                self.child.wait(patience)
        self.end_session()

    def end_session(self):
        """Kills whatever still belongs to the session that this process leads."""
        try:
            os.killpg(self.child.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass


def wait_until(ready, process, seconds=20.0):
    """Polls `ready()` until it is true. Raises Died when the process ends or `seconds` pass."""
    for _ in range(int(seconds / 0.05)):
        process.demand_running()
        if ready():
            return
        time.sleep(0.05)
    raise Died(f"{process.name} was not ready within {seconds:.0f} s:\n{process.log_end()}")
