"""The stage of the matrix: that of the SDKs, with callers that prove themselves, other services, and another upstream. Clients
are started under `sidekey run` and know nothing of it.
"""

import json
import logging
import pathlib
import subprocess
import tempfile

from origin import Origin
from stage import Stage

# How long one client may take; it takes seconds.
LIMIT = 180.0
CALLER = "matrix"

TOML = """\
[listen]
proxy = "127.0.0.1:{port}"
console = "127.0.0.1:{console}"

[callers]
mode = "{callers}"

[service.openai]
upstream = {upstream}

[service.anthropic]
upstream = {upstream}

[service.stripe]
upstream = {upstream}

[service.api]
base_url = "https://api.example.test"
auth = {{ location = "header", name = "X-Api-Key" }}
upstream = {upstream}

[service.git]
base_url = "https://git.example.test"
auth = {{ location = "basic", username = "matrix", password = "{{key}}" }}
upstream = {upstream}

[service.pypi]
base_url = "https://pypi.example.test"
auth = {{ location = "basic", username = "matrix", password = "{{key}}" }}
upstream = {upstream}

[service.npm]
base_url = "https://npm.example.test"
auth = {{ location = "bearer" }}
upstream = {upstream}

[service.grpc]
base_url = "https://grpc.example.test"
auth = {{ location = "header", name = "X-Api-Key" }}
upstream = {grpc}
"""


class Matrix(Stage):
    """See the module."""

    services = ("openai", "anthropic", "stripe", "api", "git", "pypi", "npm", "grpc")

    def __init__(self):
        super().__init__(callers="token")
        logging.disable(logging.DEBUG)  # the upstream's own, which know the keys
        self.caller(CALLER)
        # Not in the folder that is searched for keys: what is large and random has none.
        self.cache = tempfile.TemporaryDirectory(prefix="sidekey-clients-")
        self.upload = pathlib.Path(self.cache.name) / "upload"

    def open_vendors(self):
        return Origin()

    def configuration(self, **listening):
        here, grpc = self.upstream(self.vendors.address), self.upstream(self.vendors.grpc_address)
        return TOML.format(**listening, upstream=here, grpc=grpc)

    def play(self, client):
        """Runs a client in a folder of its own; what it printed last, which is JSON."""
        folder = self.path / "runs" / client.name
        folder.mkdir(parents=True)
        done = self.run_under(client.command, folder, client.variables)
        assert done.returncode == 0, f"{done.returncode}\n{done.stdout.decode()}\n{done.stderr.decode()}"
        return json.loads(done.stdout.decode().splitlines()[-1])

    def run_under(self, command, folder, variables):
        """`sidekey run -- COMMAND`; what it prints goes on the record."""
        done = subprocess.run(
            self.command("run", "--as", CALLER, "--", *command),
            cwd=folder,
            env=self.environment(**variables),
            capture_output=True,
            timeout=LIMIT,
            check=False,
        )
        self.heard.add(done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace"))
        return done

    def check_environment(self):
        """A program's environment holds a token of its own, and no key."""
        done = self.run_under(["env"], self.path, {})
        told = done.stdout.decode()
        assert done.returncode == 0 and "skc_" in told, told
        assert "OPENAI_API_KEY=sidekey" in told and "STRIPE_API_KEY=sidekey" in told, told

    def check_requests(self):
        """Each request had its key, and nothing of its caller's: the upstream refuses it otherwise, but for what it keeps."""
        seen = self.vendors.seen()
        assert seen, "no request reached the upstream"
        for request in seen:
            names = {name.lower() for name, _ in request.headers}
            assert request.service is not None, f"nobody's: {request.text()}"
            assert self.vendors.is_proven(request.service, request.headers), f"without its key: {request.text()}"
            assert not names & {"proxy-authorization", "proxy-connection", "sidekey-credential"}, request.text()
            assert "skc_" not in request.text(), f"a caller's token arrived: {request.text()}"
