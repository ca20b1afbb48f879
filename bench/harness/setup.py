"""What a proxy is asked to do in one scenario; each proxy's module turns it into its own words."""

from dataclasses import dataclass
from pathlib import Path

from .certificate import Certificate


@dataclass(frozen=True)
class Setup:
    directory: Path  # the proxy's own: configuration, log, pid file
    port: int  # where it listens on 127.0.0.1
    origin: int  # the origin's port on 127.0.0.1
    certificate: Certificate | None = None  # given: TLS 1.3 only
    full: bool = False  # forwarding headers, access log to a file, metrics
    admin: int = 0  # a free port for metrics, where a proxy wants one; used only when full

    @property
    def log(self) -> Path:
        """The access log, one line a request; exists only when full."""
        return self.directory / "access.log"
