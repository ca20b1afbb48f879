"""Python's http.client on a tour of the gateway: BASE CA BIG SHA256."""

import hashlib
import http.client
import ssl
import sys
from urllib.parse import urlsplit

base, ca, big, sha256 = sys.argv[1:]
url = urlsplit(base)
if url.scheme == "https":
    context = ssl.create_default_context(cafile=ca)
    connection = http.client.HTTPSConnection(url.netloc, context=context, timeout=60)
else:
    connection = http.client.HTTPConnection(url.netloc, timeout=60)


def ask(method, path, body=None, headers={}, chunked=False):
    connection.request(method, path, body, headers, encode_chunked=chunked)
    reply = connection.getresponse()
    return reply, reply.read()


for _ in range(10):
    reply, content = ask("GET", "/length")
    assert (reply.status, content) == (200, b"one two three"), (reply.status, content)
    assert not reply.will_close

for path in ("/chunked", "/close", "/trailers"):
    assert ask("GET", path)[1] == b"one two three", path
reply, content = ask("HEAD", "/length")
assert (reply.getheader("content-length"), content) == ("13", b"")
assert ask("GET", "/empty")[0].status == 204
assert ask("GET", "/length", headers={"If-None-Match": '"v1"'})[0].status == 304
assert ask("GET", "/missing")[0].status == 404
reply, _ = ask("GET", "/found")
assert (reply.status, reply.getheader("location")) == (302, "/length")
reply, _ = ask("GET", "/moved")
assert (reply.status, reply.getheader("location")) == (308, "/length"), reply.headers

hello = hashlib.sha256(b"hello").hexdigest().encode()
assert ask("POST", "/upload", b"hello")[1] == hello
parts = (part for part in (b"hel", b"l", b"o"))
assert ask("POST", "/upload", parts, {"Transfer-Encoding": "chunked"}, True)[1] == hello

assert hashlib.sha256(ask("GET", "/big")[1]).hexdigest() == sha256
with open(big, "rb") as content:
    assert ask("POST", "/upload", content.read())[1].decode() == sha256
with open(big, "rb") as content:
    assert ask("POST", "/upload", content, {"Transfer-Encoding": "chunked"}, True)[1].decode() == sha256
