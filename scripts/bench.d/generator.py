"""The load that wrk cannot make (CONNECT, TLS with a CA of our own, HTTP/2), by the small program in `generator/`.

One definition of the client for every proxy. Whatever it prepares is done before the clocks of the proxies are read.
"""

import json
import os
import subprocess
from contextlib import contextmanager

from load import Load, NoFigures
from processes import LIBC, PR_SET_PDEATHSIG, elapsed

# A gibibyte through the slowest peer, or a fifth of all tunnels, on a busy machine.
PATIENCE = 600.0


def plan(kind, **what):
    """One of the program's plans as its argument."""
    return json.dumps({kind: what})


def begin(program, argument, cpus):
    """The started program. Raises OSError."""
    def before_exec():
        LIBC.prctl(PR_SET_PDEATHSIG, 15)
        if cpus is not None:
            os.sched_setaffinity(0, cpus)

    return subprocess.Popen([program, argument], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            text=True, preexec_fn=before_exec)


def run(program, argument, cpus, process):
    """(what was seen, seconds of processor time of `process` meanwhile, resumed sessions).

    Raises NoFigures, OSError, subprocess.TimeoutExpired.
    """
    child = begin(program, argument, cpus)
    try:
        if child.stdout.readline() != "ready\n":
            child.kill()
            raise NoFigures(f"the load could not begin: {child.communicate()[1].strip()[-600:]}")
        before = process.cpu_time()
        output, errors = child.communicate("go\n", timeout=PATIENCE)
        after = process.cpu_time()
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()
    return (*parse(output, errors), elapsed(before, after))


def parse(output, errors):
    """(Load, resumed) of what the program printed. Raises NoFigures."""
    try:
        seen = json.loads(output)
        resumed = seen.pop("resumed")
        micros = seen.pop("micros")
        return Load(seconds=micros / 1e6, **seen), resumed
    except (ValueError, KeyError, TypeError) as error:
        raise NoFigures(f"the load printed no figures: {(errors or output).strip()[-600:]}") from error


@contextmanager
def far_end(program, length, cpus):
    """The port of a server at the far side of blind tunnels, each of which gives `length` bytes."""
    child = begin(program, plan("far_end", bytes=length), cpus)
    try:
        yield int(child.stdout.readline())
    finally:
        child.stdin.close()
        try:
            child.wait(5)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
