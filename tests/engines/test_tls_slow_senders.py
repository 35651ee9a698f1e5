"""A body over TLS whose records come in parts: their bytes count, though none can be read yet."""

from __future__ import annotations

import socket
import ssl
import time
from typing import TYPE_CHECKING

import pytest

from harness.apps import PLAIN, Environ, StartResponse
from harness.certificates import client_context, server_files

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from harness.site import ServeFixture, Site

pytestmark = pytest.mark.no_http2("its client speaks HTTP/1.1 alone")

SIZE = 10_000
"""One record."""


class Records:
    """A client of TLS whose records leave when and as far as the test says."""

    def __init__(self, site: Site) -> None:
        assert isinstance(site.address, tuple)
        self.socket = socket.create_connection(site.address, timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = client_context().wrap_bio(
            self._incoming, self._outgoing, server_hostname="localhost"
        )
        while True:
            try:
                self._tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self.socket.sendall(self._outgoing.read())
                self._incoming.write(self.socket.recv(1 << 16))
        self.socket.sendall(self._outgoing.read())
        self._come = b""

    def encrypted(self, data: bytes) -> bytes:
        self._tls.write(data)
        return self._outgoing.read()

    def answer(self) -> bytes:
        """The first bytes of it."""
        while not self._come:
            try:
                self._come = self._tls.read(1 << 16)
            except ssl.SSLWantReadError:
                data = self.socket.recv(1 << 16)
                assert data, "closed without an answer"
                self._incoming.write(data)
        return self._come

    def is_answered(self, seconds: float) -> bool:
        usual = self.socket.gettimeout()
        self.socket.settimeout(seconds)
        try:
            return bool(self.answer())
        except TimeoutError:
            return False
        finally:
            self.socket.settimeout(usual)


def reading(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    body = environ["wsgi.input"].read()
    start_response("200 OK", PLAIN)
    return [b"%d" % len(body)]


@pytest.fixture
def records() -> Iterator[list[Records]]:
    opened: list[Records] = []
    yield opened
    for client in opened:
        client.socket.close()


def upload(serve: ServeFixture, opened: list[Records], **options: object) -> tuple[Records, bytes]:
    """A client that has sent its head, and the record that its body is."""
    client = Records(serve(reading, **vars(server_files()), **options))
    opened.append(client)
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % SIZE
    client.socket.sendall(client.encrypted(head))
    return client, client.encrypted(bytes(SIZE))


def test_a_record_that_comes_in_parts_is_waited_for(
    serve: ServeFixture, records: list[Records]
) -> None:
    client, record = upload(serve, records, body_timeout=0.5, min_rate=0)
    for start in range(0, len(record), 1000):
        time.sleep(0.12)
        client.socket.sendall(record[start : start + 1000])
    assert client.answer().startswith(b"HTTP/1.1 200 ")


def test_a_record_that_stops_midway_gets_408(serve: ServeFixture, records: list[Records]) -> None:
    client, record = upload(serve, records, body_timeout=0.3, min_rate=0)
    client.socket.sendall(record[:1000])
    assert client.answer().startswith(b"HTTP/1.1 408 ")


def test_a_record_that_drips_gets_408(serve: ServeFixture, records: list[Records]) -> None:
    client, record = upload(serve, records, min_rate=10_000, min_rate_window=0.3)
    left = iter(record)
    deadline = time.monotonic() + 5
    while not client.is_answered(0.05):
        assert time.monotonic() < deadline, "it should have been cut by now"
        client.socket.sendall(bytes([next(left)]))
    assert client.answer().startswith(b"HTTP/1.1 408 ")
