"""The program under tools/: compiled for the run, and started in its parts."""

import json
import shutil
import socket
import subprocess
import time
from pathlib import Path

from . import machine
from .procs import Child, Procs, free_port

SOURCE = Path(__file__).resolve().parents[1] / "tools" / "main.rs"
START_SECONDS = 10.0
PATIENCE = 20.0  # beyond what was asked for; the steady client waits ten seconds for an answer


class Ends:
    def __init__(self, procs: Procs, directory: Path):
        self.procs = procs
        self.directory = directory
        self.binary: Path | None = None
        self.started = 0

    def origin(self, held: int = 0) -> tuple[Child, int]:
        """Answers POST as a gRPC service does; holds GET back until `held` are open. The
        child, and its port."""
        port = free_port()
        child = self.start("origin", str(port), str(held))
        return listening(child, port), port

    def places(self, places: int, millis: int, address: str = "127.0.0.1", port: int = 0) -> tuple[Child, int]:
        """An HTTP/1.1 origin that takes so many requests at a time, and so many milliseconds for each.
        The child, and its port."""
        port = port or free_port()
        child = self.start("places", address, str(port), str(places), str(millis))
        return listening(child, port), port

    def arrivals(self, port: int, path: str, rate: float, deadline: int, warm: int, seconds: int) -> dict:
        """Requests that come at a rate, whatever becomes of those before; the deadline is in milliseconds.
        What became of them, or OSError."""
        child = self.begin_arrivals(port, path, rate, deadline, warm, seconds)
        return self.result(child, warm + seconds)

    def begin_arrivals(self, port: int, path: str, rate: float, deadline: int, warm: int, seconds: int,
                       fields: Path | None = None) -> Child:
        """The same, to go on beside something else; `result` has what became of them. Each request has the next
        line of `fields`."""
        words = (path, str(rate), str(deadline), str(warm), str(seconds), *([str(fields)] if fields else []))
        return self.start("arrivals", str(port), *words)

    def flood(self, port: int, kind: str, connections: int, seconds: float, source: str) -> Child:
        """Ends by itself. It gets what the others on its core leave: a client and an origin
        that waited for the flooder would be slow for a reason that is not the proxy's."""
        return self.start("flood", str(port), kind, str(connections), str(seconds), source, leftover=True)

    def steady(self, port: int, path: str, seconds: float, source: str, wait: float = 0.0) -> Child:
        """Connects at once, and asks once it has waited; `result` has what it found, or raises OSError
        with the reason when it was failed."""
        return self.start("steady", str(port), path, str(seconds), source, str(wait))

    def result(self, child: Child, seconds: float) -> dict:
        """Wait for the child's end, and read what it printed."""
        try:
            code = child.popen.wait(seconds + PATIENCE)
        except subprocess.TimeoutExpired:
            code = None
        said = child.output.read_text(errors="replace")
        self.procs.stop(child)
        if code != 0:
            raise ConnectionError(child.tail() or "no end in time")
        return json.loads(said)

    def start(self, *words: str, leftover: bool = False) -> Child:
        if self.binary is None:
            self.binary = self.compile()
        self.started += 1
        output = self.directory / f"ends-{self.started}"
        return self.procs.start([str(self.binary), *words], machine.LOAD_CORE, output, leftover)

    def compile(self) -> Path:
        if not shutil.which("rustc"):
            raise machine.Unfit("rustc is missing; the program under tools/ is compiled with it")
        binary = self.directory / "ends"
        ran = subprocess.run(["rustc", "-O", "--edition", "2024", SOURCE, "-o", binary],
                             capture_output=True, text=True, check=False)
        if ran.returncode != 0:
            raise machine.Unfit(f"rustc could not compile {SOURCE.name}: {ran.stderr.strip()[-400:]}")
        return binary


def listening(child: Child, port: int) -> Child:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return child
        except OSError:
            time.sleep(0.02)
    raise machine.Unfit(f"an origin does not start: {child.tail()}")
