"""What a rate limit or a token costs: CPU a request with one that nobody reaches, or that is asked for, over that of
the same proxy without, in the same rounds."""

import dataclasses
from typing import TYPE_CHECKING

from . import probe, redis, report, turns
from .contenders import Contender
from .results import Series
from .scenarios import LIMITS, Scenario
from .setup import Limit

if TYPE_CHECKING:
    from .bench import Bench, Running

BARE = "bare"


def measure(bench: "Bench", scenario: Scenario, taking_part: list[Contender]) -> dict[str, dict[str, Series]]:
    limits = LIMITS[scenario.name]
    found: dict[str, dict[str, Series]] = {key: {} for key in limits}
    store = redis.Redis(bench) if any(limit and limit.shared for limit in limits.values()) else None
    if store and not store.child:
        return {key: {one.name: Series(faults=[store.missing]) for one in taking_part} for key in limits}
    lanes = [lane for contender in taking_part for lane in lanes_of(bench, scenario, contender, store)]
    in_rounds(bench, scenario, lanes)
    for contender in taking_part:
        own = {lane.key: lane for lane in lanes if lane.contender is contender}
        for key in own.keys() - {BARE}:
            found[key][contender.name] = ratios(own[BARE], own[key])
    if store:
        store.check(found)
    for lane in lanes:
        if lane.running:
            bench.stop(lane.running)
    if store:
        store.stop()
    return found


class Lane:
    """One proxy with one limit, or without."""

    def __init__(self, contender: Contender, key: str):
        self.contender = contender
        self.key = key
        self.series = Series()
        self.running: "Running | None" = None


def lanes_of(bench: "Bench", scenario: Scenario, contender: Contender, store: "redis.Redis | None") -> list[Lane]:
    lanes = []
    for key, limit in {BARE: None, **LIMITS[scenario.name]}.items():
        if limit and not limit.fields and contender.name != report.SUBJECT:
            continue  # the others have no fields to leave away
        lane = Lane(contender, key)
        lanes.append(lane)
        try:
            caller = bench.caller(scenario)
            how = caller.only_sent() if key == BARE else caller.asked()
            lane.running = bench.serve(contender, scenario, limit=placed(limit, store), **how)
        except probe.NotServing as error:
            lane.series.faults.append(str(error))
    return lanes


def placed(limit: Limit | None, store: "redis.Redis | None") -> Limit | None:
    return dataclasses.replace(limit, store=store.port) if limit and limit.shared and store else limit


def in_rounds(bench: "Bench", scenario: Scenario, lanes: list[Lane]) -> None:
    """As `turns` does it, all proxies with and without."""
    for number in range(bench.rounds + 1):
        first = number % len(lanes) if lanes else 0
        for lane in lanes[first:] + lanes[:first]:
            if lane.running and not lane.series.faults:
                turns.take(bench, lane.running, scenario, lane.series, counted=number > 0)
        print(f"  round {number} of {bench.rounds}", flush=True)


def ratios(bare: Lane, limited: Lane) -> Series:
    """Round by round: what slows the machine for a while slows both."""
    own = Series(faults=[*(f"without: {fault}" for fault in bare.series.faults), *limited.series.faults])
    pairs = zip(limited.series.values, bare.series.values, strict=False)
    own.values = [with_limit / without for with_limit, without in pairs]
    own.notes = {**limited.series.notes, "us_with": limited.series.values, "us_without": bare.series.values}
    return own
