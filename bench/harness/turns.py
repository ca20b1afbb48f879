"""CPU a request: the proxies take turns under load, round by round."""

import os
import time
from typing import TYPE_CHECKING

from . import h2load, load, machine, probe
from .accounting import CpuWindow, CoreWindow
from .contenders import Contender
from .results import Series
from .scenarios import Scenario
from .setup import GRPC, HTTP2, Setup

if TYPE_CHECKING:
    from .bench import Bench, Running

LOG_SECONDS = 3.0  # for a buffered access log to reach its file


def measure(bench: "Bench", scenario: Scenario, taking_part: list[Contender]) -> dict[str, dict[str, Series]]:
    series = {contender.name: Series() for contender in taking_part}
    running = []
    for contender in taking_part:
        try:
            running.append(bench.serve(contender, scenario, **bench.caller(scenario).asked()))
        except probe.NotServing as error:
            series[contender.name].faults.append(str(error))
    in_rounds(bench, running, scenario, series)
    for one in running:
        bench.stop(one)
    return {"cpu_us": series}


def in_rounds(bench: "Bench", running: list["Running"], scenario: Scenario, series: dict[str, Series]) -> None:
    """Round 0 warms everything up and is thrown away, faults excepted. Each round begins
    with another proxy, so that none always follows the same one."""
    for number in range(bench.rounds + 1):
        first = number % len(running) if running else 0
        for one in running[first:] + running[:first]:
            own = series[one.name]
            if own.faults:
                continue
            take(bench, one, scenario, own, counted=number > 0)
        print(f"  round {number} of {bench.rounds}", flush=True)


def take(bench: "Bench", one: "Running", scenario: Scenario, own: Series, counted: bool) -> None:
    """One turn of one proxy."""
    if scenario.full:
        os.truncate(one.access_log, 0)
    own.faults += check_answer(one, scenario, own)
    core = CoreWindow(machine.PROXY_CORE)
    window = CpuWindow(one.child.pid)
    answered = put_under_load(bench, one.setup, scenario)
    seconds, faults = window.close()
    core_seconds = core.close()
    own.faults += faults + answered.faults + check_totals(one, scenario, answered)
    own.faults += check_answer(one, scenario, own)
    if counted and answered.requests:
        own.values.append(seconds / answered.requests * 1e6)
        own.note("rps", answered.requests / answered.seconds)
        own.note("core_busy", seconds / answered.seconds)
        own.note("core_others", max(0.0, core_seconds - seconds) / answered.seconds)


def put_under_load(bench: "Bench", setup: Setup, scenario: Scenario) -> load.Answered:
    port = setup.port
    if scenario.handshakes:
        return load.handshakes(port, scenario.path, bench.seconds)
    if scenario.speaks in (HTTP2, GRPC):
        message = bench.message if scenario.speaks == GRPC else None
        return h2load.timed(port, scenario.path, bench.seconds, scenario.tls, message)
    return load.wrk(port, scenario.path, bench.seconds, scenario.tls, scenario.method, scenario.body,
                    scenario.keys, setup.fields)


def check_answer(one: "Running", scenario: Scenario, own: Series) -> list[str]:
    """Before and after the load: the right answer, in the right form, over the right TLS."""
    grpc = scenario.speaks == GRPC
    body = h2load.MESSAGE if grpc else b"b" * scenario.body if scenario.body else None
    try:
        reply = probe.fetch(one.setup.port, scenario.path, scenario.method, body, scenario.tls, scenario.speaks,
                            one.setup.fields)
    except OSError as error:
        return [f"probe: {error}; {one.child.tail()}"]
    own.notes["tls"] = reply.tls
    faults = []
    if reply.status != 200:
        faults.append(f"probe: status {reply.status}")
    if len(reply.body) != scenario.reply:
        faults.append(f"probe: {len(reply.body)} bytes of body instead of {scenario.reply}")
    if reply.chunked != scenario.chunked:
        faults.append(f"probe: chunked is {reply.chunked}")
    if grpc and reply.grpc_status != "0":
        faults.append(f"probe: grpc-status is {reply.grpc_status or 'missing'}")
    if scenario.tls and not reply.tls.startswith("TLSv1.3"):
        faults.append(f"probe: {reply.tls} instead of TLS 1.3")
    return faults


def check_totals(one: "Running", scenario: Scenario, answered: load.Answered) -> list[str]:
    faults = []
    if not one.child.alive():
        faults.append(f"the proxy ended: {one.child.tail()}")
    if not answered.requests:
        faults.append("no request was answered")
    elif answered.bytes < answered.requests * scenario.reply:
        faults.append("the answers were shorter than they should be")
    if scenario.full and not faults:
        faults += check_log(one, answered.requests)
    return faults


def check_log(one: "Running", requests: int) -> list[str]:
    """A log that drops lines is cheaper; one that is only late is not a fault."""
    deadline = time.monotonic() + LOG_SECONDS
    while True:
        with open(one.access_log, "rb") as log:
            lines = sum(part.count(b"\n") for part in iter(lambda: log.read(1 << 20), b""))
        if lines >= requests:
            return []
        if time.monotonic() > deadline:
            return [f"the access log has {lines} lines for {requests} requests"]
        time.sleep(0.1)
