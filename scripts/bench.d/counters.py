"""Instructions per request, counted by the processor through `perf stat`, where the machine has such counters.

Steadier than time on a noisy machine. Many virtual machines have none: then the answer is None and the report says so.
"""

import signal
import subprocess
import time

import load

EVENT = "instructions"


def parse(output):
    """The count in `perf stat -x,` output; None when it was not supported or not counted."""
    for line in output.splitlines():
        fields = line.split(",")
        if len(fields) > 2 and fields[2].split(":")[0] == EVENT:
            return int(fields[0]) if fields[0].isdigit() else None
    return None


def supported(perf):
    """Whether this machine counts instructions for us."""
    if perf is None:
        return False
    done = subprocess.run([perf, "stat", "-x,", "-e", EVENT, "true"], capture_output=True, text=True, timeout=30,
                          check=False)
    return done.returncode == 0 and parse(done.stderr) is not None


def per_request(perf, proxy, cell, wrk, seconds, cpus):
    """Instructions per request of the proxy's whole tree on one cell, or None."""
    pids = ",".join(str(pid) for pid in proxy.process.tree())
    counting = subprocess.Popen([perf, "stat", "-x,", "-e", EVENT, "-p", pids], stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        time.sleep(0.3)  # perf says nothing when it has attached
        seen = load.run(wrk, proxy.url(cell.upstream, cell.size), cell.connections, seconds, cpus)
        counting.send_signal(signal.SIGINT)
        _, output = counting.communicate(timeout=10)
    except (load.NoFigures, OSError, subprocess.TimeoutExpired):
        return None
    finally:
        if counting.poll() is None:
            counting.kill()
            counting.wait()
    count = parse(output)
    return count / seen.requests if count and seen.requests else None
