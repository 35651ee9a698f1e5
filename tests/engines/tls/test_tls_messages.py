"""HTTPS: what an application hears of it, and requests and answers in records.

What HTTP does over TLS is what it does without: `pytest --tls` runs the other tests so.
"""

from __future__ import annotations

import hashlib
import socket
import ssl
from typing import TYPE_CHECKING, Any

import pytest

from harness.apps import Echo
from harness.certificates import client_context
from harness.https import BODY, GET, asked, big, hash_of_body
from harness.proxyhead import environ_of, v1
from harness.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from harness.site import ServeFixture, Site


def test_the_application_sees_https(site: Site) -> None:
    assert site.url.startswith("https://")
    environ = environ_of(site.ask())
    assert environ["wsgi.url_scheme"] == "https"
    assert environ["SSL_PROTOCOL"] == "TLSv1.3"
    assert environ["SSL_CIPHER"].startswith("TLS_")
    assert environ["SSL_TLS_SNI"] == "localhost"
    assert environ["SSL_CLIENT_VERIFY"] == "NONE"
    assert "SSL_CLIENT_CERT" not in environ


def test_an_application_without_tls_hears_nothing_of_it(serve: ServeFixture) -> None:
    site = serve(Echo(), certfile="", keyfile="")
    assert not [name for name in environ_of(site.ask()) if name.startswith("SSL_")]


def test_without_a_name_there_is_none(site: Site) -> None:
    context = client_context()
    context.check_hostname = False
    with Wire(site.address) as wire:
        wire.socket = context.wrap_socket(wire.socket)
        assert "SSL_TLS_SNI" not in environ_of(wire.ask())


def test_bodies_come_through_whole(serve: ServeFixture, options: dict[str, object]) -> None:
    with serve(big, **options).connect() as wire:
        assert wire.ask().body == BODY
        assert wire.ask().body == BODY
    site = serve(hash_of_body, **options)
    assert site.post(BODY).text == hashlib.sha256(BODY).hexdigest()


def test_a_file_comes_through_whole(
    serve: ServeFixture, options: dict[str, object], tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(BODY)

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Length", str(len(BODY)))])
        wrapped: Iterable[bytes] = environ["wsgi.file_wrapper"]((tmp_path / "file").open("rb"))
        return wrapped

    assert serve(app, **options).ask().body == BODY


def test_a_slow_reader_gets_all_of_it(serve: ServeFixture, options: dict[str, object]) -> None:
    with serve(big, **options).connect(receive_buffer=4096) as wire:
        wire.get("/", "Connection: close")
        reply = wire.reply()
        assert reply.exactly(len(BODY) // 2) + reply.rest().body[len(BODY) // 2 :]
        assert reply.head().body == BODY


def test_records_may_be_small_and_cut(site: Site) -> None:
    with site.connect() as wire:
        for byte in GET:
            wire.send(bytes([byte]))  # a record each
        assert wire.response().status == 200


def through_memory(address: Any, pieces: int) -> bytes:
    """Sends a request whose ciphertext arrives in pieces, whatever records it consists of."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = client_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with socket.create_connection(address, timeout=10) as sock:
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                sock.sendall(outgoing.read())
                incoming.write(sock.recv(65536))
        # The end of the handshake and the request at once, cut anywhere.
        tls.write(GET)
        sent = outgoing.read()
        size = -(-len(sent) // pieces)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(0, len(sent), size):
            sock.sendall(sent[at : at + size])
        while True:
            try:
                return tls.read(65536)
            except ssl.SSLWantReadError:
                incoming.write(sock.recv(65536))


@pytest.mark.parametrize("pieces", [1, 2, 7, 1000])
def test_a_request_may_come_with_the_end_of_the_handshake(site: Site, pieces: int) -> None:
    assert through_memory(site.address, pieces).startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_proxy_header_comes_before_the_handshake(
    serve: ServeFixture, options: dict[str, object]
) -> None:
    site = serve(Echo(), proxy_protocol=True, **options)
    with Wire(site.address) as wire:
        wire.send(v1())
        wire.socket = client_context().wrap_socket(wire.socket, server_hostname="localhost")
        environ = environ_of(wire.ask())
    assert environ["REMOTE_ADDR"] == "192.0.2.1"
    assert environ["wsgi.url_scheme"] == "https"


def test_a_unix_socket_speaks_tls_too(
    serve: ServeFixture, options: dict[str, object], tmp_path: Path
) -> None:
    site = serve(Echo(), bind=f"unix:{tmp_path}/socket", **options)
    environ = environ_of(asked(site, client_context()))
    assert environ["wsgi.url_scheme"] == "https"
    assert environ["SERVER_PORT"] == "443"
