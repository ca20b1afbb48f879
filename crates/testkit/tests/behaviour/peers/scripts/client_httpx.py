"""httpx, which speaks HTTP/2 with the h2 package, on a tour: BASE CA BIG SHA256 VERSION."""

import asyncio
import hashlib
import ssl
import sys

import httpx

base, ca, big, sha256, version = sys.argv[1:]
options = {
    "base_url": base,
    "verify": ssl.create_default_context(cafile=ca),
    # Without HTTP/1.1 it has prior knowledge.
    "http1": version != "HTTP/2",
    "http2": version == "HTTP/2",
    "timeout": 60,
}
client = httpx.Client(**options)


def get(path, **options):
    reply = client.get(path, **options)
    assert reply.http_version == version, reply.http_version
    return reply


for _ in range(10):
    assert get("/length").text == "one two three"
for path in ("/chunked", "/close", "/trailers"):
    assert get(path).text == "one two three", path
for path in ("/found", "/moved"):
    assert get(path, follow_redirects=True).text == "one two three", path
assert client.head("/length").headers["content-length"] == "13"
assert get("/empty").status_code == 204
assert get("/length", headers={"If-None-Match": '"v1"'}).status_code == 304
assert get("/missing").status_code == 404

hello = hashlib.sha256(b"hello").hexdigest()
for method in ("POST", "PUT"):
    assert client.request(method, "/upload", content=b"hello").text == hello
assert client.post("/upload", content=iter([b"hel", b"l", b"o"])).text == hello

assert hashlib.sha256(get("/big").content).hexdigest() == sha256
with open(big, "rb") as content:
    assert client.post("/upload", content=content).text == sha256


async def many():
    """A hundred streams at once, over one more connection."""
    async with httpx.AsyncClient(**options) as client:
        await client.get("/length")
        replies = await asyncio.gather(*(client.get("/length") for _ in range(100)))
        assert [reply.text for reply in replies] == ["one two three"] * 100


asyncio.run(many())
