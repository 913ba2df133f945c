"""grpcio. Usage: HOST NAME FILE; prints the answers as JSON."""

import json
import sys

import grpc

host, name, file = sys.argv[1:]


def chunks():
    with open(file, "rb") as data:
        while chunk := data.read(1 << 20):
            yield chunk


with grpc.secure_channel(host, grpc.ssl_channel_credentials()) as channel:
    got = {"post": channel.unary_unary("/matrix.Echo/One")(b"hello there", timeout=60).decode(), "stream": []}
    for part in channel.unary_stream("/matrix.Echo/Back")(name.encode(), timeout=60):
        got["stream"].append(part.decode())
        if part == b"0":
            channel.unary_unary("/matrix.Echo/Seen")(b"", metadata=[("matrix-seen", name)], timeout=60)
    got["upload"] = json.loads(channel.stream_unary("/matrix.Echo/There")(chunks(), timeout=60))
    both = channel.stream_stream("/matrix.Echo/Both")(iter([b"one", b"two"]), timeout=60)
    got["grpc"] = [part.decode() for part in both]
    got["trailer"] = dict(both.trailing_metadata())["matrix-trailer"]
print(json.dumps(got))
