"""The clients of the matrix: how each is started, what it must get, and what a user must add to what `sidekey run` sets."""

import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
from dataclasses import dataclass, field

PROGRAMS = pathlib.Path(__file__).parent / "programs"
CELLS = ("get", "post", "stream", "upload", "websocket", "grpc")
UPLOAD = 10 << 20

NUMBERS = ["0", "1", "2", "3", "4"]


@dataclass(frozen=True)
class Client:
    """One row."""

    name: str
    title: str
    command: list = field(hash=False)
    # What it must get, by cell; other entries are checked too and make no column.
    expected: dict = field(hash=False)
    # What a user must add, in Markdown.
    beyond: str = ""
    variables: dict = field(default_factory=dict, hash=False)
    # Why it cannot run here.
    missing: str = ""


def clients(stage):
    """All of them, in the order of the page."""
    data = os.urandom(UPLOAD)
    stage.upload.write_bytes(data)
    upload = {"length": UPLOAD, "sha256": hashlib.sha256(data).hexdigest()}
    return [*plain(stage, upload), *tools(stage), *sdks(stage, upload)]


def plain(stage, upload):
    """Libraries that call a service of no vendor."""
    api = {
        "get": {"item": "one"},
        "post": {"length": 11, "echo": "hello there"},
        "stream": NUMBERS,
        "upload": upload,
    }
    socket = {"websocket": "echo: hello"}
    file = str(stage.upload)

    def at(name):
        return [f"https://api.example.test/{name}", name, file]

    def python(name, title, script, *words, target=None, **more):
        command = [sys.executable, str(PROGRAMS / script), *words, *(target or at(name))]
        return Client(name, title, command, **more)

    def node(name, title, script, **more):
        return Client(name, title, ["node", str(PROGRAMS / script), *at(name)], **packages(), **more)

    def curl(version):
        command = [str(PROGRAMS / "curl.sh"), f"--http{version}", *at(f"curl-{version.replace('.', '-')}")]
        name = f"curl-{version.replace('.', '-')}"
        return Client(name, f"curl, HTTP/{version}", command, {**api, "http": version}, missing=absent("curl"))

    trailers = {"grpc": ["echo: one", "echo: two"], "trailer": "came"}
    calls = {"post": "echo: hello there", "stream": NUMBERS, "upload": upload, **trailers}
    target = ["grpc.example.test:443", "grpcio", file]
    yield from (curl("1.1"), curl("2"))
    yield python("requests", "Python: requests", "with_requests.py", expected=api)
    yield python("httpx-1", "Python: httpx, HTTP/1.1", "with_httpx.py", "1", expected={**api, "http": "1.1"})
    yield python("httpx-2", "Python: httpx, HTTP/2", "with_httpx.py", "2", expected={**api, "http": "2"})
    trust_env = "`ClientSession(trust_env=True)`"
    yield python("aiohttp", "Python: aiohttp", "with_aiohttp.py", expected={**api, **socket}, beyond=trust_env)
    manager = '`ProxyManager(os.environ["https_proxy"])`; with `--as`, its user in `proxy_headers`'
    yield python("urllib3", "Python: urllib3", "with_urllib3.py", expected=api, beyond=manager)
    yield python("grpcio", "Python: grpcio", "with_grpc.py", target=target, expected=calls)
    fetch = ["node", str(PROGRAMS / "fetch.mjs"), *at("fetch")]
    yield Client("fetch", "Node: fetch", fetch, api, missing=absent("node"))
    yield node("undici", "Node: undici", "undici.mjs", expected={**api, **socket})
    yield node("axios", "Node: axios", "axios.mjs", expected=api)
    yield node("got", "Node: got", "got.mjs", expected=api)
    yield node("ws", "Node: ws", "ws.mjs", expected=socket)
    java = ["java", str(PROGRAMS / "Client.java"), *at("java")]
    yield Client("java", "Java: HttpClient", java, {**api, **socket, "http": "2"}, missing=absent("java", "keytool"))
    go = ["go", "run", str(PROGRAMS / "client.go"), *at("go")]
    # It builds without a network, and leaves nothing behind.
    alone = {"GO111MODULE": "off", "GOPROXY": "off", "GOTOOLCHAIN": "local", "GOCACHE": f"{stage.cache.name}/go"}
    yield Client("go", "Go: net/http", go, {**api, "http": "2"}, variables=alone, missing=absent("go"))
    yield Client(
        "ruby", "Ruby: Net::HTTP", ["ruby", str(PROGRAMS / "client.rb"), *at("ruby")], api, missing=absent("ruby")
    )
    perl = ["perl", str(PROGRAMS / "client.pl"), *at("perl")]
    yield Client("perl", "Perl: LWP", perl, api, missing=absent("perl") or without_modules())


def tools(stage):
    """Programs that fetch and send on their own account."""
    file = str(stage.upload)
    url = "https://git.example.test/parcel.git"
    # What is pushed is what the clone began with, and a commit of 10 MiB on it.
    git = {"get": "from the repository", "post": True, "upload": True}
    yield Client("git", "git", [str(PROGRAMS / "git.sh"), url, file], git, missing=absent("git"))
    pip = [str(PROGRAMS / "pip.sh"), sys.executable, "https://pypi.example.test/simple"]
    isolated = {"PIP_CONFIG_FILE": os.devnull}
    yield Client("pip", "pip", pip, {"get": "from the index"}, variables=isolated)
    npm = [str(PROGRAMS / "npm.sh"), "https://npm.example.test/", file]
    token = "to publish: any word as `_authToken`"
    expected = {"get": "from the registry", "upload": "taken"}
    yield Client("npm", "npm", npm, expected, beyond=token, missing=absent("npm"))


def sdks(stage, upload):
    """SDKs with the base URLs that they come with."""
    file, words = str(stage.upload), ["a", "b", "c"]
    realtime = {"websocket": "session.created"}
    openai = {"get": ["gpt"], "post": "you said hello", "stream": words, "upload": upload, **realtime}
    anthropic = {"get": ["claude"], "post": "you said hello", "stream": words, "upload": upload}
    stripe = {"get": [], "post": "hello@example.test", "upload": upload}
    own_list = '`stripe.ca_bundle_path = os.environ["SSL_CERT_FILE"]`'
    rows = (
        ("openai", "OpenAI", openai, ""),
        ("anthropic", "Anthropic", anthropic, ""),
        ("stripe", "Stripe", stripe, own_list),
    )
    for vendor, title, expected, beyond in rows:
        name = f"{vendor}-python"
        command = [sys.executable, str(PROGRAMS / f"sdk_{vendor}.py"), name, file]
        yield Client(name, f"{title}'s SDK, Python", command, expected, beyond)
        name = f"{vendor}-node"
        command = ["node", str(PROGRAMS / f"sdk_{vendor}.mjs"), name, file]
        yield Client(name, f"{title}'s SDK, Node", command, expected, **packages())


def packages():
    """What Node's packages need."""
    modules = os.environ.get("CLIENTS_NODE_MODULES")
    missing = absent("node") or too_old() or ("" if modules else "the Node packages are not installed")
    return {"variables": {"MATRIX_MODULES": f"{modules}/"}, "missing": missing}


def too_old():
    """Why, when Node is older than its packages want it."""
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    return f"Node {version} is older than 20" if int(version[1:].partition(".")[0]) < 20 else ""


def absent(*programs):
    """Why, when one of these programs is not there."""
    lacking = [program for program in programs if not shutil.which(program)]
    return f"{', '.join(lacking)} is not installed" if lacking else ""


def without_modules():
    """Why, when Perl's modules are not there."""
    tried = subprocess.run(["perl", "-MLWP::Protocol::https", "-e", "1"], capture_output=True, check=False)
    return "" if tried.returncode == 0 else "Perl's LWP::Protocol::https is not installed"
