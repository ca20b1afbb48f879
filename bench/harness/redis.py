"""A Redis server from the system, on a free port, that keeps nothing."""

import shutil
import socket
import time
from typing import TYPE_CHECKING

from . import machine
from .procs import Child, free_port
from .results import Series

if TYPE_CHECKING:
    from .bench import Bench

START_SECONDS = 10.0


class Redis:
    """`child` is None, and `missing` says why, where there is none."""

    missing = "redis-server is not installed (Debian: apt install redis-server)"

    def __init__(self, bench: "Bench"):
        self.bench = bench
        self.child: Child | None = None
        self.port = free_port()
        if binary := shutil.which("redis-server"):
            folder = bench.directory / "redis"
            folder.mkdir(exist_ok=True)
            argv = [binary, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
                    "--dir", str(folder)]
            self.child = bench.procs.start(argv, machine.LOAD_CORE, folder / "output")
            self.wait()

    def wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            try:
                if self.ask("PING") == "+PONG":
                    return
            except OSError:
                time.sleep(0.02)
        raise machine.Unfit(f"redis-server does not start: {self.child.tail()}")

    def ask(self, command: str) -> str:
        """The first line of the answer."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            connection.sendall(f"{command}\r\n".encode())
            return connection.makefile().readline().strip()

    def check(self, found: dict[str, dict[str, Series]]) -> None:
        """A limit that nothing was counted of in the store was cheap for another reason."""
        keys = self.ask("DBSIZE").removeprefix(":")
        for by_proxy in found.values():
            for own in by_proxy.values():
                own.notes["keys_in_store"] = keys
                if keys == "0":
                    own.faults.append("nothing was counted in Redis")

    def stop(self) -> None:
        if self.child:
            self.bench.procs.stop(self.child)
