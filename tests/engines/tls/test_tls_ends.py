"""HTTPS: the end of a connection, which either side tells the other (close_notify)."""

from __future__ import annotations

import contextlib
import hashlib
import socket
import ssl
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from harness.apps import Gate, hello
from harness.certificates import client_context
from harness.https import BODY, GET, hash_of_body
from harness.wire import Wire, until_refused

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from harness.site import ServeFixture, Site


def with_goodbye(address: Any, data: bytes) -> bytes:
    """Sends bytes and close_notify in one segment; what is answered until the server's own."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = client_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    answer = b""
    with socket.create_connection(address, timeout=10) as sock:
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                sock.sendall(outgoing.read())
                incoming.write(sock.recv(65536))
        sock.sendall(outgoing.read())
        tls.write(data)
        with contextlib.suppress(ssl.SSLWantReadError):
            tls.unwrap()
        sock.sendall(outgoing.read())
        while True:
            try:
                piece = tls.read(65536)
            except ssl.SSLWantReadError:
                if received := sock.recv(65536):
                    incoming.write(received)
                else:
                    incoming.write_eof()
            except ssl.SSLZeroReturnError:
                return answer
            else:
                if not piece:
                    return answer
                answer += piece


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        (GET, b"HTTP/1.1 200 OK\r\n"),
        (GET + GET, b"HTTP/1.1 200 OK\r\n"),
        (GET[:-2], b"HTTP/1.1 400 Bad Request\r\n"),
        (GET[:5], b"HTTP/1.1 400 Bad Request\r\n"),
        (
            b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nhello",
            b"HTTP/1.1 400 Bad Request\r\n",
        ),
        (b"", b""),
    ],
    ids=["request", "requests", "head", "line", "body", "nothing"],
)
def test_an_end_that_comes_with_the_last_bytes_is_heard_at_once(
    site: Site, data: bytes, answer: bytes
) -> None:
    begun = time.monotonic()
    answered = with_goodbye(site.address, data)
    assert answered.startswith(answer)
    assert answered.count(answer) == max(1, data.count(GET)) or not answer
    assert time.monotonic() - begun < 5, "no time limit was waited for"


def test_an_end_that_comes_with_a_body_that_is_read_later_is_heard(
    serve: ServeFixture, options: dict[str, object]
) -> None:
    """Reading pauses, as the body is more than waits for a worker."""
    body = BODY[:40_000]
    head = f"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
    site = serve(hash_of_body, body_buffer=1000, **options)
    answered = with_goodbye(site.address, head.encode() + body)
    assert answered.endswith(hashlib.sha256(body).hexdigest().encode())


@pytest.mark.no_http2("no field asks for the end")
@pytest.mark.engines("embedded")
def test_the_goodbye_waits_for_a_socket_that_is_full(
    serve: ServeFixture, options: dict[str, object]
) -> None:
    """Python's client raises SSLEOFError for an end without close_notify."""
    sizes = [200_000 + 6_007 * step for step in range(12)]

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        size = sizes[int(environ["PATH_INFO"][1:])]
        start_response("200 OK", [("Content-Length", str(size))])
        return [BODY[:size]]

    site = serve(app, **options)
    with ExitStack() as stack:
        wires = []
        for number in range(len(sizes)):
            wire = stack.enter_context(site.connect(receive_buffer=4096))
            wire.get(f"/{number}", "Connection: close")
            wires.append(wire)
        for size, wire in zip(sizes, wires, strict=True):
            assert wire.response().body == BODY[:size]
            wire.expect_closed()


@pytest.mark.no_http2("no field asks for the end")
def test_the_server_says_goodbye(serve: ServeFixture, options: dict[str, object]) -> None:
    # Python's client raises SSLEOFError for an end without close_notify.
    site = serve(hello, **options)
    with site.connect() as wire:
        assert wire.ask("/", "Connection: close").status == 200
        wire.expect_closed()


def test_an_idle_connection_is_closed_with_a_goodbye(
    serve: ServeFixture, options: dict[str, object]
) -> None:
    with serve(hello, keep_alive_timeout=0.2, **options).connect() as wire:
        assert wire.ask().status == 200
        wire.expect_closed()


def test_a_drain_answers_what_runs(serve: ServeFixture, options: dict[str, object]) -> None:
    gate = Gate()

    def app(_environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        gate.pass_through()
        start_response("200 OK", [("Content-Length", "2")])
        return [b"ok"]

    site = serve(app, **options)
    with site.connect() as wire, site.connect() as silent:
        wire.get()
        gate.wait_entered()
        stopping = stop_in_background(site)
        until_refused(lambda: Wire(site.address))
        gate.opened.set()
        response = wire.response()
        assert response.body == b"ok"
        wire.expect_goodbye(response)
        silent.expect_closed()
    stopping.join()


def stop_in_background(site: Site) -> Any:
    import threading

    thread = threading.Thread(target=site.server.stop)
    thread.start()
    return thread
