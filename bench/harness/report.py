"""Tables: medians, their ratios to nginx, and whether Portcullis stays under its bars."""

import statistics
from pathlib import Path

from . import contenders, scenarios
from .scenarios import Bar, Quantity

SUBJECT = "portcullis"
BASE = "nginx"

BEGIN = "<!-- measured: begin (written by bench/run --readme) -->"
END = "<!-- measured: end -->"


def markdown(measured: dict) -> str:
    """The whole report. Ratios to nginx stand in brackets."""
    names = [name for name in contenders.NAMES if any(name in by for _, by in rows(measured))]
    table = [["what", "unit", *names, "at most", "reached"]]
    for quantity, by_proxy in rows(measured):
        cells = [cell(quantity, by_proxy, name) for name in names]
        bars = [words(bar) for bar in quantity.bars]
        reached = [verdict(quantity, bar, by_proxy) for bar in quantity.bars]
        table.append([quantity.label, quantity.unit, *cells, ", ".join(bars), ", ".join(reached)])
    text = [conditions(measured), "", *aligned(table)]
    if wrong := faults(measured):
        text += ["", "**INVALID:**", "", *(f"- {line}" for line in wrong)]
    return "\n".join(text)


def rows(measured: dict):
    """Each quantity measured, with its results by proxy, in the fixed order."""
    for scenario in scenarios.ALL:
        kept = measured["scenarios"].get(scenario.name)
        for quantity in scenario.quantities if kept else ():
            yield quantity, kept["quantities"][quantity.key]


def cell(quantity: Quantity, by_proxy: dict, name: str) -> str:
    result = by_proxy.get(name)
    if result is None:
        return "-"
    if result["faults"]:
        return "INVALID"
    text = f"{result['median']:.{quantity.digits}f}"
    base = by_proxy.get(BASE, {}).get("median")
    return f"{text} ({result['median'] / base:.2f})" if base and name != BASE and quantity.key == "cpu_us" else text


def words(bar: Bar) -> str:
    limit = f"{bar.limit:.2f} x {bar.against}" if bar.against else f"{bar.limit:g}"
    return f"at least {limit}" if bar.least else limit


def verdict(quantity: Quantity, bar: Bar, by_proxy: dict) -> str:
    """Portcullis against one bar; empty while either side is missing or invalid."""
    value = by_proxy.get(SUBJECT, {}).get("median")
    if value is not None and bar.against:
        base = by_proxy.get(bar.against, {}).get("median")
        value = value / base if base else None
    if value is None:
        return "-"
    reached = value >= bar.limit if bar.least else value <= bar.limit
    digits = 2 if bar.against else quantity.digits
    return f"{value:.{digits}f} {'yes' if reached else '**NO**'}"


def conditions(measured: dict) -> str:
    machine = measured["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in measured["versions"].items())
    kept = measured["scenarios"].values()
    dates, rounds, seconds = (
        "/".join(str(value) for value in sorted({one[key] for one in kept})) for key in ("date", "rounds", "seconds")
    )
    return (
        f"{machine['cpu']}, {machine['cores']} cores, Linux {machine['kernel']}; {versions}; "
        f"{dates}; medians of {rounds} rounds of {seconds} s; in brackets the ratio to nginx."
    )


def aligned(table: list[list[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    lines = ["| " + " | ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) + " |"
             for row in table]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return lines


def lines(measured: dict, name: str) -> str:
    """One scenario for the terminal, with the spread that tells how noisy the machine was."""
    kept = measured["scenarios"][name]
    scenario = next(one for one in scenarios.ALL if one.name == name)
    text = []
    for quantity in scenario.quantities:
        by_proxy = kept["quantities"][quantity.key]
        for proxy, result in by_proxy.items():
            if result["faults"]:
                text.append(f"  {proxy:<12} INVALID: {'; '.join(result['faults'])}")
                continue
            low, high = min(result["values"]), max(result["values"])
            spread = f"{low:.{quantity.digits}f} to {high:.{quantity.digits}f}"
            text.append(f"  {proxy:<12} {cell(quantity, by_proxy, proxy):>16} {quantity.unit:<10} ({spread})"
                        f"{load_note(result['notes'])}")
        if SUBJECT in by_proxy:
            text += [f"  {quantity.key}: {'' if bar.least else 'at most '}{words(bar)}: "
                     f"{verdict(quantity, bar, by_proxy)}" for bar in quantity.bars]
    return "\n".join(text)


def load_note(notes: dict) -> str:
    """How hard the proxy worked, and what others took of its core."""
    if "flooded_us" in notes:
        quiet, flooded, frames, thrown = (
            statistics.median(notes[key]) for key in ("quiet_us", "flooded_us", "frames_per_s", "thrown_out_per_s")
        )
        return f"  p99 {quiet:.0f} us, then {flooded:.0f} us at {frames:,.0f} frames/s, {thrown:,.0f} thrown out/s"
    if "us_a_check" in notes:
        return f"  {notes['checks_per_s'][0]:,.0f} checks/s, {notes['us_a_check'][0]:.1f} us each"
    if "served_before_killed" in notes:
        return f"  {len(notes['requests'])} kills, {sum(notes['requests']):,.0f} requests"
    if "rps" not in notes:
        return ""
    rps, busy, others = (statistics.mean(notes[key]) for key in ("rps", "core_busy", "core_others"))
    compared = ""
    if "us_with" in notes:
        compared = f"  {statistics.median(notes['us_with']):.2f} us, without {statistics.median(notes['us_without']):.2f}"
    return f"{compared}  {rps:,.0f} requests/s, core {busy:.0%} busy, others {others:.0%} {notes.get('tls', '')}".rstrip()


def faults(measured: dict) -> list[str]:
    """Every invalid result, named."""
    return [
        f"{scenario}, {key}, {proxy}: {'; '.join(result['faults'])}"
        for scenario, kept in measured["scenarios"].items()
        for key, by_proxy in kept["quantities"].items()
        for proxy, result in by_proxy.items()
        if result["faults"]
    ]


def rewrite_readme(path: Path, table: str) -> None:
    """Replace what stands between the two marker lines."""
    text = path.read_text()
    before, rest = text.split(BEGIN, 1)
    _, after = rest.split(END, 1)
    path.write_text(f"{before}{BEGIN}\n\n{table}\n\n{END}{after}")
