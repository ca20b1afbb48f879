"""The websockets package against an echo: URL CA PACKAGES."""

import os
import ssl
import sys

from websockets.sync.client import connect

url, ca, _ = sys.argv[1:]
context = ssl.create_default_context(cafile=ca) if url.startswith("wss") else None
for compression in (None, "deflate"):
    with connect(url, ssl=context, compression=compression, max_size=None) as socket:
        for count in range(100):
            socket.send(f"message {count}")
            assert socket.recv() == f"message {count}"
        for length in (0, 125, 126, 65535, 65536, 1 << 20):
            message = os.urandom(length)
            socket.send(message)
            assert socket.recv() == message, length
        assert socket.ping().wait(60)
        socket.close(4001, "enough")
    assert socket.close_code == 4001, socket.close_code
