"""httpx. Usage: 1|2 BASE NAME FILE; prints the answers as JSON."""

import json
import sys

import httpx

version, base, name, file = sys.argv[1:]


def chunks():
    with open(file, "rb") as data:
        while chunk := data.read(1 << 16):
            yield chunk


with httpx.Client(http2=version == "2", timeout=60) as client:
    answer = client.get(f"{base}/v1/item", params={"q": "one"})
    got = {
        "get": answer.json(),
        "http": answer.http_version.removeprefix("HTTP/"),
        "post": client.post(f"{base}/v1/echo", content="hello there").json(),
        "upload": client.post(f"{base}/v1/upload", content=chunks()).json(),
        "stream": [],
    }
    with client.stream("GET", f"{base}/v1/stream") as answer:
        for line in answer.iter_lines():
            if line.startswith("data: "):
                got["stream"].append(line[6:])
                if line == "data: 0":
                    client.get(f"{base}/v1/item?q=seen-{name}").raise_for_status()
print(json.dumps(got))
