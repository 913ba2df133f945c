"""Who the clients call: one TLS server on loopback, HTTP/1.1 and HTTP/2, that is every host of the matrix, told apart by Host,
and a gRPC server beside it. Each host checks its key where its service takes it, and refuses everything else with 401. What
arrived is kept.

The first part of a stream is sent at once and the rest when the client says that it has seen it, so that who gathers an answer
before handing it on is found out.
"""

import asyncio
import base64
import hashlib
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import unquote

import grpc
import trustme
from hypercorn.asyncio import serve
from hypercorn.config import Config

from parcels import TARBALL, WHEEL, repository

HOSTS = {
    "api.example.test": "api",
    "git.example.test": "git",
    "pypi.example.test": "pypi",
    "npm.example.test": "npm",
    "grpc.example.test": "grpc",
    "api.openai.com": "openai",
    "api.anthropic.com": "anthropic",
    "api.stripe.com": "stripe",
    "files.stripe.com": "stripe",
}

# How long a stream waits for its client to say that it has seen the first part.
PATIENCE = 15.0


@dataclass
class Request:
    """A request as it arrived."""

    service: str
    method: str
    path: str
    protocol: str
    headers: list
    body: bytes

    def text(self):
        """All of it; of what is large, the beginning."""
        head = "\n".join(f"{name}: {value}" for name, value in self.headers)
        return f"{self.path}\n{head}\n\n{self.body[:65_536].decode('latin-1')}"


class Origin:
    """The servers, the keys that they accept, and the requests they saw."""

    def __init__(self):
        self.temporary = tempfile.TemporaryDirectory(prefix="sidekey-origin-")
        self.folder = folder = pathlib.Path(self.temporary.name)
        self.keys, self.requests, self.shown = {}, [], {}
        self.lock = threading.Lock()
        authority = trustme.CA(organization_name="the upstream of the client matrix")
        self.ca_pem = authority.cert_pem.bytes()
        certificate = authority.issue_cert(*HOSTS)
        chain, key = folder / "origin.pem", folder / "origin.key"
        chain.write_bytes(b"".join(pem.bytes() for pem in certificate.cert_chain_pems))
        key.write_bytes(certificate.private_key_pem.bytes())
        listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.address = f"127.0.0.1:{listener.getsockname()[1]}"
        config = Config()
        config.bind = [f"fd://{listener.detach()}"]
        config.certfile, config.keyfile = str(chain), str(key)
        config.errorlog = config.accesslog = None
        config.h2_max_inbound_frame_size = 1 << 20
        self.loop = asyncio.new_event_loop()
        self.ended = asyncio.Event()
        self.thread = threading.Thread(target=self.run, args=(config,), daemon=True)
        self.thread.start()
        self.grpc_server, self.grpc_address = self.start_grpc(certificate)
        if shutil.which("git"):
            repository(folder)

    def run(self, config):
        """The server's own thread."""
        self.loop.run_until_complete(serve(self.app, config, shutdown_trigger=self.ended.wait))

    def close(self):
        """Stops listening."""
        self.loop.call_soon_threadsafe(self.ended.set)
        self.grpc_server.stop(0)
        self.thread.join(10)
        self.temporary.cleanup()

    def accept(self, service, key):
        """From now on this key is good for `service`, and no other."""
        self.keys[service] = key

    def seen(self):
        """The requests so far."""
        with self.lock:
            return list(self.requests)

    def keep(self, request):
        """Keeps a request, and notes what its client says that it has seen."""
        with self.lock:
            self.requests.append(request)
        for name in re.findall(r"seen-([a-z0-9-]+)", request.path):
            self.loop.call_soon_threadsafe(self.signal(name).set)

    def signal(self, name):
        """What a stream called `name` waits for."""
        with self.lock:
            return self.shown.setdefault(name, asyncio.Event())

    async def events(self, name, first, rest):
        """`first`, and `rest` when the client has seen it; who never does gets no rest."""
        yield first
        await asyncio.wait_for(self.signal(name).wait(), PATIENCE)
        for part in rest:
            yield part

    # HTTP

    async def app(self, scope, receive, send):
        """The ASGI application."""
        if scope["type"] == "lifespan":
            return
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
        host = next((value for name, value in headers if name in ("host", ":authority")), "")
        service = HOSTS.get(host.removesuffix(":443"))
        path = scope["path"] + (f"?{scope['query_string'].decode()}" if scope["query_string"] else "")
        if scope["type"] == "websocket":
            self.keep(Request(service, "WEBSOCKET", path, scope["http_version"], headers, b""))
            await self.socket(service, scope["path"], headers, receive, send)
            return
        body = await whole(receive)
        self.keep(Request(service, scope["method"], path, scope["http_version"], headers, body))
        answer = Answer(send)
        if service is None:
            await answer.json(421, {"error": "nobody of that name lives here"})
        elif not self.is_proven(service, headers):
            challenge = {"www-authenticate": 'Basic realm="origin"'} if service in ("git", "pypi") else {}
            await answer.json(401, {"error": {"message": "this key is not accepted", "type": "auth"}}, **challenge)
        else:
            await getattr(self, service)(answer, scope["method"], path, headers, body)

    def is_proven(self, service, headers):
        """Whether the key is there: once, at its place."""
        key = self.keys[service]
        place, expected = {
            "api": ("x-api-key", key),
            "grpc": ("x-api-key", key),
            "anthropic": ("x-api-key", key),
            "git": ("authorization", f"Basic {base64.b64encode(f'matrix:{key}'.encode()).decode()}"),
            "pypi": ("authorization", f"Basic {base64.b64encode(f'matrix:{key}'.encode()).decode()}"),
        }.get(service, ("authorization", f"Bearer {key}"))
        return [value for name, value in headers if name.lower() == place] == [expected]

    async def socket(self, service, path, headers, receive, send):
        """A WebSocket that greets (as OpenAI's realtime does) or echoes."""
        await receive()
        if service not in ("api", "openai") or not self.is_proven(service, headers):
            await send({"type": "websocket.close", "code": 4001})
            return
        asked = next((value for name, value in headers if name == "sec-websocket-protocol"), "")
        chosen = next((one.strip() for one in asked.split(",") if one.strip() == "realtime"), None)
        await send({"type": "websocket.accept", "subprotocol": chosen})
        if service == "openai":
            await send({"type": "websocket.send", "text": json.dumps({"type": "session.created", "event_id": "e1"})})
        while (message := await receive())["type"] == "websocket.receive":
            if message.get("text") is not None:
                await send({"type": "websocket.send", "text": f"echo: {message['text']}"})

    async def api(self, answer, method, path, headers, body):
        """A service of no vendor: an item, an echo, a stream, an upload."""
        _, client, *rest = path.split("?")[0].split("/")
        match method, "/".join(rest):
            case "GET", "v1/item":
                await answer.json(200, {"item": path.partition("?q=")[2]})
            case "POST", "v1/echo":
                await answer.json(200, {"length": len(body), "echo": body.decode()})
            case "POST" | "PUT", "v1/upload":
                await answer.json(200, {"length": len(body), "sha256": hashlib.sha256(body).hexdigest()})
            case "GET", "v1/stream":
                parts = [f"data: {number}\n\n" for number in range(5)]
                await answer.stream("text/event-stream", self.events(client, parts[0], parts[1:]))
            case _:
                await answer.json(404, {"error": f"{method} {path}"})

    async def openai(self, answer, method, path, headers, body):
        """As much of OpenAI as the SDK is asked for here."""
        match method, path.split("?")[0].split("/")[2:]:
            case "GET", ["models"]:
                await answer.json(
                    200, {"object": "list", "data": [{"id": "gpt", "object": "model", "created": 1, "owned_by": "o"}]}
                )
            case "GET", ["models", name]:
                await answer.json(200, {"id": name, "object": "model", "created": 1, "owned_by": "o"})
            case "POST", ["chat", "completions"]:
                await self.completion(answer, json.loads(body))
            case "POST", ["files"]:
                data = part(headers, body)
                digest = hashlib.sha256(data).hexdigest()
                await answer.json(
                    200,
                    {
                        "id": f"file-{digest}",
                        "object": "file",
                        "bytes": len(data),
                        "created_at": 1,
                        "filename": "f",
                        "purpose": "assistants",
                        "status": "processed",
                    },
                )
            case _:
                await answer.json(404, {"error": {"message": f"{method} {path}"}})

    async def completion(self, answer, asked):
        said = asked["messages"][-1]["content"]
        base = {"id": "c1", "created": 1, "model": asked["model"]}
        if not asked.get("stream"):
            message = {"role": "assistant", "content": f"you said {said}"}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            await answer.json(200, {**base, "object": "chat.completion", "choices": [choice]})
            return

        def chunk(delta, finish=None):
            choice = {"index": 0, "delta": delta, "finish_reason": finish}
            return f"data: {json.dumps({**base, 'object': 'chat.completion.chunk', 'choices': [choice]})}\n\n"

        rest = [chunk({"content": word}) for word in ("b", "c")] + [chunk({}, "stop"), "data: [DONE]\n\n"]
        await answer.stream("text/event-stream", self.events(said, chunk({"role": "assistant", "content": "a"}), rest))

    async def anthropic(self, answer, method, path, headers, body):
        """As much of Anthropic as the SDK is asked for here."""
        model = {"type": "model", "id": "claude", "display_name": "C", "created_at": "2026-01-01T00:00:00Z"}
        match method, path.split("?")[0].split("/")[2:]:
            case "GET", ["models"]:
                await answer.json(200, {"data": [model], "has_more": False, "first_id": "claude", "last_id": "claude"})
            case "GET", ["models", name]:
                await answer.json(200, {**model, "id": name})
            case "POST", ["messages"]:
                await self.message(answer, json.loads(body))
            case "POST", ["files"]:
                data = part(headers, body)
                digest = hashlib.sha256(data).hexdigest()
                await answer.json(
                    200,
                    {
                        "id": f"file_{digest}",
                        "type": "file",
                        "size_bytes": len(data),
                        "filename": "f",
                        "mime_type": "application/octet-stream",
                        "created_at": "2026-01-01T00:00:00Z",
                    },
                )
            case _:
                await answer.json(404, {"type": "error", "error": {"type": "not_found_error", "message": path}})

    async def message(self, answer, asked):
        said = asked["messages"][-1]["content"]
        usage = {"input_tokens": 1, "output_tokens": 1}
        base = {"id": "m1", "type": "message", "role": "assistant", "model": asked["model"], "stop_sequence": None}
        if not asked.get("stream"):
            content = [{"type": "text", "text": f"you said {said}"}]
            await answer.json(200, {**base, "content": content, "stop_reason": "end_turn", "usage": usage})
            return

        def event(kind, **data):
            return f"event: {kind}\ndata: {json.dumps({'type': kind, **data})}\n\n"

        def text(word):
            return event("content_block_delta", index=0, delta={"type": "text_delta", "text": word})

        start = event("message_start", message={**base, "content": [], "stop_reason": None, "usage": usage})
        start += event("content_block_start", index=0, content_block={"type": "text", "text": ""}) + text("a")
        end = [
            event("content_block_stop", index=0),
            event("message_delta", delta={"stop_reason": "end_turn", "stop_sequence": None}, usage=usage),
            event("message_stop"),
        ]
        await answer.stream("text/event-stream", self.events(said, start, [text("b"), text("c"), *end]))

    async def stripe(self, answer, method, path, headers, body):
        """As much of Stripe as the SDK is asked for here."""
        match method, path.split("?")[0]:
            case "GET", "/v1/customers":
                await answer.json(200, {"object": "list", "url": path, "has_more": False, "data": []})
            case "POST", "/v1/customers":
                await answer.json(
                    200, {"id": "cus_1", "object": "customer", "email": unquote(body.decode()).partition("email=")[2]}
                )
            case "POST", "/v1/files":
                data = part(headers, body)
                digest = hashlib.sha256(data).hexdigest()
                await answer.json(200, {"id": f"file_{digest}", "object": "file", "size": len(data)})
            case _:
                await answer.json(404, {"error": {"message": f"{method} {path}"}})

    async def git(self, answer, method, path, headers, body):
        """Git's own smart HTTP, by its CGI program (git-http-backend(1))."""
        route, _, query = path.partition("?")
        fields = {name.lower(): value for name, value in headers}
        if fields.get("content-encoding") == "gzip":
            fields.pop("content-length", None)
        variables = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.folder / "repositories"),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "REMOTE_USER": "matrix",
            "REQUEST_METHOD": method,
            "PATH_INFO": route,
            "QUERY_STRING": query,
            "CONTENT_TYPE": fields.get("content-type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": fields.get("content-encoding", ""),
            "GIT_PROTOCOL": fields.get("git-protocol", ""),
        }
        done = await asyncio.to_thread(
            subprocess.run,
            ["git", "http-backend"],
            input=body,
            env=variables,
            capture_output=True,
            timeout=60,
            check=True,
        )
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        lines = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        status = int(lines.pop("Status", "200").split()[0])
        await answer.whole(status, content, {name.lower(): value for name, value in lines.items()})

    async def pypi(self, answer, method, path, headers, body):
        """An index with one package (PEP 503)."""
        wheel = "matrix_parcel-1.0-py3-none-any.whl"
        match path:
            case "/simple/matrix-parcel/":
                link = f'<a href="/files/{wheel}#sha256={hashlib.sha256(WHEEL).hexdigest()}">{wheel}</a>'
                await answer.whole(
                    200, f"<!DOCTYPE html><html><body>{link}</body></html>".encode(), {"content-type": "text/html"}
                )
            case "/files/matrix_parcel-1.0-py3-none-any.whl":
                await answer.whole(200, WHEEL, {"content-type": "application/octet-stream"})
            case _:
                await answer.json(404, {"error": path})

    async def npm(self, answer, method, path, headers, body):
        """A registry with one package; others can be published."""
        match method, path.split("?")[0]:
            case "GET", "/matrix-parcel":
                digest = base64.b64encode(hashlib.sha512(TARBALL).digest()).decode()
                dist = {
                    "tarball": "https://npm.example.test/files/matrix-parcel-1.0.0.tgz",
                    "integrity": f"sha512-{digest}",
                }
                version = {"name": "matrix-parcel", "version": "1.0.0", "dist": dist}
                await answer.json(
                    200, {"name": "matrix-parcel", "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": version}}
                )
            case "GET", "/files/matrix-parcel-1.0.0.tgz":
                await answer.whole(200, TARBALL, {"content-type": "application/octet-stream"})
            case "PUT", "/matrix-heavy":
                attachments = json.loads(body)["_attachments"]
                if sum(attachment["length"] for attachment in attachments.values()) < 10 << 20:
                    await answer.json(400, {"error": "the package has not arrived whole"})
                else:
                    await answer.json(201, {"success": True})
            case _:
                await answer.json(404, {"error": path})

    # gRPC

    def start_grpc(self, certificate):
        """A server of calls whose messages are bytes: one, a stream back, a stream there, both ways."""

        def one(data, _):
            return b"echo: " + data

        def back(data, _):
            name = data.decode()
            yield b"0"
            waited = asyncio.run_coroutine_threadsafe(self.signal(name).wait(), self.loop)
            waited.result(PATIENCE)
            yield from (str(number).encode() for number in range(1, 5))

        def there(parts, _):
            length, digest = 0, hashlib.sha256()
            for data in parts:
                length += len(data)
                digest.update(data)
            return json.dumps({"length": length, "sha256": digest.hexdigest()}).encode()

        def both(parts, context):
            for data in parts:
                yield b"echo: " + data
            context.set_trailing_metadata((("matrix-trailer", "came"),))

        handlers = {
            "One": grpc.unary_unary_rpc_method_handler(one),
            "Seen": grpc.unary_unary_rpc_method_handler(lambda data, _: data),
            "Back": grpc.unary_stream_rpc_method_handler(back),
            "There": grpc.stream_unary_rpc_method_handler(there),
            "Both": grpc.stream_stream_rpc_method_handler(both),
        }
        server = grpc.server(ThreadPoolExecutor(8), interceptors=[Gate(self)])
        server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("matrix.Echo", handlers)])
        chain = b"".join(pem.bytes() for pem in certificate.cert_chain_pems)
        credentials = grpc.ssl_server_credentials([(certificate.private_key_pem.bytes(), chain)])
        port = server.add_secure_port("127.0.0.1:0", credentials)
        server.start()
        return server, f"127.0.0.1:{port}"


class Gate(grpc.ServerInterceptor):
    """Keeps each call and refuses those without the key."""

    def __init__(self, origin):
        self.origin = origin

    def intercept_service(self, continuation, details):
        headers = [
            (name, value if isinstance(value, str) else value.decode("latin-1"))
            for name, value in details.invocation_metadata
        ]
        seen = "".join(f"?seen-{value}" for name, value in headers if name == "matrix-seen")
        self.origin.keep(Request("grpc", "POST", details.method + seen, "2", headers, b""))
        if self.origin.is_proven("grpc", headers):
            return continuation(details)

        def refuse(_, context):
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "this key is not accepted")

        return grpc.unary_unary_rpc_method_handler(refuse)


class Answer:
    """The answer to one request."""

    def __init__(self, send):
        self.send = send

    async def whole(self, status, body, headers):
        """All of it at once."""
        fields = {"content-length": str(len(body)), **headers}
        await self.start(status, fields)
        await self.send({"type": "http.response.body", "body": body})

    async def json(self, status, value, **headers):
        """JSON."""
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        await self.whole(status, json.dumps(value).encode(), {"content-type": "application/json", **fields})

    async def stream(self, kind, parts):
        """Part by part."""
        await self.start(200, {"content-type": kind})
        async for part_of_it in parts:
            await self.send({"type": "http.response.body", "body": part_of_it.encode(), "more_body": True})
        await self.send({"type": "http.response.body", "body": b""})

    async def start(self, status, headers):
        fields = [(name.encode(), value.encode()) for name, value in headers.items()]
        await self.send({"type": "http.response.start", "status": status, "headers": fields})


async def whole(receive):
    """The body of a request."""
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


def part(headers, body):
    """The file in a multipart form (RFC 7578)."""
    kind = next(value for name, value in headers if name.lower() == "content-type")
    boundary = re.search(r'boundary="?([^";]+)', kind)[1].encode()
    for one in body.split(b"--" + boundary):
        head, _, content = one.partition(b"\r\n\r\n")
        if b"filename" in head:
            return content.removesuffix(b"\r\n")
    return b""
