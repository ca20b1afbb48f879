"""nginx as a proxy: one worker, kept-alive upstream connections, otherwise Debian's defaults."""

import os
import re
import subprocess
from pathlib import Path

from . import route_set
from .setup import ADDRESS, COUNTED_HEADER, GRPC, TCP, Limit, Setup

# All on the same level: a location with a proxy_set_header of its own would inherit none of
# the others, and lose the empty Connection that keeps upstream connections alive.
KEEP_ALIVE = """
        proxy_http_version 1.1;
        proxy_set_header Connection "";"""
# Connections kept to the origin; no fewer than requests are in flight, or it would keep making new ones.
KEPT = 256
FORWARDING = """
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_set_header X-Forwarded-Proto $scheme;
        proxy_set_header X-Forwarded-Host $http_host;"""


def command(binary: str, setup: Setup) -> list[str]:
    if setup.speaks == TCP:
        return write_stream(binary, setup)
    passes = "grpc_pass grpc" if setup.speaks == GRPC else "proxy_pass http"
    return write(binary, setup, f"\n        location / {{ {passes}://origin; }}")


def has_stream(binary: str) -> bool:
    """Debian packages `stream` by itself, as a module."""
    return stream_module(binary).exists()


def stream_module(binary: str) -> Path:
    ran = subprocess.run([binary, "-V"], capture_output=True, text=True, check=False)
    folder = re.search(r"--modules-path=(\S+)", ran.stderr)
    return Path(folder.group(1) if folder else "/") / "ngx_stream_module.so"


def write_stream(binary: str, setup: Setup) -> list[str]:
    text = f"""load_module {stream_module(binary)};
{preamble(setup.directory, setup.workers)}
stream {{
    server {{
        listen 127.0.0.1:{setup.port};
        proxy_pass 127.0.0.1:{setup.origin};
    }}
}}
"""
    return start(binary, setup.directory, text)


def with_routes(binary: str, setup: Setup, routes: range) -> list[str]:
    """One location a route, in files of many routes as an operator would keep them."""
    for part in route_set.parts(routes):
        part_file(setup, part).write_text(part_text(part, changed=None))
    return write(binary, setup, f"\n        include {setup.directory}/routes-*.conf;")


def change_route(setup: Setup, part: range, changed: int | None) -> tuple[Path, str]:
    """The file that holds `part`, and its text with one route answering by itself."""
    return part_file(setup, part), part_text(part, changed)


def part_file(setup: Setup, part: range) -> Path:
    return setup.directory / f"routes-{part.start:05}.conf"


def part_text(part: range, changed: int | None) -> str:
    def location(route: int) -> str:
        action = f'return 200 "{route_set.CHANGED}"' if route == changed else "proxy_pass http://origin"
        return f"location {route_set.prefix(route)}/items/ {{ {action}; }}\n"

    return "".join(location(route) for route in part)


def limited(limit: Limit | None) -> tuple[str, str]:
    """For `http` and for `server`: a rate that nobody reaches."""
    if not limit:
        return "", ""
    key = "$binary_remote_addr" if limit.by == ADDRESS else f"$http_{COUNTED_HEADER.replace('-', '_')}"
    return (f"\n    limit_req_zone {key} zone=all:10m rate=1000000r/s;",
            "\n        limit_req zone=all burst=1000000 nodelay;")


def write(binary: str, setup: Setup, locations: str) -> list[str]:
    listen = f"127.0.0.1:{setup.port}"
    listen += " ssl" if setup.certificate else ""
    listen += " http2" if setup.http2 else ""
    tls = ""
    if setup.certificate:
        tls = f"""
        ssl_certificate {setup.certificate.chain};
        ssl_certificate_key {setup.certificate.key};
        ssl_protocols TLSv1.3;"""
    zone, limit = limited(setup.limit)
    text = f"""{preamble(setup.directory, setup.workers)}
http {{
    {temporary_paths(setup.directory)}
    access_log {f"{setup.log} combined" if setup.full else "off"};
    keepalive_timeout 300s;
    keepalive_requests 1000000000;{zone}
    upstream origin {{
        server 127.0.0.1:{setup.origin};
        keepalive {KEPT};
        keepalive_requests 1000000000;
    }}
    server {{
        listen {listen};{tls}{KEEP_ALIVE}{FORWARDING if setup.forwarding else ""}{limit}{locations}
    }}
}}
"""
    return start(binary, setup.directory, text)


def preamble(directory: Path, workers: int = 1) -> str:
    """Shared with the origin. A root master would give its worker to `nobody`, who may not
    read our temporary directory."""
    user = "user root;\n" if os.geteuid() == 0 else ""
    return f"""{user}daemon off;
worker_processes {workers};
pid {directory}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 15000; }}"""


def temporary_paths(directory: Path) -> str:
    kinds = ("client_body", "proxy", "fastcgi", "scgi", "uwsgi")
    return " ".join(f"{kind}_temp_path {directory}/{kind};" for kind in kinds)


def start(binary: str, directory: Path, text: str) -> list[str]:
    config = directory / "nginx.conf"
    config.write_text(text)
    return [binary, "-p", str(directory), "-c", str(config)]
