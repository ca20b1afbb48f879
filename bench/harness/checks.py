"""What active checks of 10,000 endpoints cost a gateway that has nothing else to do."""

import time
from typing import TYPE_CHECKING

from . import probe
from .accounting import CpuWindow
from .contenders import Contender
from .results import Series
from .scenarios import CHECKED, Scenario

if TYPE_CHECKING:
    from .bench import Bench, Running

INTERVAL_SECONDS = 10.0  # Portcullis's default
SETTLE_SECONDS = 15.0  # for each to be connected and checked once
SECONDS = 30.0
LEAST = 0.95  # of the checks that are due; fewer cost less for a bad reason


def measure(bench: "Bench", scenario: Scenario, taking_part: list[Contender]) -> dict[str, dict[str, Series]]:
    found = {}
    for contender in taking_part:
        own = found[contender.name] = Series()
        origin, port = bench.ends.places(1, 0, "0.0.0.0")
        try:
            running = bench.serve(contender, scenario, origin=port, endpoints=endpoints(port),
                                  service="health: { active: { http: { path: /health } } }")
            watch(running, port, own)
            bench.stop(running)
        except probe.NotServing as error:
            own.faults.append(str(error))
        bench.procs.stop(origin)
    return {"checks_share": found}


def endpoints(port: int) -> tuple[str, ...]:
    """Addresses of loopback, all of the one origin."""
    return tuple(f"127.1.{number // 250}.{number % 250 + 1}:{port}" for number in range(CHECKED))


def watch(running: "Running", origin: int, own: Series) -> None:
    time.sleep(SETTLE_SECONDS)
    before, window, began = served(origin), CpuWindow(running.child.pid), time.monotonic()
    time.sleep(SECONDS)
    (seconds, faults), took = window.close(), time.monotonic() - began
    checks = served(origin) - before
    own.faults += faults
    due = CHECKED * took / INTERVAL_SECONDS
    if checks < due * LEAST:
        own.faults.append(f"{checks} checks in {took:.0f} s, and {due:.0f} are due; {running.child.tail()}")
    own.values.append(seconds / took * 100)
    own.note("checks_per_s", checks / took)
    own.note("us_a_check", seconds / max(checks, 1) * 1e6)


def served(port: int) -> int:
    return int(probe.fetch(port, "/served").body)
