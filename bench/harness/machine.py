"""What the machine must offer, which core does what, and how it is named in the results."""

import os
import platform
import resource
import shutil
import subprocess

PROXY_CORE = 0
LOAD_CORE = 1  # origin, load generator and this harness

WANTED_FILES = 65_536  # open files a process; 10,000 proxied connections may need two each


NEEDED = (("nginx", "nginx"), ("wrk", "wrk"), ("openssl", "openssl"))  # tools and Debian's packages
NEEDED_FOR_HTTP2 = (("h2load", "nghttp2-client"), ("curl", "curl"))


class Unfit(Exception):
    """The machine lacks something that no result can do without."""


def prepare(http2: bool) -> None:
    """Check the needs, raise the file limit and move this process off the proxy's core."""
    if not {PROXY_CORE, LOAD_CORE} <= os.sched_getaffinity(0):
        raise Unfit(f"cores {PROXY_CORE} and {LOAD_CORE} must both be usable")
    for tool, package in NEEDED + (NEEDED_FOR_HTTP2 if http2 else ()):
        if not shutil.which(tool):
            raise Unfit(f"{tool} is missing (Debian: apt install {package})")
    os.sched_setaffinity(0, {LOAD_CORE})
    raise_file_limit()


def raise_file_limit() -> None:
    """As far as we may: root can lift the hard limit, others stay under it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for soft, limit in ((WANTED_FILES, max(hard, WANTED_FILES)), (min(hard, WANTED_FILES), hard)):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, limit))
            return
        except (ValueError, OSError):
            continue


def describe() -> dict:
    return {
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "commit": commit(),
    }


def cpu_model() -> str:
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def commit() -> str:
    """The project's commit, marked when the working tree differs from it."""
    here = os.path.dirname(os.path.abspath(__file__))
    described = subprocess.run(
        ["git", "-C", here, "describe", "--always", "--dirty", "--exclude=*"],
        capture_output=True, text=True, check=False,
    )
    return described.stdout.strip() or "unknown"
