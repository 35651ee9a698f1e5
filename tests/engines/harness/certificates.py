"""An authority for the tests, the server's certificate, and contexts of clients that trust it."""

from __future__ import annotations

import ssl
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import trustme

NAMES = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Files:
    certfile: str
    keyfile: str


@cache
def authority() -> trustme.CA:
    return trustme.CA()


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="prowingen-test-")  # kept as long as it is cached


def write(certificate: trustme.LeafCert, folder: Path, name: str) -> Files:
    chain = folder / f"{name}.pem"
    key = folder / f"{name}.key"
    chain.write_bytes(b"".join(pem.bytes() for pem in certificate.cert_chain_pems))
    key.write_bytes(certificate.private_key_pem.bytes())
    return Files(str(chain), str(key))


@cache
def server_files() -> Files:
    return write(authority().issue_cert(*NAMES), Path(_folder().name), "server")


@cache
def authority_file() -> str:
    path = Path(_folder().name) / "authority.pem"
    authority().cert_pem.write_to_path(path)
    return str(path)


def client_context(ca: trustme.CA | None = None) -> ssl.SSLContext:
    """Of a client that trusts this authority's servers."""
    context = ssl.create_default_context()
    (ca or authority()).configure_trust(context)
    return context
