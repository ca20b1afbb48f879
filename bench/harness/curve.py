"""The picture in the docs: goodput by load, with shedding and without."""

from pathlib import Path

from .report import SUBJECT

FILE = Path(__file__).resolve().parents[2] / "docs" / "src" / "overload-curve.svg"

WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 24, 56
MOST_LOAD, MOST_GOOD = 260, 110  # percent of the capacity

# How each line is drawn, and where its name stands: load and goodput.
LINES = {
    "shedding": ("#1b6ca8", "", "overload: {}"),
    "without": ("#b3401f", "6 4", "without"),
}


def rewrite(measured: dict) -> None:
    """Nothing where it was not measured, or is invalid."""
    kept = measured["scenarios"].get("overload")
    results = {case: kept["quantities"][case].get(SUBJECT) for case in LINES} if kept else {}
    if results and all(result and not result["faults"] for result in results.values()):
        FILE.write_text(drawn({case: result["notes"] for case, result in results.items()}))


def drawn(curves: dict[str, dict]) -> str:
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="13">',
        "<title>Replies in time by load, in percent of what the service can do</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        *grid(),
        *(part for case, notes in curves.items() for part in line(case, notes)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def grid() -> list[str]:
    parts = []
    for good in range(0, MOST_GOOD, 20):
        parts += [f'<path d="M{x(0)} {y(good)}H{x(MOST_LOAD)}" stroke="#d8d8d8"/>',
                  f'<text x="{LEFT - 8}" y="{y(good) + 4}" text-anchor="end">{good} %</text>']
    for load in range(0, MOST_LOAD, 50):
        parts.append(f'<text x="{x(load)}" y="{y(0) + 20}" text-anchor="middle">{load} %</text>')
    middle = (x(0) + x(MOST_LOAD)) / 2
    return [*parts,
            f'<text x="{middle}" y="{HEIGHT - 12}" text-anchor="middle">requests, of what the service can do</text>',
            f'<text transform="translate(16 {(y(0) + y(MOST_GOOD)) / 2}) rotate(-90)" text-anchor="middle">'
            "answered in time</text>"]


def line(case: str, notes: dict) -> list[str]:
    color, dashes, name = LINES[case]
    points = list(zip(notes["load"], notes["good"], strict=True))
    path = " ".join(f"{x(load)},{y(good)}" for load, good in points)
    # The name goes where the lines are apart: before the last point.
    load, good = points[-2]
    return [f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2.5" '
            f'stroke-dasharray="{dashes or "none"}"/>',
            *(f'<circle cx="{x(load)}" cy="{y(good)}" r="3.5" fill="{color}"/>' for load, good in points),
            f'<text x="{x(load)}" y="{y(good) + (24 if good > 50 else -12)}" text-anchor="middle" fill="{color}" '
            f'font-weight="bold">{name}</text>']


def x(load: float) -> float:
    return round(LEFT + load / MOST_LOAD * (WIDTH - LEFT - RIGHT), 1)


def y(good: float) -> float:
    return round(HEIGHT - BOTTOM - good / MOST_GOOD * (HEIGHT - TOP - BOTTOM), 1)
