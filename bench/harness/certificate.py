"""A self-signed P-256 ECDSA certificate for `localhost`, made afresh for each run."""

import subprocess
from dataclasses import dataclass
from pathlib import Path


class Failed(Exception):
    """openssl did not make the certificate."""


@dataclass(frozen=True)
class Certificate:
    chain: Path
    key: Path
    both: Path  # chain and key in one file, as HAProxy wants it


def make(directory: Path) -> Certificate:
    made = Certificate(directory / "cert.pem", directory / "key.pem", directory / "both.pem")
    ran = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
         "-keyout", made.key, "-out", made.chain],
        capture_output=True, text=True, check=False,
    )
    if ran.returncode != 0:
        raise Failed(f"openssl could not make a certificate: {ran.stderr.strip()}")
    made.both.write_text(made.chain.read_text() + made.key.read_text())
    return made
