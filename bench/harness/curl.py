"""Single HTTP/2 requests, by curl: Python's own client does not speak it."""

import re
import subprocess

from .reply import Reply

GRPC_FIELDS = ("content-type: application/grpc", "te: trailers")


def fetch(port: int, path: str, method: str, body: bytes | None, tls: bool, grpc: bool) -> Reply:
    """One request on a connection of its own; whatever goes wrong is an OSError."""
    argv = ["curl", "--silent", "--show-error", "--verbose", "--insecure", "--ipv4", "--max-time", "10",
            "--http2" if tls else "--http2-prior-knowledge", "--request", method]
    if body is not None:
        argv += ["--data-binary", "@-"]
    for field in GRPC_FIELDS if grpc else ():
        argv += ["--header", field]
    argv.append(f"{'https' if tls else 'http'}://localhost:{port}{path}")
    ran = subprocess.run(argv, input=body or b"", capture_output=True, check=False)
    told = ran.stderr.decode(errors="replace")
    status = re.search(r"^< HTTP/2 (\d+)", told, re.MULTILINE)
    if ran.returncode != 0 or not status:
        why = [line for line in told.splitlines() if line.startswith("curl: ")]
        raise ConnectionError("; ".join(why) or "curl: no HTTP/2 answer")
    session = re.search(r"SSL connection using (\S+) / (\S+)", told)
    grpc_status = re.search(r"^< grpc-status: (\S+)", told, re.MULTILINE)
    return Reply(
        status=int(status.group(1)),
        chunked=False,
        body=ran.stdout,
        tls=" ".join(session.groups()) if session else "",
        grpc_status=grpc_status.group(1) if grpc_status else "",
    )
