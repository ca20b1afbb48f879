"""Peak memory with 1,000 connections of 100 streams each, all opened at once. `held`: HTTP/2 behind,
and the origin answers the first only when it has 8,000 of them. `burst`: all are asked for at once, HTTP/1.1 behind,
answered as fast as may be."""

from typing import TYPE_CHECKING

from . import h2load, probe
from .accounting import peak_bytes
from .contenders import Contender
from .results import Series
from .scenarios import Scenario
from .setup import GRPC, HTTP2

if TYPE_CHECKING:
    from .bench import Bench

CONNECTIONS = 1_000
STREAMS = 100
ALL = CONNECTIONS * STREAMS
# A gateway may let the rest wait with itself: Portcullis works on 8,192 a worker.
HELD_BACK = 8_000
ROUNDS = 3  # at most: each needs a fresh process

HELD = Scenario("held", "", (), speaks=GRPC)
# Connections to the origin. `held` needs 782, since it lets each have 128 streams. In `burst` a
# connection carries one request at a time, and an address has 28,000 ports, so the others wait.
MOST = 1_000

BURST = Scenario("burst", "", (), speaks=HTTP2)

# nginx has one HTTP/2 connection to the origin for each request under way, and lets none wait
# for an HTTP/1.1 connection.
CANNOT = ["nginx"]


def measure(bench: "Bench", taking_part: list[Contender]) -> dict[str, dict[str, Series]]:
    taking_part = [one for one in taking_part if one.name not in CANNOT]
    held = {one.name: Series() for one in taking_part}
    burst = {one.name: Series() for one in taking_part}
    rounds = min(bench.rounds, ROUNDS)
    for number in range(1, rounds + 1):
        for contender in taking_part:
            if not (own := held[contender.name]).faults:
                hold(bench, contender, own)
            if not (own := burst[contender.name]).faults:
                peak(bench, contender, BURST, bench.origin_port, own, most=MOST)
        print(f"  round {number} of {rounds}", flush=True)
    return {"held_mib": held, "burst_mib": burst}


def hold(bench: "Bench", contender: Contender, own: Series) -> None:
    """A fresh origin as well: it counts from its start."""
    origin, port = bench.ends.origin(held=HELD_BACK)
    peak(bench, contender, HELD, port, own, most=MOST)
    if not own.faults and f"held {HELD_BACK}" not in origin.tail():
        own.faults.append(f"the origin never had {HELD_BACK} requests open")
    bench.procs.stop(origin)


def peak(bench: "Bench", contender: Contender, scenario: Scenario, origin: int, own: Series, **rest) -> None:
    try:
        running = bench.serve(contender, scenario, origin, **rest)
    except probe.NotServing as error:
        own.faults.append(str(error))
        return
    own.note("idle_process_mib", peak_bytes(running.child.pid) / (1 << 20))
    answered = h2load.burst(running.setup.port, scenario.path, CONNECTIONS, STREAMS)
    own.faults += answered.faults
    own.values.append(peak_bytes(running.child.pid) / (1 << 20))
    if not running.child.alive():
        own.faults.append(f"the proxy ended: {running.child.tail()}")
    bench.stop(running)
