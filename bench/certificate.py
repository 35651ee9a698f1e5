"""The certificate that every server has in the rows over TLS: ECDSA with P-256, of nobody's."""

from __future__ import annotations

import subprocess

from bench.paths import CERTIFICATE, KEY
from bench.process import ServerError

DAYS = "30"


def make() -> None:
    """Makes it, unless it is there. Raises ServerError without OpenSSL's command."""
    if CERTIFICATE.exists() and KEY.exists():
        return
    CERTIFICATE.parent.mkdir(parents=True, exist_ok=True)
    command = ["openssl", "req", "-x509", "-nodes", "-days", DAYS, "-subj", "/CN=localhost"]
    command += ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-keyout", str(KEY), "-out", str(CERTIFICATE)]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=30)
    except FileNotFoundError:
        raise ServerError("openssl is not installed: python -m bench setup") from None
    except subprocess.SubprocessError as error:
        raise ServerError(f"openssl failed: {error}") from None
