"""What a proxy is asked to do in one scenario; each proxy's module turns it into its own words."""

from dataclasses import dataclass
from pathlib import Path

from .certificate import Certificate

# What goes through the proxy: HTTP/1.1 on both sides; HTTP/2 in front of HTTP/1.1; HTTP/2 on both
# sides, and then gRPC, since nginx does only that; bytes.
HTTP1, HTTP2, GRPC, TCP = "http1", "http2", "grpc", "tcp"

# What a rate limit that nobody reaches counts by.
ADDRESS, HEADER = "address", "header"
COUNTED_HEADER = "x-api-key"


@dataclass(frozen=True)
class Limit:
    by: str  # ADDRESS or HEADER
    store: int = 0  # the port of a Redis that it takes shares from; 0: every gateway counts for itself
    fields: bool = True  # replies tell of it, where the proxy can
    shared: bool = False  # it needs a store



@dataclass(frozen=True)
class Setup:
    directory: Path  # the proxy's own: configuration, log, pid file
    port: int  # where it listens on 127.0.0.1
    origin: int  # the origin's port on 127.0.0.1
    speaks: str = HTTP1
    workers: int = 1
    most: int = 0  # connections to the origin, more requests wait; 0: no bound
    certificate: Certificate | None = None  # given: TLS 1.3 only
    full: bool = False  # access log to a file, metrics
    forwarding: bool = False  # forwarding headers
    admin: int = 0  # a free port for metrics, where a proxy wants one; used only when full
    limit: Limit | None = None
    fields: tuple[str, ...] = ()  # lines of header fields that every request has
    # Only Portcullis knows these.
    endpoints: tuple[str, ...] = ()  # instead of the one origin
    service: str = ""  # more settings of the service, a line of YAML each
    policies: tuple[str, ...] = ()  # of the route
    routes: str = ""  # instead of the one route
    more: str = ""  # more at the top

    @property
    def http2(self) -> bool:
        """In front."""
        return self.speaks in (HTTP2, GRPC)

    @property
    def log(self) -> Path:
        """The access log, one line a request; exists only when full."""
        return self.directory / "access.log"
