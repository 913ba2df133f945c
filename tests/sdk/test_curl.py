"""curl, by every door, as a shell script would call it. Its verbose log, headers both ways, is on the record."""

import json
import shutil
import subprocess
import unittest

from stage import DUMMY, Play


@unittest.skipUnless(shutil.which("curl"), "curl is not installed")
class Curl(Play):
    """curl."""

    def curl(self, *arguments):
        """The body of a successful answer, as JSON."""
        done = subprocess.run(
            ["curl", "-q", "--silent", "--show-error", "--verbose", "--fail", "--max-time", "20", *arguments],
            capture_output=True,
            env=self.stage.environment(),
            check=False,
        )
        self.said(done.stdout.decode(), done.stderr.decode())
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        return json.loads(done.stdout)

    def test_the_forward_door(self):
        answer = self.curl("--proxy", self.stage.proxy, "http://api.stripe.com/v1/charges")
        self.assertEqual(answer["object"], "list")
        self.seen("stripe")

    def test_the_path_door_with_a_form_and_a_key_of_ones_own(self):
        url = f"{self.stage.proxy}/stripe/v1/charges"
        answer = self.curl(url, "--user", f"{DUMMY}:", "--data", "amount=400", "--data", "currency=eur")
        self.assertEqual((answer["amount"], answer["currency"]), (400, "eur"))
        (request,) = self.seen("stripe")
        self.assertEqual(request.body, b"amount=400&currency=eur")

    def test_the_host_door(self):
        answer = self.curl(f"http://stripe.localhost:{self.stage.port}/v1/charges")
        self.assertEqual(answer["object"], "list")
        self.seen("stripe")

    def test_http2_by_prior_knowledge(self):
        features = subprocess.run(["curl", "--version"], capture_output=True, check=True).stdout
        if b"HTTP2" not in features:
            self.skipTest("this curl has no HTTP/2")
        answer = self.curl("--http2-prior-knowledge", f"{self.stage.proxy}/openai/v1/models")
        self.assertEqual(answer["object"], "list")
        self.seen("openai")

    def test_an_upload_in_chunks(self):
        body = json.dumps({"points": list(range(50_000))})
        path = self.stage.path / "points.json"
        path.write_text(body)
        chunked = ["--header", "Transfer-Encoding: chunked", "--header", "Content-Type: application/json"]
        answer = self.curl(f"{self.stage.proxy}/metrics/v1/points", *chunked, "--data-binary", f"@{path}")
        self.assertEqual(answer["accepted"], 50_000)
        (request,) = self.seen("metrics")
        self.assertEqual(request.body, body.encode())
