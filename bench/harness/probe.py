"""Single requests by the harness itself: is it up, and does it answer what it should?"""

import http.client
import ssl
import time
from dataclasses import dataclass

from .procs import Child

START_SECONDS = 60.0


@dataclass(frozen=True)
class Reply:
    status: int
    chunked: bool
    body: bytes
    tls: str  # "TLSv1.3 TLS_AES_256_GCM_SHA384", or empty


def fetch(port: int, path: str, method: str = "GET", body: bytes | None = None, tls: bool = False) -> Reply:
    """One request on a connection of its own; whatever goes wrong is an OSError."""
    if tls:
        connection = http.client.HTTPSConnection("localhost", port, timeout=10, context=trusting_context())
    else:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.connect()
        session = f"{connection.sock.version()} {connection.sock.cipher()[0]}" if tls else ""
        connection.request(method, path, body=body)
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


def wait_ready(child: Child, port: int, path: str, tls: bool = False, pause: float = 0.02) -> Reply:
    """The first 200, asked for every `pause` seconds."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if not child.alive():
            raise NotServing(f"ended at start: {child.tail()}")
        try:
            reply = fetch(port, path, tls=tls)
            if reply.status == 200:
                return reply
        except OSError:
            pass
        time.sleep(pause)
    raise NotServing(f"no answer in {START_SECONDS:.0f} s: {child.tail()}")
