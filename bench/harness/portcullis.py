"""Portcullis itself: building it, and its configurations."""

import json
import subprocess
from pathlib import Path

from . import route_set
from .nginx import KEPT
from .setup import ADDRESS, COUNTED_HEADER, GRPC, TCP, Limit, Setup

ROOT = Path(__file__).resolve().parents[2]

# Most that a limit may be: nobody reaches it.
MOST = "limit: 1000000, per: 1s"


def find(given: Path | None) -> tuple[str | None, str]:
    """The binary's path, or None and the reason. Without a given one it is built, so that
    what is measured is what the working tree says."""
    if given:
        return (str(given.resolve()), "") if given.is_file() else (None, f"{given} is not a file")
    if not (ROOT / "Cargo.toml").exists():
        return None, "no workspace to build here yet"
    print("portcullis: cargo build --release", flush=True)
    # cargo itself is asked where its output goes: it knows CARGO_TARGET_DIR and its own settings.
    asked = cargo("metadata", "--format-version", "1", "--no-deps")
    if asked.returncode != 0:
        return None, f"cargo metadata failed: {last_line(asked.stderr)}"
    built = cargo("build", "--release", "--package", "portcullis")
    if built.returncode != 0:
        return None, f"cargo build --release failed: {last_line(built.stderr)}"
    return str(Path(json.loads(asked.stdout)["target_directory"]) / "release" / "portcullis"), ""


def cargo(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(["cargo", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


def last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no reason given"])[-1]


def command(binary: str, setup: Setup) -> list[str]:
    config = setup.directory / "portcullis.yaml"
    routes = "tcp_routes:\n  all: { listener: web, service: origin }\n" if setup.speaks == TCP else routes_of(setup)
    config.write_text(base(setup) + routes)
    return [binary, "run", "--config", str(config)]


def routes_of(setup: Setup) -> str:
    if setup.routes:
        return setup.routes + setup.more
    policies = [*setup.policies, *([f"rate_limit: {{ {limit(setup.limit)} }}"] if setup.limit else [])]
    listed = f", policies: [{', '.join(f'{{ {policy} }}' for policy in policies)}]" if policies else ""
    store = ""
    if setup.limit and setup.limit.store:
        store = f'stores:\n  shared: {{ redis: {{ address: "127.0.0.1:{setup.limit.store}" }} }}\n'
    return f"routes:\n  all: {{ service: origin{listed} }}\n{store}{setup.more}"


def limit(limit: Limit) -> str:
    by = "ip" if limit.by == ADDRESS else f"{{ header: {COUNTED_HEADER} }}"
    shared = ", store: shared, mode: leased" if limit.store else ""
    fields = "" if limit.fields else ", headers: off"
    return f"by: {by}, {MOST}{shared}{fields}"


def with_routes(binary: str, setup: Setup, routes: range) -> list[str]:
    """A directory of files, many routes in each: how a big configuration is kept."""
    config = setup.directory / "conf"
    config.mkdir()
    (config / "gateway.yaml").write_text(base(setup))
    for part in route_set.parts(routes):
        part_file(setup, part).write_text(part_text(part, changed=None))
    return [binary, "run", "--config", str(config)]


def change_route(setup: Setup, part: range, changed: int | None) -> tuple[Path, str]:
    """The file that holds `part`, and its text with one route answering by itself."""
    return part_file(setup, part), part_text(part, changed)


def part_file(setup: Setup, part: range) -> Path:
    return setup.directory / "conf" / f"routes-{part.start:05}.yaml"


def part_text(part: range, changed: int | None) -> str:
    def route(number: int) -> str:
        action = f'reply: {{ status: 200, body: "{route_set.CHANGED}" }}' if number == changed else "service: origin"
        return (
            f"  api-{number:05}:\n"
            f'    match: {{ path: "{route_set.prefix(number)}/items/{{id}}" }}\n'
            f"    {action}\n"
        )

    return "routes:\n" + "".join(route(number) for number in part)


def base(setup: Setup) -> str:
    """All but the routes. Bare scenarios switch off what nginx's bare configuration lacks."""
    tls = ""
    if setup.certificate:
        tls = f"""    tls:
      certificates:
        - {{ cert: "{setup.certificate.chain}", key: "{setup.certificate.key}" }}
      min_version: "1.3"
"""
    protocol = "    timeouts: { idle: 300s }\n"
    if setup.speaks == TCP:
        protocol = "    protocol: tcp\n"
    elif not setup.forwarding:
        protocol += "    forwarded: { via: false, x_forwarded: false }\n"
    upstream = f"    pool: {{ idle: {KEPT} }}\n"
    if setup.speaks == GRPC:
        upstream = "    protocol: http2\n"
        if setup.most:
            upstream += f"    pool: {{ http2_connections: {setup.most} }}\n"
    upstream += "".join(f"    {line}\n" for line in setup.service.splitlines())
    endpoints = ", ".join(f'"{one}"' for one in setup.endpoints or (f"127.0.0.1:{setup.origin}",))
    visible = 'admin: false\naccess_log: { to: false }\nmetrics: false\n'
    if setup.full:
        visible = f'admin: {{ address: "127.0.0.1:{setup.admin}" }}\naccess_log: {{ to: "{setup.log}" }}\nmetrics: true\n'
    return f"""listeners:
  web:
    address: "127.0.0.1:{setup.port}"
{protocol}{tls}services:
  origin:
    endpoints: [{endpoints}]
{upstream}{visible}workers: {setup.workers}
"""
