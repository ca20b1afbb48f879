"""A WSGI application for gunicorn as an origin; works in the directory ORIGIN_DIR."""

import hashlib
import os
import time

DIR = os.environ["ORIGIN_DIR"]


def app(environ, start_response):
    status, headers, content = "200 OK", [], [b"one two three"]
    match environ["PATH_INFO"]:
        case "/length":
            headers = [("ETag", '"v1"'), ("Content-Length", "13")]
            if environ.get("HTTP_IF_NONE_MATCH") == '"v1"':
                status, headers, content = "304 Not Modified", headers[:1], []
        case "/chunked":
            content = iter([b"one ", b"two ", b"three"])
        case "/big":
            path = os.path.join(DIR, "web/big")
            headers = [("Content-Length", str(os.path.getsize(path)))]
            content = environ["wsgi.file_wrapper"](open(path, "rb"))
        case "/upload":
            content = [sha256(environ["wsgi.input"])]
            headers = [("Content-Length", "64")]
        case "/slow":
            content = slow()
        case "/empty":
            status, content = "204 No Content", []
        case _:
            status = "404 Not Found"
    headers.append(("X-Peer-Port", environ["REMOTE_PORT"]))
    start_response(status, headers)
    return content


def sha256(stream):
    digest = hashlib.sha256()
    while piece := stream.read(65536):
        digest.update(piece)
    return digest.hexdigest().encode()


def slow():
    for part in range(3):
        yield b"part %d\n" % part
        while not os.path.exists(os.path.join(DIR, f"go-{part}")):
            time.sleep(0.005)
