"""One run: a temporary directory, the origin, and proxies started for the scenario at hand."""

import argparse
import functools
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from . import certificate, checks, consumers, floods, h2load, idle, kill, limits, machine, origin, overload, probe
from . import routes, signing, streams, tokens, turns
from .contenders import Contender, able
from .ends import Ends
from .procs import Child, Procs, free_port
from .results import Series
from .scenarios import Scenario
from .setup import GRPC, Setup


PLAIN = Scenario("", "", ())


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
        self.callers: dict[str, signing.Caller] = {"": signing.Caller(())}
        self.started = 0

    def __enter__(self):
        self.temporary = tempfile.TemporaryDirectory(prefix="portcullis-bench-")
        self.procs.__enter__()
        try:
            self.directory = Path(self.temporary.name)
            self.certificate = certificate.make(self.directory)
            self.message = self.directory / "message"
            self.message.write_bytes(h2load.MESSAGE)
            self.ends = Ends(self.procs, self.directory)
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

    @functools.cached_property
    def grpc_origin_port(self) -> int:
        """Started when first asked for."""
        _, port = self.ends.origin()
        return port

    def caller(self, scenario: Scenario) -> signing.Caller:
        """What requests show in this scenario; nothing in most."""
        if scenario.caller not in self.callers:
            self.callers[scenario.caller] = signing.caller(scenario.caller, self.directory)
        return self.callers[scenario.caller]

    def measure(self, scenario: Scenario) -> dict[str, dict[str, Series]]:
        """Series by quantity and proxy."""
        taking_part = [one for one in self.found if one.name in scenario.proxies and able(one, scenario.speaks)]
        match scenario.kind:
            case "cpu":
                return turns.measure(self, scenario, taking_part)
            case "idle":
                return idle.measure(self, scenario, taking_part)
            case "streams":
                return streams.measure(self, taking_part)
            case "floods":
                return floods.measure(self, scenario, taking_part)
            case "limits":
                return limits.measure(self, scenario, taking_part)
            case "overload":
                return overload.measure(self, scenario, taking_part)
            case "checks":
                return checks.measure(self, scenario, taking_part)
            case "kill":
                return kill.measure(self, scenario, taking_part)
            case "tokens":
                return tokens.measure(self, scenario, taking_part)
            case "consumers":
                return consumers.measure(self, scenario, taking_part)
            case _:
                return routes.measure(self, taking_part)

    def setup(self, contender: Contender, scenario: Scenario = PLAIN, origin: int | None = None,
              **rest) -> Setup:
        """A directory and ports of its own for each start."""
        if origin is None:
            origin = self.grpc_origin_port if scenario.speaks == GRPC else self.origin_port
        self.started += 1
        directory = self.directory / f"{self.started}-{contender.name}"
        directory.mkdir()
        return Setup(
            directory=directory,
            port=free_port(),
            origin=origin,
            speaks=scenario.speaks,
            **rest,
            certificate=self.certificate if scenario.tls else None,
            full=scenario.full,
            forwarding=scenario.forwarding,
            admin=free_port(),
        )

    def launch(self, contender: Contender, setup: Setup, write: Callable[[str, Setup], list[str]]) -> Running:
        """Write the configuration and start the process; it may not answer yet."""
        argv = write(contender.binary, setup)
        child = self.procs.start(argv, machine.PROXY_CORE, setup.directory / "output")
        return Running(contender, setup, child)

    def serve(self, contender: Contender, scenario: Scenario, origin: int | None = None, **rest) -> Running:
        """Start for `scenario` and wait for the first answer; raises `probe.NotServing`."""
        setup = self.setup(contender, scenario, origin, **rest)
        running = self.launch(contender, setup, contender.start)
        how = {"tls": scenario.tls, "speaks": scenario.speaks, "fields": setup.fields}
        if scenario.speaks == GRPC:
            how |= {"method": "POST", "body": h2load.MESSAGE}
        try:
            probe.wait_ready(running.child, setup.port, "/1k", **how)
        except probe.NotServing:
            self.stop(running)
            raise
        return running

    def stop(self, running: Running) -> None:
        self.procs.stop(running.child)
        shutil.rmtree(running.setup.directory, ignore_errors=True)
