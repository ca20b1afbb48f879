"""The requests package on a tour of the gateway: BASE CA BIG SHA256."""

import hashlib
import sys

import requests

base, ca, big, sha256 = sys.argv[1:]
session = requests.Session()
session.trust_env = False
session.verify = ca


def ask(method, path, **more):
    return session.request(method, base + path, timeout=60, **more)


for _ in range(10):
    reply = ask("GET", "/length")
    assert (reply.status_code, reply.text) == (200, "one two three"), reply

for path in ("/chunked", "/close", "/trailers"):
    assert ask("GET", path).text == "one two three", path
reply = ask("HEAD", "/length")
assert (reply.headers["content-length"], reply.content) == ("13", b"")
assert ask("GET", "/empty").status_code == 204
assert ask("GET", "/length", headers={"If-None-Match": '"v1"'}).status_code == 304
assert ask("GET", "/missing").status_code == 404
for path, status in (("/found", 302), ("/moved", 308)):
    reply = ask("GET", path)
    assert [hop.status_code for hop in reply.history] == [status], reply.history
    assert reply.text == "one two three"

hello = hashlib.sha256(b"hello").hexdigest()
assert ask("POST", "/upload", data=b"hello").text == hello
assert ask("POST", "/upload", data=(part for part in (b"hel", b"l", b"o"))).text == hello
for path in ("/again", "/moved-upload"):
    assert ask("POST", path, data=b"hello").text == hello, path

assert hashlib.sha256(ask("GET", "/big").content).hexdigest() == sha256
with open(big, "rb") as content:
    assert ask("POST", "/upload", data=content).text == sha256
