"""An authority for the tests, the server's certificate, and contexts of clients that trust it."""

from __future__ import annotations

import ssl
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import trustme

from .wire import Wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from .wire import Address, Response

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
    """Of a client that trusts this authority's servers and no other: quick to make, where the
    system's authorities take tens of milliseconds to load."""
    return ssl.create_default_context(cadata=(ca or authority()).cert_pem.bytes().decode())


class ReturningClient:
    """Each time a new connection, with the session of the last one; all stay open to the end."""

    def __init__(self, address: Address, own: Files | None = None) -> None:
        """own: the client's certificate."""
        self._address = address
        self._context = client_context()
        if own is not None:
            self._context.load_cert_chain(own.certfile, own.keyfile)
        # With TLS 1.3 Python shows a session when it has read behind the handshake.
        self._context.maximum_version = ssl.TLSVersion.TLSv1_2
        self._session: ssl.SSLSession | None = None
        self._stack = ExitStack()
        self.resumed = False

    def __enter__(self) -> ReturningClient:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def ask(self, name: str = "localhost") -> Response:
        wire = self._stack.enter_context(Wire(self._address))
        tls = self._context.wrap_socket(wire.socket, server_hostname=name, session=self._session)
        wire.socket, self._session = tls, tls.session
        self.resumed = tls.session_reused is True
        return wire.ask()

    def resumed_by_all(self, workers: int, ask: Callable[[], object]) -> bool:
        """Whether every worker resumed the session of the first; `ask` tells who answered."""
        seen = {ask()}
        for attempt in range(400):  # they take even shares of what is open, once all have started
            if attempt >= 100:
                time.sleep(0.03)
            seen.add(ask())
            if not self.resumed:
                return False
            if len(seen) == workers:
                return True
        return False
