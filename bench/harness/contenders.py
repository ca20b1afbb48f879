"""The proxies by name: how each is found, told its version and started."""

import argparse
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from . import envoy, haproxy, nginx, portcullis
from .setup import TCP, Setup

NAMES = ["nginx", "haproxy", "haproxy-tcp", "envoy", "portcullis"]


@dataclass(frozen=True)
class Contender:
    name: str
    binary: str
    version: str
    start: Callable[[str, Setup], list[str]]  # writes the configuration, returns the command
    routes: ModuleType | None = None  # has with_routes and change_route: takes part in `routes`
    logs_to_output: bool = False  # its access log is what it prints


def parse(text: str) -> list[str]:
    """The value of --proxies, in the fixed order."""
    asked = [name for name in text.split(",") if name]
    if unknown := sorted(set(asked) - set(NAMES)):
        raise argparse.ArgumentTypeError(f"no such proxy: {', '.join(unknown)} (there are {', '.join(NAMES)})")
    return [name for name in NAMES if name in asked]


def find(names: list[str], portcullis_path: Path | None) -> list[Contender]:
    """Those that can be had; the others are named with the reason."""
    found = []
    for name in names:
        contender, reason = find_one(name, portcullis_path)
        if contender:
            print(f"{name}: {contender.version}", flush=True)
            found.append(contender)
        else:
            print(f"{name}: LEFT OUT, {reason}", flush=True)
    return found


def find_one(name: str, portcullis_path: Path | None) -> tuple[Contender | None, str]:
    match name:
        case "nginx":
            binary, reason = on_path("nginx")
            start, flag, rest = nginx.command, "-v", {"routes": nginx}
        case "haproxy":
            binary, reason = on_path("haproxy")
            start, flag, rest = haproxy.http, "-v", {"logs_to_output": True}
        case "haproxy-tcp":
            binary, reason = on_path("haproxy")
            start, flag, rest = haproxy.tcp, "-v", {}
        case "envoy":
            binary, reason = envoy.find()
            start, flag, rest = envoy.command, "--version", {}
        case "portcullis":
            binary, reason = portcullis.find(portcullis_path)
            start, flag, rest = portcullis.command, "version", {"routes": portcullis}
    if not binary:
        return None, reason
    return Contender(name, binary, version(binary, flag), start, **rest), ""


def able(contender: Contender, speaks: str) -> bool:
    """False, with a line that says why, where the proxy lacks what a scenario needs."""
    if speaks == TCP and contender.name == "nginx" and not nginx.has_stream(contender.binary):
        print("  nginx: LEFT OUT, it has no stream module (Debian: apt install libnginx-mod-stream)", flush=True)
        return False
    return True


def on_path(tool: str) -> tuple[str | None, str]:
    return shutil.which(tool), f"{tool} is not installed (Debian: apt install {tool})"


def version(binary: str, flag: str) -> str:
    """The first dotted number that it prints about itself."""
    try:
        ran = subprocess.run([binary, flag], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    number = re.search(r"\d+\.\d+(\.\d+)?", ran.stdout + ran.stderr)
    return number.group(0) if number else "unknown"
