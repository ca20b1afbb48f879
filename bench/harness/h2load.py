"""HTTP/2 load: h2load for a while, or with a number of requests at once."""

import re
import subprocess
from pathlib import Path

from .curl import GRPC_FIELDS
from .load import Answered

CONNECTIONS = 8
STREAMS = 16  # on each connection

MESSAGE = b"\0\0\0\0\x40" + b"m" * 64  # gRPC's frame of a message of 64 bytes, not compressed

BURST_SECONDS = 120.0  # at most


def timed(port: int, path: str, seconds: int, tls: bool, message: Path | None) -> Answered:
    """Load for `seconds`; with a message, gRPC."""
    argv = ["-c", str(CONNECTIONS), "-m", str(STREAMS), "-D", f"{seconds}s"]
    if message:
        argv += ["-d", str(message), *(word for field in GRPC_FIELDS for word in ("-H", field))]
    answered, printed = run(argv, port, path, tls, seconds + 30.0)
    answered.seconds = float(seconds)
    if tls and "TLS Protocol: TLSv1.3" not in printed:
        answered.faults.append("h2load: no TLS 1.3")
    if f"Application protocol: {'h2' if tls else 'h2c'}\n" not in printed:
        answered.faults.append("h2load: no HTTP/2")
    return answered


def burst(port: int, path: str, connections: int, streams: int) -> Answered:
    """As many requests as there can be streams, all asked for at once."""
    argv = ["-c", str(connections), "-m", str(streams), "-n", str(connections * streams)]
    answered, _ = run(argv, port, path, False, BURST_SECONDS)
    if answered.requests != connections * streams:
        answered.faults.append(f"h2load: {answered.requests} of {connections * streams} requests were answered")
    return answered


def run(argv: list[str], port: int, path: str, tls: bool, patience: float) -> tuple[Answered, str]:
    """One thread, inheriting the harness's core; what was answered, and all that h2load printed."""
    url = f"{'https' if tls else 'http'}://localhost:{port}{path}"
    argv = ["h2load", "-t1", f"--connect-to=127.0.0.1:{port}", *argv, url]
    try:
        ran = subprocess.run(argv, capture_output=True, text=True, check=False, start_new_session=True,
                             timeout=patience)
    except subprocess.TimeoutExpired:
        return Answered(faults=[f"h2load did not end within {patience:.0f} s"]), ""
    requests = re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", ran.stdout)
    good = re.search(r"status codes: (\d+) 2xx", ran.stdout)
    data = re.search(r"\((\d+)\) data$", ran.stdout, re.MULTILINE)
    if ran.returncode != 0 or not (requests and good and data):
        return Answered(faults=[f"h2load failed: {(ran.stderr or ran.stdout).strip()[-200:]}"]), ran.stdout
    succeeded, *bad = (int(number) for number in requests.groups())
    names = ("failed requests", "broken requests", "timeouts")
    faults = [f"{number} {name}" for number, name in zip(bad, names, strict=True) if number]
    if succeeded > int(good.group(1)):
        faults.append(f"{succeeded - int(good.group(1))} replies other than 2xx")
    return Answered(succeeded, 0.0, int(data.group(1)), faults), ran.stdout
