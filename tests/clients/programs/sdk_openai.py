"""OpenAI's SDK. Usage: NAME FILE; prints the answers as JSON."""

import json
import pathlib
import sys

import openai

name, file = sys.argv[1:]
client = openai.OpenAI()


def chat(text, **more):
    return client.chat.completions.create(model="gpt", messages=[{"role": "user", "content": text}], **more)


got = {
    "get": [model.id for model in client.models.list()],
    "post": chat("hello").choices[0].message.content,
    "stream": [],
}
for chunk in chat(name, stream=True):
    if word := chunk.choices[0].delta.content:
        got["stream"].append(word)
        if word == "a":
            client.models.retrieve(f"seen-{name}")
uploaded = client.files.create(file=pathlib.Path(file), purpose="assistants")
got["upload"] = {"length": uploaded.bytes, "sha256": uploaded.id.removeprefix("file-")}
with client.realtime.connect(model="gpt") as connection:
    got["websocket"] = connection.recv().type
print(json.dumps(got))
