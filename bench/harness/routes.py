"""50,000 routes: time to start, a change live, memory a route, and what a lookup costs."""

import os
import signal
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING

from . import probe, route_set, turns
from .accounting import resident_bytes
from .contenders import Contender
from .results import Series
from .scenarios import Scenario

if TYPE_CHECKING:
    from .bench import Bench, Running

ROUNDS = 5  # at most: starts and changes
SETTLE_SECONDS = 1.0
CHANGE_SECONDS = 30.0
POLL_SECONDS = 0.001

LOOKUP = Scenario("lookup", "", (), path=route_set.path(route_set.MIDDLE))


def measure(bench: "Bench", taking_part: list[Contender]) -> dict[str, dict[str, Series]]:
    found = {key: {one.name: Series() for one in taking_part}
             for key in ("start_s", "change_ms", "route_bytes", "lookup_ratio")}
    for contender in taking_part:
        own = {key: series[contender.name] for key, series in found.items()}
        try:
            few, many = start_both(bench, contender, own)
        except probe.NotServing as error:
            for series in own.values():
                series.faults.append(str(error))
            continue
        look_up(bench, few, many, own["lookup_ratio"])
        change(bench, many, own["change_ms"])
        bench.stop(few)
        bench.stop(many)
        print(f"  {contender.name} done", flush=True)
    return found


def start_both(bench: "Bench", contender: Contender, own: dict[str, Series]) -> tuple["Running", "Running"]:
    """Start with few and with many routes, several times; the last pair stays. The first
    pair only warms the file cache."""
    rounds = min(bench.rounds, ROUNDS)
    for number in range(rounds + 1):
        few, _ = start(bench, contender, route_set.FEW)
        many, seconds = start(bench, contender, route_set.MANY)
        time.sleep(SETTLE_SECONDS)
        grown = resident_bytes(many.child.pid) - resident_bytes(few.child.pid)
        if number > 0:
            own["start_s"].values.append(seconds)
            own["route_bytes"].values.append(grown / route_set.COUNT)
        if number < rounds:
            bench.stop(few)
            bench.stop(many)
    return few, many


def start(bench: "Bench", contender: Contender, routes: range) -> tuple["Running", float]:
    """Seconds from the start of the process to its first answer; writing the files is not in them."""
    written = 0.0

    def write(binary, setup):
        nonlocal written
        argv = contender.routes.with_routes(binary, setup, routes)
        written = time.monotonic()
        return argv

    running = bench.launch(contender, bench.setup(contender), write)
    try:
        probe.wait_ready(running.child, running.setup.port, LOOKUP.path, pause=0.002)
    except probe.NotServing:
        bench.stop(running)
        raise
    return running, time.monotonic() - written


def look_up(bench: "Bench", few: "Running", many: "Running", own: Series) -> None:
    """Load on one route in the middle; with few routes and with many they take turns."""
    both = {"few": Series(), "many": Series()}
    for number in range(bench.rounds + 1):
        for name, running in (("few", few), ("many", many)):
            if not both[name].faults:
                turns.take(bench, running, LOOKUP, both[name], counted=number > 0)
    own.faults += both["few"].faults + both["many"].faults
    if not own.faults:
        own.values.append(statistics.median(both["many"].values) / statistics.median(both["few"].values))
        own.notes["us_with_10"] = both["few"].values
        own.notes["us_with_50000"] = both["many"].values


def change(bench: "Bench", many: "Running", own: Series) -> None:
    """One route changes to and fro. The clock runs from the renaming of its file, with the
    signal right behind it, until the new answer is seen; the first change does not count."""
    inside = next(part for part in route_set.parts(route_set.MANY) if route_set.CHANGED_ROUTE in part)
    for number in range(2 * min(bench.rounds, ROUNDS) + 1):
        changed = route_set.CHANGED_ROUTE if number % 2 == 0 else None
        file, text = many.contender.routes.change_route(many.setup, inside, changed)
        # Beside the configuration, not in it: a half-written file must not be seen.
        fresh = many.setup.directory / "fresh"
        fresh.write_text(text)
        seconds = rename_until(many, fresh, file, changed is not None)
        if seconds is None:
            own.faults.append(f"a changed route was not live after {CHANGE_SECONDS:.0f} s: {many.child.tail()}")
            return
        if number > 0:
            own.values.append(seconds * 1000)
        # Whatever follows a change (old workers leaving, memory freed) is not the next one's.
        time.sleep(SETTLE_SECONDS)


def rename_until(many: "Running", fresh: Path, file: Path, to_changed: bool) -> float | None:
    began = time.monotonic()
    os.rename(fresh, file)
    os.kill(many.child.pid, signal.SIGHUP)
    while time.monotonic() - began < CHANGE_SECONDS:
        if not many.child.alive():
            return None
        try:
            reply = probe.fetch(many.setup.port, route_set.path(route_set.CHANGED_ROUTE))
            is_changed = reply.body == route_set.CHANGED.encode()
            if reply.status == 200 and is_changed == to_changed:
                return time.monotonic() - began
        except OSError:
            pass
        time.sleep(POLL_SECONDS)
    return None
