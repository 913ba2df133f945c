"""urllib3. Usage: BASE NAME FILE; prints the answers as JSON."""

import json
import os
import sys

import urllib3

base, name, file = sys.argv[1:]

# urllib3 heeds no proxy of the environment, and takes no user from its URL.
proxy = urllib3.util.parse_url(os.environ["https_proxy"])
proof = urllib3.make_headers(proxy_basic_auth=proxy.auth) if proxy.auth else None
pool = urllib3.ProxyManager(proxy.url, proxy_headers=proof)

got = {
    "get": pool.request("GET", f"{base}/v1/item", fields={"q": "one"}).json(),
    "post": pool.request("POST", f"{base}/v1/echo", body="hello there").json(),
    "stream": [],
}
with open(file, "rb") as data:
    got["upload"] = pool.request("POST", f"{base}/v1/upload", body=data).json()
answer = pool.request("GET", f"{base}/v1/stream", preload_content=False)
for line in answer:
    if line.startswith(b"data: "):
        got["stream"].append(line[6:].decode().strip())
        if line == b"data: 0\n":
            assert pool.request("GET", f"{base}/v1/item?q=seen-{name}").status == 200
print(json.dumps(got))
