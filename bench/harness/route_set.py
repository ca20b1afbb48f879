"""The routes of the `routes` scenario: how they are named, and split over files."""

from collections.abc import Iterator

COUNT = 50_000
MANY = range(COUNT)
MIDDLE = 25_000  # the route that is looked up
FEW = range(MIDDLE - 5, MIDDLE + 5)  # ten, with the one looked up among them
CHANGED_ROUTE = 10_000  # the route that is changed live
CHANGED = "changed"  # what it then answers by itself

ROUTES_A_FILE = 100


def prefix(route: int) -> str:
    """The same length for every route, so that requests cost the same to parse."""
    return f"/team-{route // 100:03}/api-{route:05}"


def path(route: int) -> str:
    return f"{prefix(route)}/items/42"


def parts(routes: range) -> Iterator[range]:
    """Consecutive runs that share a file."""
    for first in range(routes.start, routes.stop, ROUTES_A_FILE):
        yield range(first, min(first + ROUTES_A_FILE, routes.stop))
