"""Load: wrk for kept-alive connections, our own threads for TLS handshakes."""

import json
import socket
import ssl
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from .probe import trusting_context

CONNECTIONS = 64
HANDSHAKERS = 16  # threads; more only fight over Python's lock
SCRIPT = Path(__file__).with_name("load.lua")


@dataclass
class Answered:
    """What a turn of load got back."""

    requests: int = 0
    seconds: float = 0.0
    bytes: int = 0
    failed: int = 0  # replies of 400 and above, and what got none
    faults: list[str] = field(default_factory=list)


def wrk(port: int, path: str, seconds: int, tls: bool = False, method: str = "GET", body: int = 0,
        keys: int = 0, fields: tuple[str, ...] = ()) -> Answered:
    """One wrk thread, inheriting the harness's core. By name over TLS, since SNI takes no address."""
    url = f"https://localhost:{port}{path}" if tls else f"http://127.0.0.1:{port}{path}"
    flags = [word for field in fields for word in ("-H", field)]
    argv = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", str(SCRIPT), *flags, url, "--", method, str(body),
            str(keys)]
    ran = subprocess.run(argv, capture_output=True, text=True, check=False, start_new_session=True)
    totals = next((line for line in ran.stdout.splitlines() if line.startswith("{")), None)
    if ran.returncode != 0 or totals is None:
        return Answered(faults=[f"wrk failed: {(ran.stderr or ran.stdout).strip()[-200:]}"])
    counted = json.loads(totals)
    names = {"status": "replies of 400 and above", "connect": "failed connects", "read": "read errors",
             "write": "write errors", "timeout": "timeouts"}
    faults = [f"{counted[key]} {name}" for key, name in names.items() if counted[key]]
    return Answered(counted["requests"], counted["microseconds"] / 1e6, counted["bytes"],
                    sum(counted[key] for key in names), faults)


def handshakes(port: int, path: str, seconds: int) -> Answered:
    """A new TLS connection for each request. wrk cannot do this: it reuses a closed
    connection's SSL object, and OpenSSL then resumes its session."""
    total = Answered()
    lock = threading.Lock()
    context = trusting_context()
    request = f"GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n".encode()
    began = time.monotonic()

    def keep_shaking():
        count = size = 0
        faults = set()
        while time.monotonic() - began < seconds and not faults:
            try:
                size += shake(context, port, request)
                count += 1
            except (OSError, Unexpected) as error:  # ssl.SSLError is an OSError
                faults.add(f"handshake load: {error}")
        with lock:
            total.requests += count
            total.bytes += size
            total.faults = sorted({*total.faults, *faults})

    threads = [threading.Thread(target=keep_shaking, daemon=True) for _ in range(HANDSHAKERS)]
    switch = sys.getswitchinterval()
    sys.setswitchinterval(0.0005)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.setswitchinterval(switch)
    total.seconds = time.monotonic() - began
    return total


class Unexpected(Exception):
    """An answer that is not the one asked for."""


def shake(context: ssl.SSLContext, port: int, request: bytes) -> int:
    """Connect, shake hands, ask, read to the end; the bytes received."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as secure,
    ):
        if secure.session_reused or secure.version() != "TLSv1.3":
            raise Unexpected(f"{secure.version()}, resumed: {secure.session_reused}")
        secure.sendall(request)
        received = bytearray()
        while part := secure.recv(65536):
            received += part
    if not received.startswith(b"HTTP/1.1 200 "):
        raise Unexpected(f"answer {bytes(received[:40])!r}")
    return len(received)
