"""HAProxy, one thread: as an HTTP proxy, and as the floor that knows no HTTP (`mode tcp`)."""

from .setup import ADDRESS, COUNTED_HEADER, GRPC, Limit, Setup

# strict-limits: the default refuses to start where the file limit cannot cover two
# descriptors for each of maxconn connections, which we never open.
GLOBAL = """global
    nbthread {workers}
    maxconn 15000
    no strict-limits
{log_target}
defaults
    mode {mode}
    timeout connect 5s
    timeout queue 60s
    timeout client 300s
    timeout server 300s
"""

# What HAProxy prints goes to our file: it has no log file of its own, and its other way
# is a syslog daemon whose cost nobody would count.
LOG_TARGET = "    log stdout format raw local0\n"

LOGGING = """    log global
    option httplog
"""
FORWARDING = """    option forwardfor
    http-request set-header X-Forwarded-Proto %[ssl_fc,iif(https,http)]
    http-request set-header X-Forwarded-Host %[req.hdr(host)]
"""


# Requests a second that nobody reaches.
MOST = 1_000_000


def limited(limit: Limit) -> str:
    kind, key = ("ip", "src") if limit.by == ADDRESS else ("string len 32", f"req.hdr({COUNTED_HEADER})")
    return f"""    stick-table type {kind} size 100k expire 60s store http_req_rate(1s)
    http-request track-sc0 {key}
    http-request deny deny_status 429 if {{ sc_http_req_rate(0) gt {MOST} }}
"""


def http(binary: str, setup: Setup) -> list[str]:
    tls = f" ssl crt {setup.certificate.both} ssl-min-ver TLSv1.3" if setup.certificate else ""
    if setup.http2:
        tls += " alpn h2" if setup.certificate else " proto h2"
    # maxconn bounds requests, which are connections only in HTTP/1.1.
    bound = f" maxconn {setup.most}" if setup.most else ""
    upstream = " proto h2" if setup.speaks == GRPC else bound
    text = GLOBAL.format(mode="http", workers=setup.workers, log_target=LOG_TARGET if setup.full else "")
    text += f"""    timeout http-keep-alive 300s
    http-reuse always

frontend web
    bind 127.0.0.1:{setup.port}{tls}
{LOGGING if setup.full else ""}{FORWARDING if setup.forwarding else ""}{limited(setup.limit) if setup.limit else ""}    default_backend origin

backend origin
    server one 127.0.0.1:{setup.origin}{upstream}
"""
    return write(binary, setup, text)


def tcp(binary: str, setup: Setup) -> list[str]:
    text = GLOBAL.format(mode="tcp", workers=setup.workers, log_target="")
    text += f"""
listen web
    bind 127.0.0.1:{setup.port}
    server one 127.0.0.1:{setup.origin}
"""
    return write(binary, setup, text)


def write(binary: str, setup: Setup, text: str) -> list[str]:
    config = setup.directory / "haproxy.cfg"
    config.write_text(text)
    return [binary, "-db", "-f", str(config)]
