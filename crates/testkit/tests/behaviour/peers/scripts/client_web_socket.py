"""The websockets package against an echo: URL CA PACKAGES."""

import os
import ssl
import sys

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

url, ca, _ = sys.argv[1:]
context = ssl.create_default_context(cafile=ca) if url.startswith("wss") else None
options = {"ssl": context, "max_size": None}
for compression in (None, "deflate"):
    with connect(url, compression=compression, subprotocols=["first", "second"], **options) as socket:
        assert socket.subprotocol == "second", socket.subprotocol
        for count in range(100):
            socket.send(f"message {count} ✓")
            assert socket.recv() == f"message {count} ✓"
        for length in (0, 125, 126, 65535, 65536, 1 << 20, 16 << 20):
            message = os.urandom(length)
            socket.send(message)
            assert socket.recv() == message, length
        parts = [os.urandom(1000), b"", os.urandom(100_000)]
        socket.send(iter(parts))
        assert socket.recv() == b"".join(parts)
        assert socket.ping().wait(60)
        socket.close(4001, "enough")
    assert socket.close_code == 4001, socket.close_code

with connect(url, **options) as socket:
    socket.send("close with 4002")
    try:
        socket.recv()
        raise AssertionError("it is still open")
    except ConnectionClosed as closed:
        assert (closed.rcvd.code, closed.rcvd.reason) == (4002, "as asked"), closed
