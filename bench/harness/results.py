"""The numbers as they are kept: a JSON document that later runs add to."""

import argparse
import datetime
import json
import os
import statistics
from dataclasses import dataclass, field
from pathlib import Path

from .contenders import Contender


class Unreadable(Exception):
    """A file of results that is not one."""


@dataclass
class Series:
    """One proxy's values for one quantity. A single fault makes all of them invalid."""

    values: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    notes: dict = field(default_factory=dict)

    def note(self, key: str, value: float) -> None:
        self.notes.setdefault(key, []).append(value)

    def written(self) -> dict:
        faults = list(dict.fromkeys(self.faults))
        if not self.values and not faults:
            faults = ["no value was measured"]
        return {
            "median": None if faults else statistics.median(self.values),
            "values": [round(value, 4) for value in self.values],
            "faults": faults,
            "notes": {key: rounded(value) for key, value in self.notes.items() if value},
        }


def rounded(value):
    return [round(one, 3) for one in value] if isinstance(value, list) else value


def begin(path: Path | None, machine: dict, found: list[Contender]) -> dict:
    """What FILE holds already, or an empty document."""
    earlier = read(path)["scenarios"] if path and path.exists() else {}
    return {
        "machine": machine,
        "versions": {contender.name: contender.version for contender in found},
        "scenarios": earlier,
    }


def add(measured: dict, name: str, options: argparse.Namespace, quantities: dict[str, dict[str, Series]]) -> None:
    measured["scenarios"][name] = {
        "date": datetime.date.today().isoformat(),
        "commit": measured["machine"]["commit"],
        "rounds": options.rounds,
        "seconds": options.seconds,
        "quantities": {
            key: {proxy: series.written() for proxy, series in by_proxy.items()}
            for key, by_proxy in quantities.items()
        },
    }


def read(path: Path) -> dict:
    try:
        measured = json.loads(path.read_text())
        measured["scenarios"], measured["machine"], measured["versions"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Unreadable(f"{path} cannot be read as results: {error!r}") from error
    return measured


def write(path: Path, measured: dict) -> None:
    """Beside it and renamed, so that an interrupted run leaves the old file whole."""
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(json.dumps(measured, indent=1) + "\n")
    os.replace(fresh, path)
