"""Clients that send slowly, stop or leave: time limits, back-pressure, and no worker held."""

from __future__ import annotations

import threading
import time
from operator import methodcaller
from typing import TYPE_CHECKING, Any

import pytest

from harness.apps import PLAIN, Environ, Gate, StartResponse, hello
from harness.wire import Truncated

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.site import ServeFixture

POST = b"POST / HTTP/1.1\r\nHost: a\r\n"


def reading(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    body = environ["wsgi.input"].read()
    start_response("200 OK", PLAIN)
    return [b"%d" % len(body)]


@pytest.mark.no_http2("a head is one frame")
@pytest.mark.parametrize("start", [b"G", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nX"])
def test_head_that_stops_midway_gets_408(serve: ServeFixture, start: bytes) -> None:
    with serve(hello, header_timeout=0.3).connect() as wire:
        wire.send(start)
        response = wire.response()
        assert response.status == 408
        assert response.closes
        wire.expect_closed()


@pytest.mark.no_http2("a head is one frame")
def test_head_that_drips_does_not_gain_time(serve: ServeFixture) -> None:
    """Else a client could hold a connection for ever, a byte at a time."""
    with serve(hello, header_timeout=0.5).connect() as wire:
        started = time.monotonic()
        wire.send(b"GET / HTTP/1.1\r\nHost: a\r\nX: ")
        while wire.is_silent(0.05):
            assert time.monotonic() - started < 5
            wire.send_leniently(b"y")
        assert wire.response().status == 408


@pytest.mark.no_http2("a goodbye is said: see test_http2")
def test_connection_that_never_asks_is_closed(serve: ServeFixture) -> None:
    with serve(hello, header_timeout=0.3, keep_alive_timeout=0.3).connect() as wire:
        raw = wire.read_to_end()
        assert raw == b"" or raw.startswith(b"HTTP/1.1 408 ")


@pytest.mark.no_http2("a goodbye is said: see test_http2")
def test_idle_connection_is_closed_silently(serve: ServeFixture) -> None:
    """A 408 could be taken for the answer to a request on its way (RFC 9112 section 9.5)."""
    with serve(hello, keep_alive_timeout=0.3).connect() as wire:
        assert wire.ask().body == b"hello"
        started = time.monotonic()
        wire.expect_closed()
        assert 0.2 < time.monotonic() - started < 2


@pytest.mark.no_http2("no field says so")
def test_an_answer_says_that_no_further_request_is_awaited(serve: ServeFixture) -> None:
    with serve(hello, keep_alive_timeout=0).connect() as wire:
        assert wire.ask().closes
        wire.expect_closed()


def test_idle_time_starts_anew_with_each_request(serve: ServeFixture) -> None:
    with serve(hello, keep_alive_timeout=0.6).connect() as wire:
        for _ in range(4):
            assert wire.ask().body == b"hello"
            assert wire.is_silent(0.25)


def test_running_request_is_not_idle(serve: ServeFixture) -> None:
    gate = Gate()

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        gate.pass_through()
        return hello(environ, start_response)

    with serve(app, keep_alive_timeout=0.2, header_timeout=0.2, body_timeout=0.2).connect() as wire:
        wire.get()
        gate.wait_entered()
        assert wire.is_silent(0.7)
        gate.opened.set()
        response = wire.response()
        assert response.body == b"hello"
        assert not response.closes
        assert wire.ask().body == b"hello"


def test_body_that_stops_midway_gets_408(serve: ServeFixture) -> None:
    with serve(reading, body_timeout=0.3).connect() as wire:
        wire.send(POST + b"Content-Length: 10\r\n\r\nhello")
        response = wire.response()
        assert response.status == 408
        wire.expect_over(response)


def test_body_that_drips_is_waited_for(serve: ServeFixture) -> None:
    """An idle limit: a slow upload that moves is no fault."""
    with serve(reading, body_timeout=0.5).connect() as wire:
        wire.send(POST + b"Content-Length: 8\r\n\r\n")
        for _ in range(8):
            assert wire.is_silent(0.12)
            wire.send(b"x")
        assert wire.response().body == b"8"


@pytest.mark.parametrize(
    "end", ["silence", pytest.param("early end", marks=pytest.mark.no_http2("streams end alone"))]
)
def test_streamed_body_that_stops_wakes_the_reader(serve: ServeFixture, end: str) -> None:
    """And no answer has begun, so that its client is told."""
    raised: list[BaseException] = []
    gate = Gate()

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        try:
            environ["wsgi.input"].read()
        except Exception as error:
            raised.append(error)
            raise
        finally:
            gate.entered.set()
        return hello(environ, start_response)

    with serve(app, body_timeout=0.3, body_buffer=4).connect() as wire:
        wire.send(POST + b"Content-Length: 10\r\n\r\nhello")
        if end == "early end":
            wire.finish_sending()
        response = wire.response()
        assert response.status == (408 if end == "silence" else 400)
        wire.expect_over(response)
    gate.wait_entered()
    assert isinstance(raised[0], OSError), raised


def test_streamed_body_that_stops_in_the_middle_of_its_answer_ends_the_connection(
    serve: ServeFixture,
) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", PLAIN)
        yield b"begun"
        yield environ["wsgi.input"].read()

    with serve(app, body_timeout=0.3, body_buffer=4).connect() as wire:
        wire.send(POST + b"Content-Length: 10\r\n\r\nhello")
        with pytest.raises((Truncated, ConnectionResetError)):
            wire.response()
        wire.expect_over()


def test_slow_upload_within_the_buffer_takes_no_worker(serve: ServeFixture) -> None:
    site = serve(reading, threads=1)
    uploads = [site.connect() for _ in range(10)]
    for wire in uploads:
        wire.send(POST + b"Content-Length: 200000\r\n\r\n" + b"x" * 100_000)
    assert site.ask().body == b"0"
    for wire in uploads:
        wire.send(b"x" * 100_000)
        assert wire.response().body == b"200000"


def test_slow_chunked_upload_within_the_buffer_takes_no_worker(serve: ServeFixture) -> None:
    site = serve(reading, threads=1)
    with site.connect() as wire:
        wire.send(POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        assert site.ask().body == b"0"
        wire.send(b"0\r\n\r\n")
        assert wire.response().body == b"5"


def test_upload_nobody_reads_is_held_back(serve: ServeFixture) -> None:
    gate = Gate()

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        gate.pass_through()
        return reading(environ, start_response)

    size = 64 << 20
    with serve(app).connect() as wire:
        wire.send(POST + b"Content-Length: %d\r\n\r\n" % size)
        sent = wire.send_until_blocked(bytes(size))
        assert sent < 32 << 20, "the server took more than buffers should hold"
        gate.opened.set()
        wire.send(bytes(size - sent))
        assert wire.response().body == b"%d" % size


@pytest.mark.parametrize(
    "leave", [methodcaller("close"), methodcaller("reset")], ids=["close", "reset"]
)
def test_departed_sender_wakes_a_blocked_read_with_an_error(
    serve: ServeFixture, leave: Any
) -> None:
    """A short read would present the half as whole."""
    gate = Gate()
    raised: list[BaseException] = []

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        assert environ["wsgi.input"].read(5) == b"hello"
        gate.entered.set()
        try:
            environ["wsgi.input"].read()
        except Exception as error:  # noqa: BLE001 - which one is what the test asks
            raised.append(error)
        gate.opened.set()
        return hello(environ, start_response)

    with serve(app, body_buffer=4).connect() as wire:
        wire.send(POST + b"Content-Length: 10\r\n\r\nhello")
        gate.wait_entered()
        leave(wire)
        assert gate.opened.wait(10), "the read was never woken"
    assert isinstance(raised[0], OSError), raised
    assert str(raised[0])


@pytest.mark.no_http2("it has no chunks")
def test_streamed_body_with_bad_framing_raises_in_the_reader(serve: ServeFixture) -> None:
    raised: list[BaseException] = []
    gate = Gate()
    over = threading.Event()

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        environ["wsgi.input"].read(5)
        gate.entered.set()
        try:
            environ["wsgi.input"].read()
        except Exception as error:
            raised.append(error)
            over.set()
            raise
        return hello(environ, start_response)

    with serve(app, body_buffer=4, chunked_body="stream").connect() as wire:
        wire.send(POST + b"Transfer-Encoding: chunked\r\n\r\n8\r\nhello...\r\n")
        gate.wait_entered()
        wire.send(b"rubbish\r\n")
        raw = wire.read_to_end()
    assert not raw.startswith(b"HTTP/1.1 2")
    assert over.wait(10)
    assert isinstance(raised[0], OSError), raised


def test_departed_sender_of_a_buffered_body_is_never_seen_by_the_app(serve: ServeFixture) -> None:
    called: list[str] = []

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        called.append(environ["REQUEST_METHOD"])
        return hello(environ, start_response)

    site = serve(app, threads=1)
    with site.connect() as wire:
        wire.send(POST + b"Content-Length: 10\r\n\r\nhello")
        wire.reset()
    assert site.ask().body == b"hello"
    assert called == ["GET"]


def test_unread_body_within_the_drain_limit_keeps_the_connection(serve: ServeFixture) -> None:
    with serve(hello, body_buffer=1024, drain_limit=256 << 10).connect() as wire:
        wire.post("/", b"x" * 100_000)
        response = wire.response()
        assert response.body == b"hello"
        if not response.closes:
            assert wire.ask().body == b"hello"


@pytest.mark.no_tls("Python's ssl reads no more once a write has failed")
def test_unread_body_beyond_the_drain_limit_ends_the_connection(serve: ServeFixture) -> None:
    size = 64 << 20
    with serve(hello, body_buffer=1024, drain_limit=64 << 10).connect() as wire:
        wire.send(POST + b"Content-Length: %d\r\n\r\n" % size)
        sent = wire.send_until_blocked(bytes(size))
        assert sent < 32 << 20
        assert wire.response().body == b"hello", "the answer should survive the close"
        wire.expect_over()


def test_refusal_reaches_a_client_that_is_still_sending(serve: ServeFixture) -> None:
    """Closing with unread input makes an RST, which may destroy the answer on its way."""
    with serve(hello, max_body=1000).connect() as wire:
        wire.send(POST + b"Content-Length: 150000\r\n\r\n")
        wire.send_leniently(b"x" * 150_000)
        response = wire.response()
        assert response.status == 413
        wire.expect_over(response)
