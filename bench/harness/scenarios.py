"""What is measured, and the bars that Portcullis must stay under."""

import argparse
from dataclasses import dataclass

from . import contenders
from .setup import ADDRESS, GRPC, HEADER, HTTP1, HTTP2, TCP, Limit

WITHOUT_TCP = [name for name in contenders.NAMES if name != "haproxy-tcp"]
WITH_ROUTES = ["nginx", "portcullis"]
BYTES_ONLY = tuple(name for name in contenders.NAMES if name != "haproxy")

FLOODS = ("resets", "continuations", "pings", "settings")
FLOODED_WORKERS = {1: "one worker", 2: "two workers"}
# From where the flood comes, as the other client sees it, and which kinds are measured so: keys have the suffix.
FLOODERS = {"": ("", FLOODS), "_beside": (" from its own address", ("resets", "continuations"))}

# Limits by scenario and quantity. None is ever reached.
LIMITS = {
    "rate-limit": {"address": Limit(ADDRESS), "header": Limit(HEADER), "quiet": Limit(HEADER, fields=False)},
    "leased": {"leased": Limit(HEADER, shared=True)},
    "jwt": {"jwt": None},
}
KEYS = 1000  # that the requests of those have in turn

CHECKED = 10_000  # endpoints


@dataclass(frozen=True)
class Bar:
    """Portcullis's value may be at most `limit`: times another proxy's, or as it stands. With `least` it must be
    at least so much."""

    limit: float
    against: str | None = None
    least: bool = False


@dataclass(frozen=True)
class Quantity:
    """One row of the report."""

    key: str
    label: str
    unit: str
    bars: tuple[Bar, ...] = ()
    digits: int = 2


@dataclass(frozen=True)
class Scenario:
    name: str
    title: str
    quantities: tuple[Quantity, ...]
    kind: str = "cpu"  # cpu | idle | routes | streams | floods | limits | overload | checks | kill | tokens | consumers
    proxies: tuple[str, ...] = tuple(contenders.NAMES)
    speaks: str = HTTP1
    path: str = "/1k"
    reply: int = 1024  # bytes of body in the answer
    chunked: bool = False
    method: str = "GET"
    body: int = 0  # bytes of body in the request
    keys: int = 0  # requests have so many values of a header field in turn
    tls: bool = False
    full: bool = False  # access log to a file, metrics
    forwarding: bool = False
    caller: str = ""  # what requests show: key, token
    handshakes: bool = False  # a new TLS session for each request

    @property
    def http2(self) -> bool:
        return self.speaks in (HTTP2, GRPC)


def cpu(name: str, title: str, *bars: Bar, **rest) -> Scenario:
    return Scenario(name, title, (Quantity("cpu_us", title, "us/request", bars),), **rest)


NO_TCP = {"proxies": tuple(WITHOUT_TCP)}

ALL = [
    cpu("get-1k", "GET, 1 KB reply, keep-alive, plain, 64 connections",
        Bar(0.85, "nginx"), Bar(1.08, "haproxy-tcp")),
    cpu("get-1k-full", "the same with forwarding headers, access log to file and metrics",
        Bar(0.95, "nginx"), full=True, forwarding=True, **NO_TCP),
    cpu("get-10k", "GET, 10 KB reply", Bar(0.88, "nginx"), path="/10k", reply=10 * 1024),
    cpu("get-100k", "GET, 100 KB reply", Bar(0.72, "nginx"), path="/100k", reply=100 * 1024),
    cpu("post-4k", "POST, 4 KB request body, small reply", Bar(0.90, "nginx"),
        path="/post", method="POST", body=4096, reply=3),
    cpu("chunked", "GET, chunked reply of 4 KB in three chunks", Bar(0.90, "nginx"),
        path="/chunked", reply=4096, chunked=True),
    cpu("https-1k", "HTTPS, 1 KB reply, TLS 1.3, P-256, keep-alive", Bar(0.80, "nginx"), tls=True, **NO_TCP),
    cpu("https-handshake", "HTTPS, a new handshake for each request, no resumption", Bar(0.90, "nginx"),
        tls=True, handshakes=True, **NO_TCP),
    Scenario("idle-10k", "resident memory at 10,000 idle keep-alive connections over the idle process",
             (Quantity("idle_mib", "10,000 idle keep-alive connections", "MiB", (Bar(40.0),), 1),),
             kind="idle", **NO_TCP),
    Scenario("routes", "50,000 routes: start, one changed route live, memory a route, lookup",
             (Quantity("start_s", "50,000 routes: start to first answer", "s", (Bar(2.0),)),
              Quantity("change_ms", "50,000 routes: one changed route live", "ms", (Bar(30.0),), 1),
              Quantity("route_bytes", "50,000 routes: memory a route", "bytes", (Bar(4096.0),), 0),
              Quantity("lookup_ratio", "50,000 routes: CPU a request over that with 10", "ratio", (Bar(1.1),))),
             kind="routes", proxies=tuple(WITH_ROUTES)),
    cpu("h2", "HTTP/2 in front, HTTP/1.1 behind: GET, 1 KB reply, 8 connections of 16 streams",
        Bar(0.75, "nginx"), Bar(1.15, "haproxy"), speaks=HTTP2, **NO_TCP),
    cpu("h2-tls", "the same over TLS 1.3 with ALPN", Bar(0.75, "nginx"), Bar(1.15, "haproxy"),
        speaks=HTTP2, tls=True, **NO_TCP),
    cpu("grpc", "gRPC unary, HTTP/2 on both sides, 64-byte messages, 8 connections of 16 streams",
        Bar(0.60, "nginx"), Bar(0.35, "envoy"), speaks=GRPC, method="POST", body=69, reply=69, **NO_TCP),
    cpu("l4-1k", "bytes only: GET, 1 KB reply, keep-alive, 64 connections", Bar(1.05, "haproxy-tcp"),
        speaks=TCP, proxies=BYTES_ONLY),
    cpu("l4-1m", "bytes only: GET, 1 MiB reply", Bar(1.05, "haproxy-tcp"),
        speaks=TCP, path="/1m", reply=1 << 20, proxies=BYTES_ONLY),
    Scenario("h2-memory", "peak resident memory with 1,000 connections of 100 streams, all open at once",
             (Quantity("held_mib", "100,000 HTTP/2 streams held open, HTTP/2 behind: peak memory", "MiB",
                       (Bar(300.0),), 1),
              Quantity("burst_mib", "100,000 HTTP/2 requests at once, HTTP/1.1 behind: peak memory", "MiB",
                       (Bar(300.0),), 1)),
             kind="streams", speaks=HTTP2, **NO_TCP),
    Scenario("floods", "another client's 99th percentile during HTTP/2 floods over that without",
             tuple(Quantity(f"{kind}_{workers}{suffix}",
                            f"{kind} flood{where}, {words}: another client's p99 over that without",
                            "ratio", (Bar(2.0),))
                   for workers, words in FLOODED_WORKERS.items()
                   for suffix, (where, kinds) in FLOODERS.items() for kind in kinds),
             kind="floods", speaks=HTTP2, **NO_TCP),
    Scenario("rate-limit", "rate limits that nobody reaches: CPU a request over that without",
             (Quantity("address", "a rate limit by address: CPU a request over that without", "ratio", (Bar(1.05),)),
              Quantity("header", "a rate limit by a header, 1,000 keys: the same", "ratio", (Bar(1.05),)),
              Quantity("quiet", "the same without fields in the replies", "ratio")),
             kind="limits", proxies=("nginx", "haproxy", "portcullis"), keys=KEYS),
    Scenario("leased", "a rate limit that takes shares of a Redis ahead: CPU a request over that without",
             (Quantity("leased", "a rate limit with shares of a Redis, 1,000 keys: CPU a request over that without",
                       "ratio", (Bar(1.10),)),),
             kind="limits", proxies=("portcullis",), keys=KEYS),
    cpu("identity", "API key, rate limit by consumer, access log and metrics, over others with their access log alone",
        Bar(1.00, "nginx"), full=True, caller="key", **NO_TCP),
    Scenario("jwt", "a token of RS256 that is used again: CPU a request over that of a route that asks for none",
             (Quantity("jwt", "a token (RS256, used again): CPU a request over that without asking for it", "ratio",
                       (Bar(1.05),)),),
             kind="limits", proxies=("portcullis",), caller="token"),
    Scenario("tokens", "5,000 different tokens of ES256 a second: another route's 99th percentile over that without",
             (Quantity("tokens", "5,000 different tokens (ES256) a second: another route's p99 over that unverified",
                       "ratio", (Bar(1.20),)),
              Quantity("verify_us", "the same: CPU for each of them over that unverified", "us", (), 1)),
             kind="tokens", proxies=("portcullis",)),
    Scenario("consumers", "1,000,000 consumers with a key each: start, memory a consumer, one more",
             (Quantity("consumers_s", "1,000,000 consumers with a key each: start to first answer", "s", (Bar(5.0),)),
              Quantity("consumer_bytes", "1,000,000 consumers with a key each: memory a consumer", "bytes",
                       (Bar(250.0),), 0),
              Quantity("consumer_us", "1,000,000 consumers and one more: CPU for it", "us", (Bar(100.0),), 1)),
             kind="consumers", proxies=("portcullis",)),
    Scenario("overload", "replies in time of a service that gets twice what it can do, with shedding and without",
             (Quantity("shedding", "twice what a service can do, shedding on: replies in time, of what it can", "%",
                       (Bar(90.0, least=True),), 1),
              Quantity("without", "the same with shedding off", "%", (), 1)),
             kind="overload", proxies=("portcullis",)),
    Scenario("checks", "active checks of 10,000 endpoints: share of a core",
             (Quantity("checks_share", "active checks of 10,000 endpoints, no requests: share of a core", "%",
                       (Bar(5.0),), 1),),
             kind="checks", proxies=("portcullis",)),
    Scenario("kill", "one of three endpoints killed under load: requests that fail",
             (Quantity("failed", "one of three endpoints killed under load: GETs that fail, of all rounds",
                       "requests", (Bar(0.0),), 0),),
             kind="kill", proxies=("portcullis",)),
]


def parse(text: str) -> list[Scenario]:
    """The value of --only, in the fixed order."""
    asked = {name for name in text.split(",") if name}
    if unknown := sorted(asked - {scenario.name for scenario in ALL}):
        raise argparse.ArgumentTypeError(f"no such scenario: {', '.join(unknown)}")
    return [scenario for scenario in ALL if scenario.name in asked]
