"""The vendors' doubles: one TLS server on loopback that is api.openai.com, api.stripe.com, api.sendgrid.com and two
services of our own invention, told apart by Host. Each checks its key where and how the vendor does, answers in the
vendor's shape, and refuses everything else with 401. Every request is kept as it arrived.
"""

import http.server
import json
import secrets
import ssl
import threading
import time
from dataclasses import dataclass, field
from urllib.parse import parse_qs, parse_qsl, urlsplit

import trustme

HOSTS = {
    "api.openai.com": "openai",
    "api.stripe.com": "stripe",
    "api.sendgrid.com": "sendgrid",
    "metrics.example.com": "metrics",
    "weather.example.com": "weather",
}


@dataclass
class Request:
    """A request as the vendor received it."""

    service: str
    method: str
    path: str
    query: str
    headers: list
    body: bytes
    at: float = field(default_factory=time.monotonic)

    def values(self, name):
        """All values of a header."""
        return [value for other, value in self.headers if other.lower() == name.lower()]

    def count(self, text):
        """How often `text` stands in it, anywhere."""
        head = "\n".join(f"{name}: {value}" for name, value in self.headers)
        return f"{self.path}?{self.query}\n{head}\n\n{self.body.decode('utf-8', 'replace')}".count(text)


class Vendors:
    """The server, the keys it accepts and the requests it saw."""

    def __init__(self):
        authority = trustme.CA(organization_name="vendor doubles")
        self.ca_pem = authority.cert_pem.bytes()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(*HOSTS).configure_cert(context)
        self.keys = {}
        self.requests = []
        self.charges = []
        self.lock = threading.Lock()
        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.vendors = self
        # The handshake happens in each connection's own thread, on its first read.
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.address = f"127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def accept(self, service, *keys):
        """From now on these keys are good for `service`, and no others."""
        with self.lock:
            self.keys[service] = keys

    def seen(self, service=None):
        """The requests so far."""
        with self.lock:
            return [request for request in self.requests if service in (None, request.service)]

    def close(self):
        """Stops listening."""
        self.server.shutdown()
        self.server.server_close()


class Server(http.server.ThreadingHTTPServer):
    """A thread for each connection; what a broken one says is of no interest."""

    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        pass


class Handler(http.server.BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def handle_any(self):
        url = urlsplit(self.path)
        service = HOSTS.get(self.headers.get("Host", "").lower())
        request = Request(service, self.command, url.path, url.query, self.headers.items(), self.read_body())
        vendors = self.server.vendors
        with vendors.lock:
            vendors.requests.append(request)
            keys = vendors.keys.get(service, ())
        if service is None:
            return self.answer(421, {"error": "nobody of that name lives here"})
        if not CHECKS[service](request, keys):
            return self.answer(401, REFUSALS[service])
        route = ROUTES.get((service, request.method, request.path))
        if route is None:
            return self.answer(404, {"error": {"message": f"Unrecognized request URL ({request.method}: {url.path})"}})
        return route(self, request)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

    def read_body(self):
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return body

    def answer(self, status, body, **headers):
        """A JSON answer; an empty one for `None`."""
        payload = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        if body is not None:
            self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(payload)


# How each vendor checks its key: at its place, once, and nothing beside it.


def bearer(request, keys):
    return request.values("Authorization") in [[f"Bearer {key}"] for key in keys]


def api_key_header(request, keys):
    return request.values("X-API-Key") in [[key] for key in keys] and not request.values("Authorization")


def api_key_parameter(request, keys):
    return parse_qs(request.query).get("api_key") in [[key] for key in keys]


CHECKS = {
    "openai": bearer,
    "stripe": bearer,
    "sendgrid": bearer,
    "metrics": api_key_header,
    "weather": api_key_parameter,
}

REFUSALS = {
    "openai": {
        "error": {
            "message": "Incorrect API key provided.",
            "type": "invalid_request_error",
            "param": None,
            "code": "invalid_api_key",
        }
    },
    "stripe": {"error": {"message": "Invalid API Key provided.", "type": "invalid_request_error"}},
    "sendgrid": {"errors": [{"message": "The provided authorization grant is invalid.", "field": None, "help": None}]},
    "metrics": {"error": "unauthorized"},
    "weather": {"cod": 401, "message": "Invalid API key."},
}

# What each vendor answers.


def models(handler, _):
    names = ["gpt-large", "gpt-small"]
    data = [{"id": name, "object": "model", "created": 1700000000, "owned_by": "openai"} for name in names]
    handler.answer(200, {"object": "list", "data": data}, x_request_id=f"req_{secrets.token_hex(8)}")


def completion(handler, request):
    asked = json.loads(request.body)
    words = f"You said: {asked['messages'][-1]['content']}".split(" ")
    base = {"id": f"chatcmpl-{secrets.token_hex(8)}", "created": int(time.time()), "model": asked["model"]}
    if asked.get("stream"):
        return stream(handler, base, words)
    message = {"role": "assistant", "content": " ".join(words), "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    usage = {"prompt_tokens": 9, "completion_tokens": len(words), "total_tokens": 9 + len(words)}
    body = {**base, "object": "chat.completion", "choices": [choice], "usage": usage}
    return handler.answer(200, body, x_ratelimit_limit_requests="500", x_ratelimit_remaining_requests="499")


def stream(handler, base, words):
    """Server-sent events; each goes out on its own, and the next only after a pause."""
    handler.send_response(200)
    handler.send_header("Content-Type", "text/event-stream; charset=utf-8")
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()

    def send(data):
        event = f"data: {data}\n\n".encode()
        handler.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
        handler.wfile.flush()

    def choice(delta, reason=None):
        choices = [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}]
        return json.dumps({**base, "object": "chat.completion.chunk", "choices": choices})

    send(choice({"role": "assistant", "content": ""}))
    for number, word in enumerate(words):
        time.sleep(0.02)
        send(choice({"content": f" {word}" if number else word}))
    send(choice({}, "stop"))
    send("[DONE]")
    handler.wfile.write(b"0\r\n\r\n")


def charge(handler, request):
    form = dict(parse_qsl(request.body.decode()))
    if request.values("Content-Type") != ["application/x-www-form-urlencoded"]:
        return handler.answer(400, {"error": {"message": "Send a form.", "type": "invalid_request_error"}})
    made = {
        "id": f"ch_{secrets.token_hex(8)}",
        "object": "charge",
        "amount": int(form["amount"]),
        "currency": form["currency"],
        "description": form.get("description"),
        "status": "succeeded",
        "livemode": False,
    }
    with handler.server.vendors.lock:
        handler.server.vendors.charges.append(made)
    keys = request.values("Idempotency-Key")
    return handler.answer(200, made, Request_Id="req_1", **({"Idempotency_Key": keys[0]} if keys else {}))


def charges(handler, _):
    with handler.server.vendors.lock:
        data = handler.server.vendors.charges[::-1]
    handler.answer(200, {"object": "list", "url": "/v1/charges", "has_more": False, "data": data}, Request_Id="req_2")


def customer(handler, request):
    form = dict(parse_qsl(request.body.decode()))
    made = {"id": f"cus_{secrets.token_hex(8)}", "object": "customer", "email": form.get("email"), "livemode": False}
    handler.answer(200, made, Request_Id="req_3")


def mail(handler, request):
    message = json.loads(request.body)
    missing = {"personalizations", "from", "subject", "content"} - message.keys()
    if missing:
        return handler.answer(400, {"errors": [{"message": f"{missing.pop()} is missing", "field": None}]})
    return handler.answer(202, None, X_Message_Id=secrets.token_hex(8))


def points(handler, request):
    handler.answer(200, {"accepted": len(json.loads(request.body)["points"])})


def forecast(handler, request):
    query = parse_qsl(request.query, keep_blank_values=True)
    rest = [[name, value] for name, value in query if name != "api_key"]
    handler.answer(200, {"query": rest, "temperature": 21.5})


ROUTES = {
    ("openai", "GET", "/v1/models"): models,
    ("openai", "POST", "/v1/chat/completions"): completion,
    ("stripe", "GET", "/v1/charges"): charges,
    ("stripe", "POST", "/v1/charges"): charge,
    ("stripe", "POST", "/v1/customers"): customer,
    ("sendgrid", "POST", "/v3/mail/send"): mail,
    ("metrics", "POST", "/v1/points"): points,
    ("weather", "GET", "/v1/forecast"): forecast,
}
