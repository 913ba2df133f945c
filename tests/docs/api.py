"""A small API for the documentation: it wants the header X-API-Key and says which key it got by its last four letters.

`python3 tests/docs/api.py [PORT]`, port 9000 unless said otherwise. Not a test; `commands` starts it for the tests.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Api(BaseHTTPRequestHandler):
    """Takes every key of eight letters and more."""

    protocol_version = "HTTP/1.1"

    def answer(self):
        """Answers any method."""
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        key = self.headers.get("X-API-Key", "")
        if len(key) < 8:
            self.reply(401, {"error": "this API demands a key"})
        else:
            self.reply(200, {"path": self.path.split("?")[0], "key": "…" + key[-4:]})

    do_GET = do_POST = do_DELETE = do_PUT = answer

    def reply(self, status, value):
        """One answer in JSON."""
        body = json.dumps(value, ensure_ascii=False).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Keeps quiet."""


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 9000
    ThreadingHTTPServer(("127.0.0.1", port), Api).serve_forever()
