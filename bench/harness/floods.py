"""What HTTP/2 floods do to another client: its 99th percentile with the flood over that without."""

import time
from typing import TYPE_CHECKING

from . import probe, report
from .accounting import CpuWindow
from .contenders import Contender
from .results import Series
from .scenarios import FLOODED_WORKERS, FLOODS, Scenario

if TYPE_CHECKING:
    from .bench import Bench, Running

CONNECTIONS = 1  # that flood at a time, each replaced as soon as it is thrown out
SETTLE_SECONDS = 10.0  # at most
LEAD_SECONDS = 0.3  # a flood begins before the client and ends after it


def measure(bench: "Bench", scenario: Scenario, taking_part: list[Contender]) -> dict[str, dict[str, Series]]:
    """With one worker all; with more only Portcullis, whose connections may share a worker
    with the flood or not."""
    found: dict[str, dict[str, Series]] = {}
    for workers in FLOODED_WORKERS:
        contenders = [one for one in taking_part if workers == 1 or one.name == report.SUBJECT]
        own = {kind: {one.name: Series() for one in contenders} for kind in FLOODS}
        found |= {f"{kind}_{workers}": series for kind, series in own.items()}
        for contender in contenders:
            series = {kind: by_proxy[contender.name] for kind, by_proxy in own.items()}
            in_rounds(bench, contender, scenario, workers, series)
            print(f"  {contender.name}, workers: {workers}: done", flush=True)
    return found


def in_rounds(bench: "Bench", contender: Contender, scenario: Scenario, workers: int,
              series: dict[str, Series]) -> None:
    """In each round one turn without a flood and one with each. Round 0 only warms up."""
    try:
        running = bench.serve(contender, scenario, workers=workers)
    except probe.NotServing as error:
        for own in series.values():
            own.faults.append(str(error))
        return
    for number in range(bench.rounds + 1):
        settle(running)
        try:
            quiet = bench.h2tool.steady(running.setup.port, scenario.path, bench.seconds)
        except OSError as error:
            for own in series.values():
                own.faults.append(f"without a flood: {error}")
            break
        for kind, own in series.items():
            if not own.faults:
                settle(running)
                flood(bench, running, scenario, kind, quiet, own, counted=number > 0)
    bench.stop(running)


def settle(running: "Running") -> None:
    """Until the proxy has done with what was sent before."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < deadline:
        window = CpuWindow(running.child.pid)
        time.sleep(0.25)
        if window.close()[0] < 0.02:
            return


def flood(bench: "Bench", running: "Running", scenario: Scenario, kind: str, quiet: dict,
          own: Series, counted: bool) -> None:
    port = running.setup.port
    seconds = bench.seconds + 2 * LEAD_SECONDS
    flooder = bench.h2tool.flood(port, kind, CONNECTIONS, seconds)
    try:
        time.sleep(LEAD_SECONDS)
        flooded = bench.h2tool.steady(port, scenario.path, bench.seconds)
    except OSError as error:
        own.faults.append(f"the other client: {error}")
        flooded = None
    sent = bench.h2tool.result(flooder, seconds)
    if not running.child.alive():
        own.faults.append(f"the proxy ended: {running.child.tail()}")
    if counted and flooded:
        own.values.append(flooded["p99_us"] / quiet["p99_us"])
        own.note("quiet_us", quiet["p99_us"])
        own.note("flooded_us", flooded["p99_us"])
        own.note("frames_per_s", sent["frames"] / sent["seconds"])
        own.note("thrown_out_per_s", sent["thrown_out"] / sent["seconds"])
