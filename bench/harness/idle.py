"""Memory of idle connections: 10,000 kept alive after one request each, held by this process."""

import select
import socket
import struct
import time
from typing import TYPE_CHECKING

from . import probe
from .accounting import resident_bytes
from .contenders import Contender
from .results import Series
from .scenarios import Scenario

if TYPE_CHECKING:
    from .bench import Bench, Running

CONNECTIONS = 10_000
AT_ONCE = 64  # requests in flight while the connections are opened
SOURCES = 8  # loopback addresses, so that no local port range runs short
ROUNDS = 3  # at most: memory varies little, and each needs a fresh process
SETTLE_SECONDS = 2.0

IP_BIND_ADDRESS_NO_PORT = 24
RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER: leave no TIME_WAIT behind


def measure(bench: "Bench", scenario: Scenario, taking_part: list[Contender]) -> dict[str, dict[str, Series]]:
    series = {contender.name: Series() for contender in taking_part}
    rounds = min(bench.rounds, ROUNDS)
    for number in range(1, rounds + 1):
        for contender in taking_part:
            own = series[contender.name]
            if own.faults:
                continue
            try:
                running = bench.serve(contender, scenario)
            except probe.NotServing as error:
                own.faults.append(str(error))
                continue
            hold(running, scenario, own)
            bench.stop(running)
        print(f"  round {number} of {rounds}", flush=True)
    return {"idle_mib": series}


def hold(running: "Running", scenario: Scenario, own: Series) -> None:
    time.sleep(SETTLE_SECONDS)
    before = resident_bytes(running.child.pid)
    held: list[socket.socket] = []
    try:
        for first in range(0, CONNECTIONS, AT_ONCE):
            held += open_some(running.setup.port, scenario, range(first, min(first + AT_ONCE, CONNECTIONS)))
        time.sleep(SETTLE_SECONDS)
        own.values.append((resident_bytes(running.child.pid) - before) / (1 << 20))
        own.note("idle_process_mib", before / (1 << 20))
        if closed := count_closed(held):
            own.faults.append(f"{closed} of {CONNECTIONS} idle connections were closed")
    except OSError as error:
        own.faults.append(f"after {len(held)} connections: {error}")
    finally:
        for connection in held:
            connection.close()


def open_some(port: int, scenario: Scenario, numbers: range) -> list[socket.socket]:
    """A batch of connections, one answered request on each."""
    request = f"GET {scenario.path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
    opened = []
    for number in numbers:
        connection = socket.socket()
        connection.settimeout(10)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        connection.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        connection.bind((f"127.0.0.{2 + number % SOURCES}", 0))
        connection.connect(("127.0.0.1", port))
        connection.sendall(request)
        opened.append(connection)
    for connection in opened:
        read_reply(connection, scenario.reply)
    return opened


def read_reply(connection: socket.socket, size: int) -> None:
    received = b""
    while b"\r\n\r\n" not in received or len(received.split(b"\r\n\r\n", 1)[1]) < size:
        part = connection.recv(65536)
        if not part:
            raise ConnectionError("closed before the answer was complete")
        received += part
    if not received.startswith(b"HTTP/1.1 200 "):
        raise ConnectionError(f"answer {received[:40]!r}")


def count_closed(held: list[socket.socket]) -> int:
    """An idle connection has nothing to read; one that is readable has ended."""
    poll = select.poll()
    for connection in held:
        poll.register(connection, select.POLLIN)
    return len(poll.poll(0))
