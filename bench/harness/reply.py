"""The answer to one request, whichever protocol brought it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Reply:
    status: int
    chunked: bool
    body: bytes
    tls: str  # "TLSv1.3 TLS_AES_256_GCM_SHA384", or empty
    grpc_status: str = ""  # from the trailers
