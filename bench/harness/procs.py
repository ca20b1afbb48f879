"""Child processes: pinned to a core, ended by pid, never left behind; and free ports."""

import ctypes
import os
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from . import accounting

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)

STOP_SECONDS = 10.0


@dataclass
class Child:
    popen: subprocess.Popen
    output: Path

    @property
    def pid(self) -> int:
        return self.popen.pid

    def alive(self) -> bool:
        return self.popen.poll() is None

    def tail(self) -> str:
        """The end of what it printed, for a fault's text."""
        return " | ".join(self.output.read_text(errors="replace").strip().splitlines()[-3:])[-400:]


class Procs:
    """Starts children and ends every one of them on leaving the `with` block."""

    def __init__(self):
        self.children: list[Child] = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # A second Ctrl-C must not interrupt the ending itself.
        previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
        for child in reversed(list(self.children)):
            self.stop(child)
        signal.signal(signal.SIGINT, previous)

    def start(self, argv: list[str], core: int, output: Path, leftover: bool = False) -> Child:
        """Run `argv` on one core, its output appended to a file. Its own session keeps the
        terminal's Ctrl-C from it; the death signal ends it should this harness be killed. With `leftover`
        it gets only what the others leave of the core."""

        def in_child():
            os.sched_setaffinity(0, {core})
            if leftover:
                os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
            LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)

        with open(output, "ab") as sink:
            popen = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT,
                start_new_session=True, preexec_fn=in_child,
            )
        child = Child(popen, output)
        self.children.append(child)
        return child

    def stop(self, child: Child) -> None:
        """SIGTERM, patience, then SIGKILL for whatever of the tree still lives."""
        family = accounting.tree(child.pid)
        if child.alive():
            child.popen.terminate()
            try:
                child.popen.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                child.popen.kill()
                child.popen.wait()
        for pid, started in family:
            end(pid, started)
        self.children.remove(child)


def end(pid: int, started: int) -> None:
    """Give a grandchild a moment to follow its parent, then kill it, if it is still the same one."""
    deadline = time.monotonic() + 2.0
    while (process := accounting.read(pid)) and process.started == started:
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            return
        time.sleep(0.01)


def free_port() -> int:
    """A loopback TCP port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
