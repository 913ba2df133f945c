"""Runs schemathesis against the admin API of a real proxy and ends with `N passed, M failed`. Needs SIDEKEY_BIN, the program.

Requests are made from the API's own description, right ones and wrong ones, for about a minute. No answer may be a 5xx, and
every answer must be one that the description has, in its form; so must refusals of what nobody sent, of methods that are
not there and of whoever shows no token. None of it may end the process.
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1]))

from ports import free_ports  # noqa: E402  (found only after the line above)

SECONDS = 60
CHECKS = ",".join(
    [
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
        "negative_data_rejection",
        "missing_required_header",
        "unsupported_method",
        "allow_header_conformance",
        "use_after_free",
        "ignored_auth",
    ]
)
TOML = """
[listen]
proxy = "127.0.0.1:{proxy}"
console = "127.0.0.1:{console}"

[service.billing]
base_url = "https://billing.example.com"
auth = {{ location = "bearer" }}
rate = {{ limit = "10/s" }}
"""


def answers(url, timeout=1):
    """Whether a page is there."""
    try:
        with urllib.request.urlopen(url, timeout=timeout) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


def stormed(program, folder):
    """Runs everything in `folder`; what schemathesis said, and whether the proxy lives on."""
    proxy, console = free_ports(2)
    (folder / "proxy.toml").write_text(TOML.format(proxy=proxy, console=console))
    sidekey = lambda *words, **more: subprocess.run([program, *words], cwd=folder, check=True, text=True, **more)
    sidekey("key", "add", "billing", "--stdin", input="not-a-real-key", stdout=subprocess.DEVNULL)
    sidekey("user", "add", "ada", stdout=subprocess.DEVNULL)
    token = sidekey("token", "add", "storm", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.strip()
    with open(folder / "log", "wb") as log:
        served = subprocess.Popen([program, "serve"], cwd=folder, stderr=log)
    base = f"http://127.0.0.1:{console}"
    try:
        deadline = time.monotonic() + 20
        while not answers(f"{base}/-/ready"):
            assert served.poll() is None and time.monotonic() < deadline, "the proxy does not become ready"
            time.sleep(0.05)
        command = [pathlib.Path(sys.executable).with_name("st"), "run", f"{base}/api/v1/openapi.json"]
        command += ["--url", f"{base}/api/v1", "--header", f"Authorization: Bearer {token}", "--checks", CHECKS]
        command += ["--phases", "examples,coverage,fuzzing", "--max-examples", "15", "--max-time", str(SECONDS)]
        # The storm must not revoke what it comes with.
        command += ["--exclude-operation-id", "revoke_token", "--no-color", "--seed", "1", "--warnings", "off"]
        found = subprocess.run(command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        lives = served.poll() is None and answers(f"{base}/-/health", timeout=20)
    finally:
        served.terminate()
        served.wait(60)
    return found, lives


def main():
    for variable in [name for name in os.environ if name.lower().endswith("_proxy")]:
        del os.environ[variable]  # the machine's own proxy would come between
    program = os.path.abspath(os.environ["SIDEKEY_BIN"])
    with tempfile.TemporaryDirectory(prefix="sidekey-api-") as name:
        found, lives = stormed(program, pathlib.Path(name))
        log = (pathlib.Path(name) / "log").read_text(errors="replace")
    tested = re.search(r"(\d+) generated", found.stdout)
    good = found.returncode == 0 and lives and tested is not None
    if not good:
        print(found.stdout[-12_000:])
        print(f"the proxy {'lives' if lives else 'is gone'}\n--- the end of its log ---\n{log[-3_000:]}")
    else:
        print(f"ok       {tested[1]} requests, every answer as the description has it")
    print(f"{int(good)} passed, {int(not good)} failed")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
