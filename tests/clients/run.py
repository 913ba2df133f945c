"""The client matrix: programs of many languages and libraries, unmodified, under `sidekey run`, calling `https` URLs through the
real proxy (its path in SIDEKEY_BIN). The results stand in docs/clients.md, with which they are compared; with
SIDEKEY_WRITE_CLIENTS=1 they are written there. Ends with `N passed, M failed`.

A client that is not there is SKIPPED with its reason; with SIDEKEY_NO_SKIP=1 that is a failure.
"""

import os
import pathlib
import sys
import time
import traceback
from concurrent.futures import ThreadPoolExecutor

HERE = pathlib.Path(__file__).parent
sys.path.append(str(HERE.parent / "sdk"))

import page
from matrix import CELLS, clients
from play import Matrix

# Side by side, since most of the time a client waits.
AT_ONCE = 3


class Results:
    """Counts, and tells what it counted."""

    passed = 0
    failed = 0

    def good(self, what, seconds):
        self.passed += 1
        print(f"ok       {what}  {seconds:.1f} s", flush=True)

    def bad(self, what, why):
        self.failed += 1
        print(f"FAILED   {what}\n{why}", flush=True)

    def skipped(self, what, why):
        print(f"SKIPPED  {what}: {why}", flush=True)
        if os.environ.get("SIDEKEY_NO_SKIP") == "1":
            self.bad(what, "must not be skipped")


def main():
    for variable in [name for name in os.environ if name.lower().endswith("_proxy")]:
        del os.environ[variable]  # the machine's own proxy would come between
    wanted = sys.argv[1:]
    results, found = Results(), {}
    stage = Matrix()
    try:
        listed = [client for client in clients(stage) if not wanted or client.name in wanted]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for client, run in [(client, pool.submit(one, stage, client)) for client in listed]:
                tell(results, client, run.result(), found)
        for what, check in (
            ("what arrived", stage.check_requests),
            ("the environment of a run", stage.check_environment),
        ):
            checked(results, what, check)
        if results.failed:
            print(f"--- the end of the proxy's log ---\n{stage.log.decode('utf-8', 'replace')[-6_000:]}")
    finally:
        checked(results, "no key in any output, log or file", stage.close)
    if not wanted:
        checked(results, "docs/clients.md says so", lambda: page.compare(found))
    print(f"{results.passed} passed, {results.failed} failed")
    return 1 if results.failed or not results.passed else 0


def one(stage, client):
    """Runs a client; what it got and how long it took, or why it failed or was skipped."""
    if client.missing:
        return "skipped", client.missing, 0
    started = time.monotonic()
    try:
        return "ran", stage.play(client), time.monotonic() - started
    except Exception:  # noqa: BLE001  (one client's fault is not another's)
        return "failed", traceback.format_exc(), 0


def tell(results, client, run, found):
    """Each cell is a test of its own."""
    how, got, seconds = run
    if how == "skipped":
        results.skipped(client.name, got)
        return
    if how == "failed":
        results.bad(client.name, got)
        return
    wrong = {cell: got.get(cell) for cell, right in client.expected.items() if got.get(cell) != right}
    for cell in client.expected:
        if cell in wrong:
            results.bad(f"{client.name}: {cell}", f"got {got.get(cell)!r}, expected {client.expected[cell]!r}")
        else:
            results.good(f"{client.name}: {cell}", seconds)
    found[client] = [cell in client.expected and cell not in wrong for cell in CELLS]


def checked(results, what, check):
    """A check that is one test."""
    started = time.monotonic()
    try:
        check()
    except AssertionError as failure:
        results.bad(what, failure)
    else:
        results.good(what, time.monotonic() - started)


if __name__ == "__main__":
    sys.exit(main())
