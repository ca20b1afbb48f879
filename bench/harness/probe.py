"""Single requests by the harness itself: is it up, and does it answer what it should?"""

import http.client
import ssl
import time

from . import curl
from .procs import Child
from .reply import Reply
from .setup import GRPC, HTTP1, HTTP2

START_SECONDS = 60.0


def fetch(port: int, path: str, method: str = "GET", body: bytes | None = None, tls: bool = False,
          speaks: str = HTTP1, fields: tuple[str, ...] = ()) -> Reply:
    """One request on a connection of its own; whatever goes wrong is an OSError."""
    if speaks in (HTTP2, GRPC):
        return curl.fetch(port, path, method, body, tls, grpc=speaks == GRPC)
    if tls:
        connection = http.client.HTTPSConnection("localhost", port, timeout=10, context=trusting_context())
    else:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.connect()
        session = f"{connection.sock.version()} {connection.sock.cipher()[0]}" if tls else ""
        connection.request(method, path, body=body, headers=dict(field.split(": ", 1) for field in fields))
        response = connection.getresponse()
        return Reply(response.status, bool(response.chunked), response.read(), session)
    except http.client.HTTPException as error:
        raise ConnectionError(f"no proper answer: {error!r}") from error
    finally:
        connection.close()


def trusting_context() -> ssl.SSLContext:
    """Believes any certificate: who answers on our own loopback port is not the question."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class NotServing(Exception):
    """It ended, or did not answer in time."""


def wait_ready(child: Child, port: int, path: str, pause: float = 0.02, **how) -> Reply:
    """The first 200, asked for every `pause` seconds, otherwise as `fetch` is."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if not child.alive():
            raise NotServing(f"ended at start: {child.tail()}")
        try:
            reply = fetch(port, path, **how)
            if reply.status == 200:
                return reply
        except OSError:
            pass
        time.sleep(pause)
    raise NotServing(f"no answer in {START_SECONDS:.0f} s: {child.tail()}")
