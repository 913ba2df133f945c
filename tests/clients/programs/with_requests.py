"""requests. Usage: BASE NAME FILE; prints the answers as JSON."""

import json
import sys

import requests

base, name, file = sys.argv[1:]
session = requests.Session()
got = {
    "get": session.get(f"{base}/v1/item", params={"q": "one"}).json(),
    "post": session.post(f"{base}/v1/echo", data="hello there").json(),
    "stream": [],
}
with open(file, "rb") as data:
    got["upload"] = session.post(f"{base}/v1/upload", data=data).json()
with session.get(f"{base}/v1/stream", stream=True) as answer:
    for line in answer.iter_lines(chunk_size=1, decode_unicode=True):
        if line.startswith("data: "):
            got["stream"].append(line[6:])
            if line == "data: 0":
                requests.get(f"{base}/v1/item?q=seen-{name}").raise_for_status()
print(json.dumps(got))
