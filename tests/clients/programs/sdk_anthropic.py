"""Anthropic's SDK. Usage: NAME FILE; prints the answers as JSON."""

import json
import pathlib
import sys

import anthropic

name, file = sys.argv[1:]
client = anthropic.Anthropic()


def asked(text):
    return {"model": "claude", "max_tokens": 10, "messages": [{"role": "user", "content": text}]}


got = {
    "get": [model.id for model in client.models.list()],
    "post": client.messages.create(**asked("hello")).content[0].text,
    "stream": [],
}
with client.messages.stream(**asked(name)) as stream:
    for word in stream.text_stream:
        got["stream"].append(word)
        if word == "a":
            client.models.retrieve(f"seen-{name}")
uploaded = client.beta.files.upload(file=pathlib.Path(file))
got["upload"] = {"length": uploaded.size_bytes, "sha256": uploaded.id.removeprefix("file_")}
print(json.dumps(got))
