"""Goodput of a service that can do only so much, by load: with shedding and without."""

import statistics
from typing import TYPE_CHECKING

from . import probe
from .contenders import Contender
from .results import Series
from .scenarios import Scenario

if TYPE_CHECKING:
    from .bench import Bench

PLACES, MILLIS = 25, 20
CAPACITY = PLACES * 1000 / MILLIS  # requests a second
DEADLINE = 250  # milliseconds, after which a client gives up
WARM_SECONDS = 3
SECONDS = 5  # as long as from one probe of the shedding to the next
LOADS = (0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5)  # times the capacity
AT = LOADS.index(2.0)
# A request counts from when it was due, so a load that comes late can only look worse. One that is as late as this
# (milliseconds) is no load: it is tried again.
TOO_LATE = 1000
TRIES = 2

CASES = {"shedding": "overload: {}", "without": ""}


def measure(bench: "Bench", scenario: Scenario, taking_part: list[Contender]) -> dict[str, dict[str, Series]]:
    """Half as many rounds as elsewhere: each is two minutes."""
    found: dict[str, dict[str, Series]] = {case: {} for case in CASES}
    rounds = max(1, bench.rounds // 2)
    for contender in taking_part:
        curves: dict[str, list[list[dict]]] = {case: [] for case in CASES}
        for case in CASES:
            found[case][contender.name] = Series()
        for number in range(1, rounds + 1):
            for case, curve in curves.items():
                own = found[case][contender.name]
                if not own.faults:
                    curve.append([point(bench, scenario, contender, CASES[case], load, own) for load in LOADS])
            print(f"  round {number} of {rounds}", flush=True)
        for case, curve in curves.items():
            conclude(found[case][contender.name], curve)
    return found


def point(bench: "Bench", scenario: Scenario, contender: Contender, service: str, load: float, own: Series) -> dict:
    """Everything afresh: a row of waiting requests would outlive the load."""
    for _ in range(TRIES):
        origin, port = bench.ends.places(PLACES, MILLIS)
        seen = None
        try:
            running = bench.serve(contender, scenario, origin=port, service=service)
            seen = bench.ends.arrivals(running.setup.port, scenario.path, CAPACITY * load, DEADLINE, WARM_SECONDS,
                                       SECONDS)
            if not running.child.alive():
                own.faults.append(f"the proxy ended: {running.child.tail()}")
            bench.stop(running)
        except (probe.NotServing, OSError) as error:
            own.faults.append(f"at {load} times the capacity: {error}")
        bench.procs.stop(origin)
        if own.faults:
            break
        if seen and seen["behind_ms"] < TOO_LATE:
            print(f"    {service or 'without':<12} at {load:4.2f}: {share(seen, 'good'):5.1f} % good, "
                  f"{share(seen, 'refused'):5.1f} % refused, {share(seen, 'failed'):.1f} % failed", flush=True)
            return seen
    own.faults += [] if own.faults else [f"at {load} times the capacity the load came late"]
    return {}


def share(seen: dict, what: str) -> float:
    """In percent of the capacity."""
    return seen[what] / seen["seconds"] / CAPACITY * 100


def conclude(own: Series, curve: list[list[dict]]) -> None:
    if own.faults:
        return
    own.values = [share(points[AT], "good") for points in curve]
    own.notes["load"] = [load * 100 for load in LOADS]
    own.notes["behind_ms"] = [max(seen["behind_ms"] for seen in seens) for seens in zip(*curve, strict=True)]
    for what in ("good", "refused", "late", "failed"):
        own.notes[what] = [statistics.median(share(seen, what) for seen in seens)
                           for seens in zip(*curve, strict=True)]
