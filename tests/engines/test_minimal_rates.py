"""Clients that hardly move hold no connection; those that are not waited for may rest."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

import pytest

from harness.apps import PLAIN, Closable, Environ, Gate, StartResponse, answering, hello
from harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from harness.site import ServeFixture
    from harness.wire import Wire

WINDOW = 0.3
HEAD_IS_ONE_FRAME = pytest.mark.no_http2("a head is one frame")
RATES = {"min_rate": 10_000, "min_rate_window": WINDOW}
POST = b"POST / HTTP/1.1\r\nHost: a\r\n"


def reading(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    body = environ["wsgi.input"].read()
    start_response("200 OK", PLAIN)
    return [b"%d" % len(body)]


def drip(wire: Wire, seconds: float, data: bytes = b"x", pause: float = 0.05) -> bool:
    """Sends it again and again. True if the server says something within this time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not wire.is_silent(pause):
            return True
        wire.send_leniently(data)
    return False


@pytest.mark.parametrize(
    "start",
    [
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nX: ", id="head", marks=HEAD_IS_ONE_FRAME),
        pytest.param(POST + b"Content-Length: 100000\r\n\r\n", id="body"),
    ],
)
def test_request_that_drips_gets_408(serve: ServeFixture, start: bytes) -> None:
    with serve(reading, **RATES).connect() as wire:
        wire.send(start)
        assert drip(wire, 10)
        response = wire.response()
        assert response.status == 408
        wire.expect_over(response)


def test_chunks_that_drip_get_408(serve: ServeFixture) -> None:
    with serve(reading, **RATES).connect() as wire:
        wire.send(POST + b"Transfer-Encoding: chunked\r\n\r\n")
        assert drip(wire, 10, b"1\r\nx\r\n")
        assert wire.response().status == 408


def test_streamed_body_that_drips_wakes_its_reader(serve: ServeFixture) -> None:
    raised: list[BaseException] = []

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        try:
            environ["wsgi.input"].read()
        except Exception as error:
            raised.append(error)
            raise
        return hello(environ, start_response)

    with serve(app, body_buffer=4, **RATES).connect() as wire:
        wire.send(POST + b"Content-Length: 100000\r\n\r\nhello")
        assert drip(wire, 10)
        assert wire.response().status == 408
        assert eventually(lambda: raised)
    assert isinstance(raised[0], OSError), raised
    assert "min_rate" in str(raised[0])


@pytest.mark.no_http2("a stream that is answered is reset")
def test_unread_body_that_drips_does_not_hold_the_connection(serve: ServeFixture) -> None:
    with serve(hello, body_buffer=4, **RATES).connect() as wire:
        wire.send(POST + b"Content-Length: 100000\r\n\r\nhello")
        assert wire.response().body == b"hello"
        assert drip(wire, 10)
        wire.expect_closed()


def test_request_that_is_as_fast_as_it_has_to_be_is_waited_for(serve: ServeFixture) -> None:
    with serve(reading, **RATES).connect() as wire:
        wire.send(POST + b"Content-Length: 40000\r\n\r\n")
        for _ in range(20):
            assert wire.is_silent(0.05)
            wire.send(bytes(2000))
        assert wire.response().body == b"40000"


def test_silence_is_left_to_the_other_limits(serve: ServeFixture) -> None:
    """A client that was cut off for a while and goes on has done nothing wrong."""
    with serve(reading, **RATES).connect() as wire:
        wire.send(POST + b"Content-Length: 60000\r\n\r\n" + bytes(20_000))
        assert wire.is_silent(3 * WINDOW)
        wire.send(bytes(40_000))
        assert wire.response().body == b"60000"


@pytest.mark.parametrize("part", [pytest.param("head", marks=HEAD_IS_ONE_FRAME), "body"])
def test_whoever_comes_back_just_before_a_window_ends_has_another(
    serve: ServeFixture, part: str
) -> None:
    window = 0.6
    with serve(reading, min_rate=10_000, min_rate_window=window).connect() as wire:
        wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 20001\r\n")
        wire.send(b"X: " if part == "head" else b"\r\n1")
        assert wire.is_silent(window / 2)
        wire.send(b"1")
        assert wire.is_silent(window), "too slow by then"
        wire.send(b"1" * 20_000 if part == "head" else bytes(19_999))
        if part == "head":
            wire.send(b"\r\n\r\n" + bytes(20_001))
        assert wire.response().body == b"20001"


def test_no_rate_is_asked_of_a_client_that_the_server_holds_back(serve: ServeFixture) -> None:
    gate = Gate()

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        gate.pass_through()
        return reading(environ, start_response)

    size = 16 << 20
    with serve(app, **RATES).connect() as wire:
        wire.send(POST + b"Content-Length: %d\r\n\r\n" % size)
        sent = wire.send_until_blocked(bytes(size), patience=0.3)
        assert wire.is_silent(3 * WINDOW)
        gate.opened.set()
        wire.send(bytes(size - sent))
        assert wire.response().body == b"%d" % size


def test_no_rate_is_asked_while_100_continue_is_due(serve: ServeFixture) -> None:
    gate = Gate()

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        gate.pass_through()
        return reading(environ, start_response)

    with serve(app, **RATES).connect() as wire:
        wire.send(POST + b"Expect: 100-continue\r\nContent-Length: 20000\r\n\r\n")
        assert wire.is_silent(3 * WINDOW)
        gate.opened.set()
        reply = wire.reply()
        assert reply.continued() == 100
        wire.send(bytes(20_000))
        assert reply.rest().body == b"20000"


@pytest.mark.no_http2("windows hold it up: see test_http2_rates")
@pytest.mark.no_tls("records hide how much of them was read")
@pytest.mark.parametrize(
    "answer",
    [
        lambda: [bytes(64 << 20)],
        lambda: (bytes(65536) for _ in range(2000)),
    ],
    ids=["whole", "generated"],
)
def test_reader_that_drips_is_broken_off(
    serve: ServeFixture, answer: Callable[[], Iterable[bytes]]
) -> None:
    body = Closable(answer())
    site = serve(answering(body), min_rate=200_000, min_rate_window=WINDOW)
    with site.connect(receive_buffer=4096) as wire:
        wire.get()
        wire.socket.settimeout(10)
        started = time.monotonic()
        taken = 0
        try:
            while piece := wire.socket.recv(1024):
                taken += len(piece)
                assert time.monotonic() - started < 10, "never cut"
                time.sleep(0.02)
        except ConnectionError:
            pass
        assert taken < 32 << 20
        body.expect_closed_once()


@pytest.mark.no_http2("its client speaks HTTP/1.1 alone")
@pytest.mark.no_tls("records hide how much of them was read")
def test_reader_that_drips_is_broken_off_behind_the_end_of_the_answer_too(
    serve: ServeFixture,
) -> None:
    """All of it is with the engine, and the application is done with it."""
    # The kernel takes the first one whole, and not the second: some 90,000 bytes of both, or more.
    bodies = [Closable([bytes(50_000)]), Closable([bytes(100_000)])]
    left = iter(bodies)

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        return answering(next(left))(environ, start_response)

    site = serve(app, **RATES)
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)  # the kernel takes less
        client.connect(site.address)
        for body in bodies:
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            body.expect_closed_once()

        def bite() -> bool:
            time.sleep(0.1)
            return bool(client.recv(500))

        with pytest.raises(ConnectionError):
            eventually(lambda: not bite(), 10)


def test_reader_that_is_fast_enough_gets_it_all(serve: ServeFixture) -> None:
    site = serve(answering([bytes(65536)] * 40), min_rate=20_000, min_rate_window=WINDOW)
    with site.connect(receive_buffer=4096) as wire:
        wire.get()
        reply = wire.reply()
        started = time.monotonic()
        while time.monotonic() - started < 1.2:
            assert reply.data()
            time.sleep(0.01)
        assert len(reply.rest().body) == 40 * 65536


def test_stream_of_events_with_nothing_to_send_is_never_cut(serve: ServeFixture) -> None:
    """Nothing is due from its client: it has read all there is, a few bytes now and then."""
    gate = Gate()

    def events(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        yield b"data: first\n\n"
        for number in range(12):
            time.sleep(WINDOW / 4)
            yield b"data: %d\n\n" % number
        gate.pass_through()
        yield b"data: last\n\n"

    with serve(events, **RATES).connect() as wire:
        wire.get()
        reply = wire.reply()
        assert b"first" in reply.data()
        time.sleep(5 * WINDOW)
        gate.opened.set()
        assert reply.rest().body.endswith(b"data: last\n\n")
        assert wire.ask().status == 200, "the connection should go on"


def test_no_rate_is_asked_if_none_is_set(serve: ServeFixture) -> None:
    with serve(reading, min_rate=0, min_rate_window=0.1).connect() as wire:
        wire.send(POST + b"Content-Length: 15\r\n\r\n")
        assert not drip(wire, 0.6)
