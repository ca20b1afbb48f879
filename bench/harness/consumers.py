"""1,000,000 consumers with a key each in a store: time to start, memory of each, and what one more costs."""

import random
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from . import probe, signing
from .accounting import CpuWindow, resident_bytes
from .contenders import Contender
from .results import Series
from .scenarios import Scenario

if TYPE_CHECKING:
    from .bench import Bench, Running

FEW, MANY = 10, 1_000_000
MORE = 20_000  # that are added at once to the running gateway; CPU time is counted in ticks of 10 ms
ROUNDS = 3  # at most
SETTLE_SECONDS = 2.0
PATIENCE_SECONDS = 30.0


def measure(bench: "Bench", scenario: Scenario, taking_part: list[Contender]) -> dict[str, dict[str, Series]]:
    found: dict[str, dict[str, Series]] = {key: {} for key in ("consumers_s", "consumer_bytes", "consumer_us")}
    for contender in taking_part:
        own = {key: Series() for key in found}
        for key, series in own.items():
            found[key][contender.name] = series
        try:
            few, many = Store(bench, contender, FEW), Store(bench, contender, MANY)
            for number in range(1, min(bench.rounds, ROUNDS) + 1):
                once(bench, contender, scenario, few, many, own)
                print(f"  round {number}", flush=True)
        except (probe.NotServing, OSError) as error:
            own["consumers_s"].faults.append(str(error))
    return found


def once(bench: "Bench", contender: Contender, scenario: Scenario, few: "Store", many: "Store",
         own: dict[str, Series]) -> None:
    small, _ = few.serve(bench, contender, scenario)
    large, seconds = many.serve(bench, contender, scenario)
    time.sleep(SETTLE_SECONDS)
    grown = resident_bytes(large.child.pid) - resident_bytes(small.child.pid)
    own["consumers_s"].values.append(seconds)
    own["consumer_bytes"].values.append(grown / (MANY - FEW))
    own["consumer_us"].values.append(grow(large, many))
    bench.stop(small)
    bench.stop(large)


def grow(running: "Running", store: "Store") -> float:
    """Microseconds of CPU that the gateway takes for each consumer that is added while it runs. It is waited for as
    long without anything new, since looking for news costs something too."""
    idle = CpuWindow(running.child.pid)
    time.sleep(SETTLE_SECONDS)
    without, _ = idle.close()
    busy = CpuWindow(running.child.pid)
    began = time.monotonic()
    key = store.add(MORE)
    while probe.fetch(running.setup.port, "/1k", fields=(f"x-api-key: {key}",)).status != 200:
        if time.monotonic() - began > PATIENCE_SECONDS:
            raise OSError("new consumers do not get in")
        time.sleep(0.05)
    time.sleep(max(0.0, SETTLE_SECONDS - (time.monotonic() - began)))
    with_more, _ = busy.close()
    return (with_more - without) / MORE * 1e6


class Store:
    """A database that Portcullis has made, filled as `portcullis key` would."""

    def __init__(self, bench: "Bench", contender: Contender, count: int):
        self.path = Path(bench.directory) / f"consumers-{count}.db"
        self.source = random.Random(count)
        self.count = 0
        # The gateway makes the tables.
        bench.stop(bench.serve(contender, Scenario("", "", ()), more=self.section()))
        self.key = self.add(count)

    def section(self) -> str:
        return (f'credentials: {{ secret: {signing.SECRET}, store: "{self.path}", guessing: off }}\n'
                "plans: { small: { policies: [rate_limit: { limit: 1000000, per: 1s }] } }\n")

    def serve(self, bench: "Bench", contender: Contender, scenario: Scenario) -> tuple["Running", float]:
        """Seconds from the start of the process to its first answer."""
        began = time.monotonic()
        running = bench.serve(contender, scenario, policies=("api_key: {}",), more=self.section(),
                              fields=(f"x-api-key: {self.key}",))
        return running, time.monotonic() - began

    def add(self, count: int) -> str:
        """So many more in one transaction. The last one's key, which is the only one whose hash is right: hashing
        all would take longer than all the rest."""
        key = signing.api_key(self.source)
        with sqlite3.connect(self.path) as database:
            (changed,) = database.execute("UPDATE change SET number = number + 1 RETURNING number").fetchone()
            numbers = range(self.count + 1, self.count + count + 1)
            database.executemany("INSERT INTO consumer (id, name, plan, groups, changed) VALUES (?, ?, 'small', '', ?)",
                                 ((number, f"consumer-{number:08}", changed) for number in numbers))
            database.executemany("INSERT INTO key (prefix, hash, consumer, created, changed) VALUES (?, ?, ?, 0, ?)",
                                 self.keys(key, numbers, changed))
        database.close()
        self.count += count
        return key

    def keys(self, last: str, numbers: range, changed: int) -> Iterator[tuple[str, bytes, int, int]]:
        for number in numbers[:-1]:
            yield f"0{number:07}", self.source.randbytes(32), number, changed  # no real key has a zero
        yield signing.prefix(last), signing.key_hash(last), numbers[-1], changed
