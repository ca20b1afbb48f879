"""One of three endpoints is killed under load: how many idempotent requests fail."""

import threading
from typing import TYPE_CHECKING

from . import load, probe
from .contenders import Contender
from .procs import Child
from .results import Series
from .scenarios import Scenario

if TYPE_CHECKING:
    from .bench import Bench

ENDPOINTS = 3
# An origin that has room for all, and takes long enough for a good part of the requests to be there when it is killed.
PLACES, MILLIS = 1000, 5


def measure(bench: "Bench", scenario: Scenario, taking_part: list[Contender]) -> dict[str, dict[str, Series]]:
    """Each is killed once a round, everything started afresh. What counts is the sum."""
    found = {}
    for contender in taking_part:
        own = found[contender.name] = Series()
        failed = 0
        for number in range(1, bench.rounds + 1):
            for victim in range(ENDPOINTS):
                if not own.faults:
                    failed += kill(bench, scenario, contender, victim, own)
            print(f"  round {number} of {bench.rounds}", flush=True)
        own.values.append(failed)
    return {"failed": found}


def kill(bench: "Bench", scenario: Scenario, contender: Contender, victim: int, own: Series) -> int:
    origins = [bench.ends.places(PLACES, MILLIS) for _ in range(ENDPOINTS)]
    endpoints = tuple(f"127.0.0.1:{port}" for _, port in origins)
    failed = 0
    try:
        running = bench.serve(contender, scenario, endpoints=endpoints)
        timer = threading.Timer(bench.seconds / 2, strike, (*origins[victim], own))
        timer.start()
        answered = load.wrk(running.setup.port, scenario.path, bench.seconds)
        timer.join()
        failed = answered.failed
        own.note("requests", answered.requests)
        if not answered.requests:
            own.faults += answered.faults or ["no request was answered"]
        if not running.child.alive():
            own.faults.append(f"the proxy ended: {running.child.tail()}")
        bench.stop(running)
    except probe.NotServing as error:
        own.faults.append(str(error))
    for origin, _ in origins:
        bench.procs.stop(origin)
    return failed


def strike(origin: Child, port: int, own: Series) -> None:
    try:
        served = int(probe.fetch(port, "/served").body)
    except OSError as error:
        own.faults.append(f"before it was killed: {error}")
        return
    origin.popen.kill()
    own.note("served_before_killed", served)
    if served < 100:
        own.faults.append(f"the one that was killed had served {served} requests only")
