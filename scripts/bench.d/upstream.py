"""The upstream that every proxy shares: an nginx that answers only requests which carry the key, plain and over TLS.

It owns the key, the certificates and the two answers. What it counts (`served`) tells whether a proxy really keeps
its upstream connections.
"""

import http.client
import os
import re
import secrets
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from machine import free_ports
from processes import Process, wait_until

TEMPLATES = Path(__file__).resolve().parent / "templates"
# What the certificate is made out to. Reserved by RFC 6761, so it can never be a real host.
NAME = "upstream.test"
SIZES = {"0.2KiB": 205, "64KiB": 65536}
PATHS = {"0.2KiB": "small", "64KiB": "large"}


def fill(template, **values):
    """The template's text with every `@NAME@` replaced. Raises KeyError for one that is not given."""
    return re.sub(r"@([A-Z]+)@", lambda found: str(values[found[1]]), (TEMPLATES / template).read_text("utf-8"))


def write_private(path, text):
    """Writes a file that only we can read: most of these hold the key."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)


def openssl(folder, *arguments):
    """Runs openssl in `folder`. Raises CalledProcessError."""
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True, timeout=60)


def make_certificates(folder):
    """A CA and a P-256 certificate for NAME in `folder`: ca.pem, leaf.pem, leaf.key."""
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl(folder, "req", "-x509", *curve, "-keyout", "ca.key", "-out", "ca.pem", "-days", "7",
            "-subj", "/CN=sidekey benchmark CA")
    openssl(folder, "req", *curve, "-keyout", "leaf.key", "-out", "leaf.csr", "-subj", f"/CN={NAME}")
    write_private(folder / "leaf.ext", f"subjectAltName=DNS:{NAME},IP:127.0.0.1\nbasicConstraints=CA:FALSE\n"
                                       "keyUsage=digitalSignature\nextendedKeyUsage=serverAuth\n")
    openssl(folder, "x509", "-req", "-in", "leaf.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
            "-days", "7", "-extfile", "leaf.ext", "-out", "leaf.pem")


@dataclass(frozen=True)
class Served:
    """What the upstream has counted since it began."""

    connections: int
    requests: int


def parse_stub_status(text):
    """nginx's stub_status page as Served. Raises ValueError."""
    found = re.search(r"^\s*(\d+)\s+(\d+)\s+(\d+)\s*$", text, re.MULTILINE)
    if not found:
        raise ValueError("this is no stub_status page")
    return Served(connections=int(found[2]), requests=int(found[3]))


class Upstream:
    """The running upstream, until `stop`."""

    def __init__(self, folder, nginx, cpus, huge=0, far=None):
        """Makes what it needs in `folder` and starts it. `huge` is the length of its largest answer, `far` the port of
        another server, at the far end of blind tunnels. Raises Died, OSError, CalledProcessError.
        """
        self.folder = Path(folder)
        self.key = secrets.token_hex(20)
        self.answers = {size: os.urandom(length // 2 + 1).hex()[:length] for size, length in SIZES.items()}
        self.plain, self.tls, self.status, nobody = free_ports(4)
        self.huge, self.far = huge, far or nobody
        make_certificates(self.folder)
        # The large answer is served from memory where there is a tmpfs, so that no disk is measured.
        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.memory = tempfile.TemporaryDirectory(prefix="sidekey-bench-", dir=memory)
        Path(self.memory.name, "large").write_text(self.answers["64KiB"], "ascii")
        # A hole: it costs no memory, and reads as zeros.
        with open(Path(self.memory.name, "huge"), "wb") as file:
            file.truncate(huge)
        conf = self.folder / "upstream.conf"
        write_private(conf, fill("upstream.conf", FOLDER=self.folder, PLAIN=self.plain, TLS=self.tls, KEY=self.key,
                                 STATUS=self.status, SMALL=self.answers["0.2KiB"], ANSWERS=self.memory.name))
        self.process = Process("upstream", [nginx, "-p", str(self.folder), "-c", str(conf),
                                            "-e", str(self.folder / "upstream-error.log")], self.folder, cpus)
        try:
            wait_until(self.answers_only_the_key, self.process)
        except BaseException:
            self.stop()
            raise

    def answers_only_the_key(self):
        """Whether it is there, answers 200 with the key and 401 without."""
        try:
            with_key, body = fetch(self.plain, "/small", {"X-API-Key": self.key})
            without_key, _ = fetch(self.plain, "/small")
        except OSError:
            return False
        return with_key == 200 and without_key == 401 and body == self.answers["0.2KiB"].encode()

    def served(self):
        """Its counters. Raises OSError, ValueError."""
        return parse_stub_status(fetch(self.status, "/status")[1].decode())

    def stop(self):
        """Stops it and removes its answers from memory."""
        if hasattr(self, "process"):
            self.process.stop()
        self.memory.cleanup()


def fetch(port, path, headers=None):
    """(status, body) of one GET on loopback. Raises OSError."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    except http.client.HTTPException as error:
        raise OSError(f"broken answer from port {port}: {error!r}") from error
    finally:
        connection.close()
