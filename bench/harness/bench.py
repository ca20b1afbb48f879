"""One run: a temporary directory, the origin, and proxies started for the scenario at hand."""

import argparse
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from . import certificate, idle, machine, origin, probe, routes, turns
from .contenders import Contender
from .procs import Child, Procs, free_port
from .results import Series
from .scenarios import Scenario
from .setup import Setup


@dataclass(frozen=True)
class Running:
    contender: Contender
    setup: Setup
    child: Child

    @property
    def name(self) -> str:
        return self.contender.name

    @property
    def access_log(self) -> Path:
        return self.child.output if self.contender.logs_to_output else self.setup.log


class Bench:
    def __init__(self, options: argparse.Namespace, found: list[Contender]):
        self.rounds: int = options.rounds
        self.seconds: int = options.seconds
        self.found = found
        self.procs = Procs()
        self.started = 0

    def __enter__(self):
        self.temporary = tempfile.TemporaryDirectory(prefix="portcullis-bench-")
        self.procs.__enter__()
        try:
            self.directory = Path(self.temporary.name)
            self.certificate = certificate.make(self.directory)
            self.origin_port = free_port()
            self.start_origin()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.procs.__exit__()
        self.temporary.cleanup()

    def start_origin(self) -> None:
        directory = self.directory / "origin"
        directory.mkdir()
        argv = origin.command(shutil.which("nginx"), directory, self.origin_port)
        child = self.procs.start(argv, machine.LOAD_CORE, directory / "output")
        try:
            probe.wait_ready(child, self.origin_port, "/1k")
        except probe.NotServing as error:
            raise machine.Unfit(f"the origin: {error}") from error

    def measure(self, scenario: Scenario) -> dict[str, dict[str, Series]]:
        """Series by quantity and proxy."""
        taking_part = [one for one in self.found if one.name in scenario.proxies]
        match scenario.kind:
            case "cpu":
                return turns.measure(self, scenario, taking_part)
            case "idle":
                return idle.measure(self, scenario, taking_part)
            case _:
                return routes.measure(self, taking_part)

    def setup(self, contender: Contender, scenario: Scenario | None = None) -> Setup:
        """A directory and ports of its own for each start."""
        self.started += 1
        directory = self.directory / f"{self.started}-{contender.name}"
        directory.mkdir()
        return Setup(
            directory=directory,
            port=free_port(),
            origin=self.origin_port,
            certificate=self.certificate if scenario and scenario.tls else None,
            full=bool(scenario and scenario.full),
            admin=free_port(),
        )

    def launch(self, contender: Contender, setup: Setup, write: Callable[[str, Setup], list[str]]) -> Running:
        """Write the configuration and start the process; it may not answer yet."""
        argv = write(contender.binary, setup)
        child = self.procs.start(argv, machine.PROXY_CORE, setup.directory / "output")
        return Running(contender, setup, child)

    def serve(self, contender: Contender, scenario: Scenario) -> Running:
        """Start for `scenario` and wait for the first answer; raises `probe.NotServing`."""
        running = self.launch(contender, self.setup(contender, scenario), contender.start)
        try:
            probe.wait_ready(running.child, running.setup.port, "/1k", scenario.tls)
        except probe.NotServing:
            self.stop(running)
            raise
        return running

    def stop(self, running: Running) -> None:
        self.procs.stop(running.child)
        shutil.rmtree(running.setup.directory, ignore_errors=True)
