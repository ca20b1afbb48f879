"""nginx as a proxy: one worker, kept-alive upstream connections, otherwise Debian's defaults."""

import os
from pathlib import Path

from . import route_set
from .setup import Setup

# All on the same level: a location with a proxy_set_header of its own would inherit none of
# the others, and lose the empty Connection that keeps upstream connections alive.
KEEP_ALIVE = """
        proxy_http_version 1.1;
        proxy_set_header Connection "";"""
FORWARDING = """
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_set_header X-Forwarded-Proto $scheme;
        proxy_set_header X-Forwarded-Host $http_host;"""


def command(binary: str, setup: Setup) -> list[str]:
    return write(binary, setup, "\n        location / { proxy_pass http://origin; }")


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


def write(binary: str, setup: Setup, locations: str) -> list[str]:
    tls = ""
    if setup.certificate:
        tls = f"""
        ssl_certificate {setup.certificate.chain};
        ssl_certificate_key {setup.certificate.key};
        ssl_protocols TLSv1.3;"""
    text = f"""{preamble(setup.directory)}
http {{
    {temporary_paths(setup.directory)}
    access_log {f"{setup.log} combined" if setup.full else "off"};
    keepalive_timeout 300s;
    keepalive_requests 1000000000;
    upstream origin {{
        server 127.0.0.1:{setup.origin};
        keepalive 64;
        keepalive_requests 1000000000;
    }}
    server {{
        listen 127.0.0.1:{setup.port}{" ssl" if setup.certificate else ""};{tls}{KEEP_ALIVE}{FORWARDING if setup.full else ""}{locations}
    }}
}}
"""
    return start(binary, setup.directory, text)


def preamble(directory: Path) -> str:
    """Shared with the origin. A root master would give its worker to `nobody`, who may not
    read our temporary directory."""
    user = "user root;\n" if os.geteuid() == 0 else ""
    return f"""{user}daemon off;
worker_processes 1;
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
