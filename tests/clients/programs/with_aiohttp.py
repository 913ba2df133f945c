"""aiohttp. Usage: BASE NAME FILE; prints the answers as JSON."""

import asyncio
import json
import sys

import aiohttp

base, name, file = sys.argv[1:]


async def main():
    got = {"stream": []}
    # Without trust_env, aiohttp heeds no proxy of the environment.
    async with aiohttp.ClientSession(trust_env=True) as session:
        async with session.get(f"{base}/v1/item", params={"q": "one"}) as answer:
            got["get"] = await answer.json()
        async with session.post(f"{base}/v1/echo", data="hello there") as answer:
            got["post"] = await answer.json()
        with open(file, "rb") as data:
            async with session.post(f"{base}/v1/upload", data=data) as answer:
                got["upload"] = await answer.json()
        async with session.get(f"{base}/v1/stream") as answer:
            async for line in answer.content:
                if line.startswith(b"data: "):
                    got["stream"].append(line[6:].decode().strip())
                    if line == b"data: 0\n":
                        async with session.get(f"{base}/v1/item?q=seen-{name}") as seen:
                            seen.raise_for_status()
        async with session.ws_connect(f"{base}/v1/socket".replace("https:", "wss:", 1)) as socket:
            await socket.send_str("hello")
            got["websocket"] = await socket.receive_str()
    print(json.dumps(got))


asyncio.run(main())
