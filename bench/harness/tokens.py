"""What verifying tokens does to other routes: 5,000 requests a second with a token of ES256 each, none like another, and
beside them a client of a route that asks for none. Its 99th percentile is compared with that while the same requests go
to a route that does not look at their tokens."""

from pathlib import Path
from typing import TYPE_CHECKING

from . import probe, signing
from .accounting import CpuWindow
from .contenders import Contender
from .results import Series
from .scenarios import Scenario

if TYPE_CHECKING:
    from .bench import Bench, Running

RATE = 5000
WARM_SECONDS = 1
LEAD_SECONDS = 0.5  # the client begins so long after the load
DEADLINE_MS = 2000
TOKENS = 4 * RATE  # twice of what a worker remembers: each has been forgotten when it comes again
ROUTES = f"""routes:
  all: {{ service: origin }}
  looked-at: {{ match: {{ path: /tokens }}, reply: {{ body: fine }}, policies: [{signing.policy()}] }}
  not-looked-at: {{ match: {{ path: /plain }}, reply: {{ body: fine }} }}
"""


def measure(bench: "Bench", scenario: Scenario, taking_part: list[Contender]) -> dict[str, dict[str, Series]]:
    found: dict[str, dict[str, Series]] = {key: {} for key in ("tokens", "verify_us")}
    lines, keys = signing.many_tokens(TOKENS)
    fields, key_set = bench.directory / "tokens", bench.directory / "jwks"
    fields.write_text("\n".join(lines))
    key_set.write_text(keys)
    more = f'issuers: {{ bench: {{ issuer: "{signing.ISSUER}", algorithms: [ES256], jwks: "file:{key_set}" }} }}\n'
    for contender in taking_part:
        own = {key: Series() for key in found}
        for key, series in own.items():
            found[key][contender.name] = series
        try:
            running = bench.serve(contender, scenario, routes=ROUTES, more=more)
            in_rounds(bench, running, scenario, fields, own)
            bench.stop(running)
        except (probe.NotServing, OSError) as error:
            own["tokens"].faults.append(str(error))
    return found


def in_rounds(bench: "Bench", running: "Running", scenario: Scenario, fields: Path, own: dict[str, Series]) -> None:
    """Both loads in turn; round 0 only warms up."""
    for number in range(bench.rounds + 1):
        plain = turn(bench, running, scenario, "/plain", fields, own["tokens"])
        looked_at = turn(bench, running, scenario, "/tokens", fields, own["tokens"])
        if number > 0:
            own["tokens"].values.append(looked_at["p99_us"] / plain["p99_us"])
            own["verify_us"].values.append(looked_at["cpu_us"] - plain["cpu_us"])
            for name in ("p50_us", "p99_us"):
                own["tokens"].note(name, looked_at[name])
                own["tokens"].note(f"plain_{name}", plain[name])
        print(f"  round {number} of {bench.rounds}", flush=True)


def turn(bench: "Bench", running: "Running", scenario: Scenario, path: str, fields: Path, own: Series) -> dict:
    """What the other client waited for, and CPU for each request of the load."""
    window = CpuWindow(running.child.pid)
    port, counted = running.setup.port, bench.seconds
    load = bench.ends.begin_arrivals(port, path, RATE, DEADLINE_MS, WARM_SECONDS, counted, fields)
    client = bench.ends.steady(port, scenario.path, counted, "127.0.0.1", LEAD_SECONDS)
    waited = bench.ends.result(client, counted + LEAD_SECONDS)
    answered = bench.ends.result(load, WARM_SECONDS + counted)
    seconds, faults = window.close()
    own.faults += faults
    if answered["good"] < answered["sent"]:
        own.faults.append(f"{answered['good']} of {answered['sent']} requests to {path} were answered with 200")
    return {**waited, "cpu_us": seconds / (RATE * (WARM_SECONDS + counted)) * 1e6}
