"""A raw ASGI application for uvicorn as an origin; works in the directory ORIGIN_DIR."""

import asyncio
import hashlib
import os

DIR = os.environ["ORIGIN_DIR"]


async def app(scope, receive, send):
    if scope["type"] == "websocket":
        await echo_messages(scope, receive, send)
    elif scope["type"] == "http":
        await answer(scope, receive, send)


async def answer(scope, receive, send):
    fields = dict(scope["headers"])
    port = [(b"x-peer-port", str(scope["client"][1]).encode())]

    async def start(status=200, headers=()):
        await send({"type": "http.response.start", "status": status, "headers": [*headers, *port]})

    async def body(content, more=False):
        await send({"type": "http.response.body", "body": content, "more_body": more})

    match scope["path"]:
        case "/length" if fields.get(b"if-none-match") == b'"v1"':
            await start(304, [(b"etag", b'"v1"')])
            await body(b"")
        case "/length":
            await start(200, [(b"etag", b'"v1"'), (b"content-length", b"13")])
            await body(b"one two three")
        case "/chunked":
            await start()
            for part in (b"one ", b"two ", b"three"):
                await body(part, more=True)
            await body(b"")
        case "/big":
            path = os.path.join(DIR, "web/big")
            await start(200, [(b"content-length", str(os.path.getsize(path)).encode())])
            with open(path, "rb") as big:
                while piece := big.read(65536):
                    await body(piece, more=True)
            await body(b"")
        case "/upload":
            digest = hashlib.sha256()
            async for piece in pieces(receive):
                digest.update(piece)
            await start(200, [(b"content-length", b"64")])
            await body(digest.hexdigest().encode())
        case "/slow":
            await start()
            for part in range(3):
                await body(b"part %d\n" % part, more=True)
                while not os.path.exists(os.path.join(DIR, f"go-{part}")):
                    await asyncio.sleep(0.005)
            await body(b"")
        case "/echo":
            await start()
            async for piece in pieces(receive):
                await body(piece, more=True)
            await body(b"")
        case "/empty":
            await start(204)
            await body(b"")
        case _:
            await start(404)
            await body(b"no such path")


async def pieces(receive):
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionResetError("the request broke off")
        yield message.get("body", b"")
        if not message.get("more_body"):
            return


async def echo_messages(scope, receive, send):
    await receive()
    chosen = "second" if "second" in scope["subprotocols"] else None
    await send({"type": "websocket.accept", "subprotocol": chosen})
    while (message := await receive())["type"] == "websocket.receive":
        if message.get("text") == "close with 4002":
            return await send({"type": "websocket.close", "code": 4002, "reason": "as asked"})
        content = {key: message[key] for key in ("text", "bytes") if message.get(key) is not None}
        await send({"type": "websocket.send", **content})
