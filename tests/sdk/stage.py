"""The stage on which the SDKs play: the vendors' doubles, the real sidekey in a folder of its own, one canary key for each
service, and what everybody said. A play ends with `Stage.close`, which looks for the canaries where they must not be.
"""

import base64
import json
import logging
import os
import pathlib
import re
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.request

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1]))

from ports import free_ports  # noqa: E402  (found only after the line above)
from vendors import Vendors  # noqa: E402

# What the clients are given, since most SDKs insist on a key. It must never reach a vendor.
DUMMY = "no-key-of-mine-7d1f"

PATIENCE = 20.0

TOML = """\
[listen]
proxy = "127.0.0.1:{port}"
console = "127.0.0.1:{console}"

[callers]
mode = "{callers}"

[service.openai]
upstream = {upstream}

[service.stripe]
upstream = {upstream}

[service.sendgrid]
upstream = {upstream}

[service.metrics]
base_url = "https://metrics.example.com"
auth = {{ location = "header", name = "X-API-Key" }}
upstream = {upstream}

[service.weather]
base_url = "https://weather.example.com"
auth = {{ location = "query", name = "api_key" }}
upstream = {upstream}
"""


class Stage:
    """See the module. `callers` is how workflows are told apart: `open` or `token`. Another stage has other vendors."""

    services = ("openai", "stripe", "sendgrid", "metrics", "weather")

    def __init__(self, callers="open"):
        self.folder = tempfile.TemporaryDirectory(prefix="sidekey-sdk-")
        self.path = pathlib.Path(self.folder.name)
        self.vendors = self.open_vendors()
        self.heard = Heard()
        self.printed = bytearray()
        self.log = bytearray()
        self.tokens = []
        self.port, console = free_ports(2)
        self.proxy = f"http://127.0.0.1:{self.port}"
        (self.path / "vendors.pem").write_bytes(self.vendors.ca_pem)
        text = self.configuration(port=self.port, console=console, callers=callers)
        (self.path / "proxy.toml").write_text(text)
        self.keys = {service: canary(service) for service in self.services}
        self.spent = []
        for service, key in self.keys.items():
            self.vendors.accept(service, key)
            self.sidekey("key", "add", service, "--name", f"{service}-main", "--stdin", stdin=key)
        self.process = self.start()

    def open_vendors(self):
        """Who answers behind the proxy."""
        return Vendors()

    def configuration(self, **listening):
        """The proxy.toml."""
        return TOML.format(**listening, upstream=self.upstream(self.vendors.address))

    def upstream(self, address):
        """How a service's vendor is reached."""
        return f'{{ connect_to = "{address}", ca = "vendors.pem", allow_private = true }}'

    def command(self, *arguments):
        """The program with this stage's configuration."""
        return [os.environ["SIDEKEY_BIN"], "--config", str(self.path / "proxy.toml"), *arguments]

    def environment(self, **more):
        """An environment without anything of ours but the path to programs."""
        return {"PATH": os.environ["PATH"], "HOME": str(self.path), "LANG": "C.UTF-8", **more}

    def sidekey(self, *arguments, stdin=""):
        """Runs a command of sidekey to its end; it must succeed and may not print a key."""
        done = subprocess.run(
            self.command(*arguments),
            input=stdin.encode(),
            capture_output=True,
            env=self.environment(),
            timeout=PATIENCE,
            check=False,
        )
        self.printed += done.stdout + done.stderr
        if done.returncode != 0:
            raise AssertionError(f"sidekey {' '.join(arguments)}: {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done.stdout.decode()

    def start(self):
        """`sidekey serve`, ready."""
        process = subprocess.Popen(
            self.command("serve"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=self.environment()
        )
        threading.Thread(target=self.listen, args=(process.stdout,), daemon=True).start()
        started = time.monotonic()
        while not self.is_ready():
            if process.poll() is not None or time.monotonic() - started > PATIENCE:
                process.kill()
                raise AssertionError(f"sidekey serve is not ready:\n{self.log.decode('utf-8', 'replace')}")
            time.sleep(0.01)
        return process

    def listen(self, stream):
        """Keeps what the running proxy prints."""
        for line in stream:
            self.log += line

    def is_ready(self):
        """Whether the proxy says that it is."""
        try:
            return self.plain_get("/-/ready")[0] == 200
        except OSError:
            return False

    def plain_get(self, path):
        """Status and body of one of the proxy's own pages."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(self.proxy + path, timeout=PATIENCE) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as refusal:
            return refusal.code, refusal.read()

    def rotate(self, service):
        """Makes a new key, which the vendor accepts beside the old one, and puts it in the old one's place."""
        old, new = self.keys[service], canary(service)
        self.vendors.accept(service, old, new)
        self.sidekey("key", "rotate", f"{service}-main", "--stdin", stdin=new)
        self.keys[service] = new
        self.spent.append(old)
        return new

    def caller(self, name):
        """A new workflow; returns its token, which is shown this once."""
        shown = self.sidekey("caller", "add", name)
        found = re.search(r"skc_[A-Za-z0-9_-]+", shown)
        assert found, f"`caller add` showed no token: {shown}"
        self.tokens.append(found.group())
        self.wait_until_known(found.group())
        return found.group()

    def wait_until_known(self, token):
        """A running proxy follows a change within one second; what it takes longer is this machine's."""
        asked = urllib.request.Request(self.proxy + "/-/whoami", headers={"Authorization": f"Bearer {token}"})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        until = time.monotonic() + PATIENCE
        while True:
            try:
                with opener.open(asked, timeout=PATIENCE) as answer:
                    return json.load(answer)
            except urllib.error.HTTPError as refusal:
                assert refusal.code == 401 and time.monotonic() < until, f"the new caller is not known: {refusal.code}"
            time.sleep(0.05)

    def leaks(self):
        """Where keys and tokens stand that must not stand there."""
        files = [path for path in sorted(self.path.rglob("*")) if path.is_file()]
        places = {f"the file {path.relative_to(self.path)}": path.read_bytes() for path in files}
        places["the proxy's log"] = bytes(self.log)
        vendors = "\n".join(map(repr, self.vendors.seen())).encode()
        yield from found_in(self.tokens, {**places, "what the vendors received": vendors})
        places["what the commands printed"] = bytes(self.printed)
        places["what the clients heard"] = self.heard.bytes()
        yield from found_in([*self.keys.values(), *self.spent], places)

    def close(self):
        """Ends the play; fails when sidekey crashed, or a key stands where it must not."""
        crashed = self.process.poll()
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError("sidekey does not end on SIGTERM") from None
        finally:
            self.vendors.close()
        leaks = list(self.leaks())
        self.folder.cleanup()
        assert crashed is None, f"sidekey ended on its own with {crashed}:\n{self.log.decode('utf-8', 'replace')}"
        assert not leaks, f"a secret stands in {leaks}"


class Heard(logging.Handler):
    """All that the clients got to see: their debug logs, and what the tests hand over."""

    def __init__(self):
        super().__init__(logging.DEBUG)
        self.lines = []
        logging.getLogger().setLevel(logging.DEBUG)
        logging.getLogger().addHandler(self)

    def emit(self, record):
        self.lines.append(self.format(record))

    def add(self, *things):
        """Keeps anything."""
        self.lines.extend(thing if isinstance(thing, str) else repr(thing) for thing in things)

    def bytes(self):
        """All of it."""
        return "\n".join(self.lines).encode()


class Play(unittest.TestCase):
    """A test on the one stage. Whatever it does, the vendor must have got its key, once, and never the dummy."""

    stage: Stage
    maxDiff = None

    def setUp(self):
        self.before = len(self.stage.vendors.seen())

    def seen(self, service):
        """What the vendors saw since the test began; all of it must have been for `service` and bear its key."""
        seen = self.stage.vendors.seen()[self.before :]
        self.assertTrue(seen, "no request reached the vendor")
        for request in seen:
            self.assertEqual(request.service, service)
            self.assertEqual(request.count(self.stage.keys[service]), 1, f"the key must arrive once: {request}")
            self.assertEqual(request.count(DUMMY), 0, f"the client's own value arrived: {request}")
            names = {name.lower() for name, _ in request.headers}
            self.assertFalse(names & {"proxy-authorization", "proxy-connection", "sidekey-credential"}, names)
        return seen

    def said(self, *things):
        """What the client saw goes on the record."""
        self.stage.heard.add(*things)


def found_in(secrets_of_ours, places):
    """The places in which one of them stands, as it is or in Base64."""
    for secret in secrets_of_ours:
        forms = [secret.encode(), base64.b64encode(secret.encode()).rstrip(b"=")]
        yield from (place for place, content in places.items() if any(form in content for form in forms))


def canary(service):
    """A key that looks like the vendor's and is found wherever it turns up."""
    prefix = {"openai": "sk-proj-", "stripe": "sk_test_", "sendgrid": "SG."}.get(service, "")
    return f"{prefix}canary{secrets.token_hex(16)}"
