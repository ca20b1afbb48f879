"""What HTTP/2 floods do to another client: its 99th percentile with the flood over that without."""

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import probe, report
from .accounting import CpuWindow
from .contenders import Contender
from .results import Series
from .scenarios import FLOODED_WORKERS, FLOODERS, Scenario

if TYPE_CHECKING:
    from .bench import Bench, Running

CONNECTIONS = 1  # that flood at a time, each replaced as soon as it is thrown out
SETTLE_SECONDS = 10.0  # at most
LEAD_SECONDS = 0.3  # a flood begins before the client asks, and ends after it
OPEN_SECONDS = 0.2  # for the client to connect in, where it does so before the flood
CLIENT = "127.0.0.1"


@dataclass(frozen=True)
class Case:
    """One kind of flood, from an address of its own or from that of the client beside it, whose
    connections are open by then."""

    kind: str
    suffix: str

    def key(self, workers: int) -> str:
        return f"{self.kind}_{workers}{self.suffix}"


CASES = [Case(kind, suffix) for suffix, (_, kinds) in FLOODERS.items() for kind in kinds]


def unknown() -> Iterator[str]:
    """Addresses of loopback that the proxy has not heard from: it may remember who flooded it."""
    return (f"127.{a}.{b}.{c}" for a, b, c in itertools.product(range(1, 255), repeat=3))


def measure(bench: "Bench", scenario: Scenario, taking_part: list[Contender]) -> dict[str, dict[str, Series]]:
    """With one worker all; with more only Portcullis, whose connections may share a worker
    with the flood or not."""
    found: dict[str, dict[str, Series]] = {}
    for workers in FLOODED_WORKERS:
        contenders = [one for one in taking_part if workers == 1 or one.name == report.SUBJECT]
        own = {case: {one.name: Series() for one in contenders} for case in CASES}
        found |= {case.key(workers): series for case, series in own.items()}
        for contender in contenders:
            series = {case: by_proxy[contender.name] for case, by_proxy in own.items()}
            in_rounds(bench, contender, scenario, workers, series)
            print(f"  {contender.name}, workers: {workers}: done", flush=True)
    return found


def in_rounds(bench: "Bench", contender: Contender, scenario: Scenario, workers: int,
              series: dict[Case, Series]) -> None:
    """In each round one turn without a flood and one with each. Round 0 only warms up."""
    try:
        running = bench.serve(contender, scenario, workers=workers)
    except probe.NotServing as error:
        for own in series.values():
            own.faults.append(str(error))
        return
    addresses = unknown()
    for number in range(bench.rounds + 1):
        settle(running)
        try:
            client = bench.ends.steady(running.setup.port, scenario.path, bench.seconds, CLIENT)
            quiet = bench.ends.result(client, bench.seconds)
        except OSError as error:
            for own in series.values():
                own.faults.append(f"without a flood: {error}")
            break
        for case, own in series.items():
            if not own.faults:
                settle(running)
                flood(bench, running, scenario, case, next(addresses), quiet, own, counted=number > 0)
    bench.stop(running)


def settle(running: "Running") -> None:
    """Until the proxy has done with what was sent before."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < deadline:
        window = CpuWindow(running.child.pid)
        time.sleep(0.25)
        if window.close()[0] < 0.02:
            return


def flood(bench: "Bench", running: "Running", scenario: Scenario, case: Case, source: str, quiet: dict,
          own: Series, counted: bool) -> None:
    tool, port = bench.ends, running.setup.port
    seconds = bench.seconds + 2 * LEAD_SECONDS
    if case.suffix:
        client = tool.steady(port, scenario.path, bench.seconds, source, OPEN_SECONDS + LEAD_SECONDS)
        time.sleep(OPEN_SECONDS)
        flooder = tool.flood(port, case.kind, CONNECTIONS, seconds, source)
    else:
        flooder = tool.flood(port, case.kind, CONNECTIONS, seconds, source)
        time.sleep(LEAD_SECONDS)
        client = tool.steady(port, scenario.path, bench.seconds, CLIENT)
    try:
        flooded = tool.result(client, seconds)
    except OSError as error:
        own.faults.append(f"the other client: {error}")
        flooded = None
    sent = tool.result(flooder, seconds)
    if not running.child.alive():
        own.faults.append(f"the proxy ended: {running.child.tail()}")
    if counted and flooded:
        own.values.append(flooded["p99_us"] / quiet["p99_us"])
        own.note("quiet_us", quiet["p99_us"])
        own.note("flooded_us", flooded["p99_us"])
        own.note("frames_per_s", sent["frames"] / sent["seconds"])
        own.note("thrown_out_per_s", sent["thrown_out"] / sent["seconds"])
