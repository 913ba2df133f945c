"""Runs every SDK test on one stage and ends with `N passed, M failed`. Needs SIDEKEY_BIN, the program to test.

A test that cannot run here is SKIPPED with its reason; with SIDEKEY_NO_SKIP=1 that is a failure.
"""

import os
import pathlib
import sys
import time
import unittest

from stage import Play, Stage


class Result(unittest.TestResult):
    """Counts, and tells what it counted."""

    passed = 0
    failed = 0

    def startTest(self, test):
        super().startTest(test)
        self.started = time.monotonic()

    def addSuccess(self, test):
        self.passed += 1
        print(f"ok       {name(test)}  {time.monotonic() - self.started:.2f} s")

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.fail(name(test), self.failures[-1][1])

    def addError(self, test, err):
        super().addError(test, err)
        self.fail(name(test), self.errors[-1][1])

    def addSkip(self, test, reason):
        print(f"SKIPPED  {name(test)}: {reason}")
        if os.environ.get("SIDEKEY_NO_SKIP") == "1":
            self.fail(name(test), "must not be skipped\n")

    def fail(self, what, why):
        """One failure, told at once."""
        self.failed += 1
        print(f"FAILED   {what}\n{why}", end="", flush=True)


def name(test):
    """`test_curl.Curl.test_the_host_door`, also for what fails before a test."""
    return test.id() if hasattr(test, "id") else str(test)


def main():
    for variable in [name for name in os.environ if name.lower().endswith("_proxy")]:
        del os.environ[variable]  # the machine's own proxy would come between
    result = Result()
    folder = str(pathlib.Path(__file__).parent)
    try:
        Play.stage = Stage()
        unittest.TestLoader().discover(folder, pattern="test_*.py", top_level_dir=folder).run(result)
        Play.stage.close()
        result.passed += 1
        print("ok       no key in any output, log, answer or file")
    except AssertionError as failure:
        result.fail("setting up or clearing away", f"{failure}\n")
    if result.failed and hasattr(Play, "stage"):
        print(f"--- the end of the proxy's log ---\n{Play.stage.log.decode('utf-8', 'replace')[-6_000:]}")
    print(f"{result.passed} passed, {result.failed} failed")
    return 1 if result.failed or not result.passed else 0


if __name__ == "__main__":
    sys.exit(main())
