"""Credentials for the load: an API key, a token of RS256, and many of ES256, each different.

Signing thousands of tokens with a tool takes a process for each, so that ECDSA is done here. Its nonces follow one
another, which makes each signature cost one addition of points instead of a multiplication, and gives the key away to
whoever sees two: nobody must trust these keys beyond the run."""

import base64
import hashlib
import hmac
import json
import random
import subprocess
import time
import zlib
from dataclasses import dataclass
from pathlib import Path

SECRET = "benchmark-0123456789abcdef0123456789abcdef"  # what API keys are hashed with
ISSUER, AUDIENCE = "https://issuer.invalid", "bench"
ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
LIFETIME_SECONDS = 86400

# The curve P-256 (FIPS 186-4, D.1.2.3): y^2 = x^3 - 3x + b over the integers modulo P; G has the order N.
P = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
G = (0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
     0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5)


@dataclass(frozen=True)
class Caller:
    """What requests show, and what Portcullis is told to ask for it."""

    fields: tuple[str, ...]
    policies: tuple[str, ...] = ()
    more: str = ""

    def asked(self) -> dict:
        return {"fields": self.fields, "policies": self.policies, "more": self.more}

    def only_sent(self) -> dict:
        return {"fields": self.fields}


def caller(kind: str, directory: Path) -> Caller:
    return key_and_limit() if kind == "key" else reused_token(directory)


def key_and_limit() -> Caller:
    """A consumer's API key, and a rate limit for each consumer that nobody reaches."""
    key = api_key(random.Random(1))
    more = (f"credentials: {{ secret: {SECRET} }}\n"
            f'consumers: {{ bench: {{ keys: [{{ prefix: "{prefix(key)}", hash: "{key_hash(key).hex()}" }}] }} }}\n')
    limit = "rate_limit: { by: consumer, limit: 1000000, per: 1s }"
    return Caller((f"x-api-key: {key}",), ("api_key: {}", limit), more)


def api_key(source: random.Random) -> str:
    """A key as Portcullis makes them; the end tells typing errors."""
    drawn = "".join(source.choices(ALPHABET, k=40))
    text = f"pk_{drawn[:8]}_{drawn[8:]}"
    rest, check = zlib.crc32(text.encode()), ""
    for _ in range(6):
        rest, digit = divmod(rest, 58)
        check = ALPHABET[digit] + check
    return text + check


def prefix(key: str) -> str:
    return key[3:11]


def key_hash(key: str) -> bytes:
    return hmac.digest(SECRET.encode(), key.encode(), "sha256")


def reused_token(directory: Path) -> Caller:
    """One token of RS256 with a key of 2048 bits."""
    private, public = directory / "rsa.pem", directory / "rsa-public.pem"
    openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", private)
    openssl("pkey", "-in", private, "-pubout", "-out", public)
    signed = unsigned("RS256", claims(1))
    signature = openssl("dgst", "-sha256", "-sign", private, given=signed)
    more = f'issuers: {{ bench: {{ issuer: "{ISSUER}", algorithms: [RS256], public_key: "file:{public}" }} }}\n'
    return Caller((bearer(signed, signature),), (policy(),), more)


def policy() -> str:
    return f"jwt: {{ issuers: bench, audiences: {AUDIENCE} }}"


def many_tokens(count: int) -> tuple[list[str], str]:
    """Field lines with tokens of ES256, each different, and the key set (RFC 7517) that they are verified with."""
    source = random.Random(time.time_ns())
    private, nonce = source.randrange(1, N), source.randrange(1, N - count)
    lines, point = [], times(nonce, G)
    for number in range(count):
        signed = unsigned("ES256", claims(number))
        digest = int.from_bytes(hashlib.sha256(signed).digest())
        r = point[0] % N
        s = pow(nonce, -1, N) * (digest + r * private) % N
        lines.append(bearer(signed, r.to_bytes(32) + s.to_bytes(32)))
        nonce, point = nonce + 1, add(point, G)
    x, y = times(private, G)
    key = {"kty": "EC", "crv": "P-256", "x": encoded(x.to_bytes(32)), "y": encoded(y.to_bytes(32)), "kid": "bench"}
    return lines, json.dumps({"keys": [key]})


def add(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
    """The sum of two points, of which none is the other's opposite."""
    if one == other:
        slope = 3 * (one[0] * one[0] - 1) * pow(2 * one[1], -1, P)
    else:
        slope = (other[1] - one[1]) * pow(other[0] - one[0], -1, P)
    x = (slope * slope - one[0] - other[0]) % P
    return x, (slope * (one[0] - x) - one[1]) % P


def times(factor: int, point: tuple[int, int]) -> tuple[int, int]:
    """So many times a point, by doubling and adding."""
    found = None
    for bit in bin(factor)[2:]:
        found = add(found, found) if found else None
        if bit == "1":
            found = add(found, point) if found else point
    return found


def claims(number: int) -> dict:
    now = int(time.time())
    return {"iss": ISSUER, "aud": AUDIENCE, "sub": f"user-{number:06}", "scope": "read write", "iat": now,
            "exp": now + LIFETIME_SECONDS, "jti": f"6c1bd0a0-9c61-4b8f-9d3e-{number:012}"}


def unsigned(algorithm: str, claims: dict) -> bytes:
    header = {"alg": algorithm, "typ": "JWT", "kid": "bench"} if algorithm == "ES256" else {"alg": algorithm, "typ": "JWT"}
    return ".".join(encoded(json.dumps(part).encode()) for part in (header, claims)).encode()


def bearer(signed: bytes, signature: bytes) -> str:
    return f"authorization: Bearer {signed.decode()}.{encoded(signature)}"


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def openssl(*words, given: bytes | None = None) -> bytes:
    return subprocess.run(["openssl", *words], input=given, capture_output=True, check=True).stdout
