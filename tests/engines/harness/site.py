"""A server in this process, with the clients that a test opened to it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from harness.certificates import client_context
from harness.framed import FramedWire
from harness.h3wire import H3Wire
from harness.wire import Address, Response, Wire

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

    import prowingen_wsgi

    Handler = Callable[[prowingen_wsgi.Request, prowingen_wsgi.Response], Any]


WORKS_AHEAD = {"embedded"}
"""Engines that work on pipelined requests side by side; the others, one after the other."""


class ServeFixture(Protocol):
    def __call__(self, app: object, **options: object) -> Site: ...


class ListenFixture(Protocol):
    def __call__(self, handler: Handler, **options: object) -> Site: ...


def address_of(url: str) -> Address:
    if url.startswith("unix:"):
        return url.removeprefix("unix:").removeprefix("//")
    parts = urlsplit(url)
    assert parts.hostname is not None, url
    assert parts.port is not None, url
    return parts.hostname, parts.port


class Site:
    """One running server; wires opened through it are closed with it."""

    def __init__(self, server: Any, tls: bool = False) -> None:
        self.server = server
        self.http2 = False
        """Whether its clients speak it."""
        self.http3 = False
        self._tls = tls
        self._wires: list[Wire] = []

    @property
    def url(self) -> str:
        return str(self.server.addresses[0])

    @property
    def address(self) -> Address:
        return address_of(self.url)

    @property
    def port(self) -> int:
        address = self.address
        assert isinstance(address, tuple)
        return address[1]

    @property
    def protocol(self) -> str:
        """As applications and logs name what its clients speak."""
        return "HTTP/3.0" if self.http3 else "HTTP/2.0" if self.http2 else "HTTP/1.1"

    @property
    def has_streams(self) -> bool:
        """Whether each request has one of its own."""
        return self.http2 or self.http3

    @property
    def tls(self) -> ssl.SSLContext | None:
        """A context of its clients, if it speaks TLS."""
        return client_context() if self._tls else None

    def connect(self, **options: Any) -> Wire:
        wire: Wire
        if self.http3:
            wire = H3Wire(self, **options)
        else:
            options.setdefault("tls", self.tls)
            wire = (FramedWire if self.http2 else Wire)(self.address, **options)
        self._wires.append(wire)
        return wire

    def ask(self, target: str = "/", *fields: str, method: str = "GET") -> Response:
        """One request on a connection of its own."""
        with self.connect() as wire:
            return wire.ask(target, "Connection: close", *fields, method=method)

    def post(self, body: bytes, target: str = "/", *fields: str) -> Response:
        with self.connect() as wire:
            wire.post(target, body, "Connection: close", *fields)
            return wire.response()

    def close_wires(self) -> None:
        for wire in self._wires:
            wire.close()


@contextmanager
def start_site(app: Any, engine: str, **options: Any) -> Iterator[Site]:
    settings: dict[str, Any] = {
        "bind": "127.0.0.1:0",
        "threads": 4,
        # A test that leaves a request running should fail soon, not hold up the suite.
        "graceful_timeout": 5,
        **options,
    }
    # Late, as this module is also loaded for tests that need no native module.
    import prowingen_wsgi

    with prowingen_wsgi.serve(app, engine=engine, **settings) as server:
        site = Site(server, tls=bool(settings.get("certfile")))
        try:
            yield site
        finally:
            site.close_wires()
