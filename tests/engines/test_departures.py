"""A client's departure ends an application that sends nothing by which it would be noticed."""

from __future__ import annotations

import threading
import time
from operator import methodcaller
from typing import TYPE_CHECKING, Any

import pytest
from prowingen_wsgi import ClientDisconnected

from harness.apps import PLAIN, Closable, Environ, Gate, StartResponse, answering, hello
from harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from prowingen_wsgi import Request, Response

    from harness.site import ListenFixture, ServeFixture
    from harness.wire import Wire

PAUSE = 0.02
PATIENCE = 10.0
LEAVE = [pytest.param(methodcaller(name), id=name) for name in ("reset", "close")]


def again_and_again(piece: bytes = b"") -> Iterator[bytes]:
    """Pieces at short intervals, for longer than a test waits for the end."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        yield piece
        time.sleep(PAUSE)


class Departed:
    """What calls over and over until it is told that the client is gone."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.told = threading.Event()

    def repeat(self, call: Callable[[], object]) -> None:
        self.began.set()
        for _ in again_and_again():
            try:
                call()
            except ClientDisconnected:
                self.told.set()
                raise

    def leave(self, wire: Wire, leave: Callable[[Wire], None] = methodcaller("reset")) -> None:
        assert self.began.wait(PATIENCE)
        leave(wire)
        assert self.told.wait(PATIENCE / 2), "nobody told the application"


# ---- WSGI


@pytest.mark.parametrize("leave", LEAVE)
@pytest.mark.parametrize("fields", [(), ("Connection: close",)], ids=["kept", "last"])
def test_empty_pieces_end_with_the_client(
    serve: ServeFixture, leave: Callable[[Wire], None], fields: tuple[str, ...]
) -> None:
    body = Closable(again_and_again())
    gate = Gate()

    def app(environ: Environ, start_response: StartResponse) -> Closable:
        start_response("200 OK", PLAIN)
        gate.entered.set()
        return body

    with serve(app).connect() as wire:
        wire.get("/", *fields)
        gate.wait_entered()
        leave(wire)
        body.expect_closed_once(PATIENCE / 2)


def test_empty_pieces_after_a_head_end_with_the_client(serve: ServeFixture) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"begun"
        yield from again_and_again()

    body = Closable(pieces())
    with serve(answering(body)).connect() as wire:
        wire.get()
        assert wire.reply().exactly(5) == b"begun"
        wire.close()
        body.expect_closed_once(PATIENCE / 2)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_empty_writes_end_with_the_client(serve: ServeFixture, method: str) -> None:
    departed = Departed()

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        write = start_response("200 OK", PLAIN)
        departed.repeat(lambda: write(b""))
        return []

    with serve(app).connect() as wire:
        wire.get(method=method)
        departed.leave(wire)


def test_writes_for_head_end_with_the_client(serve: ServeFixture) -> None:
    departed = Departed()

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        write = start_response("200 OK", PLAIN)
        departed.repeat(lambda: write(b"not sent"))
        return []

    with serve(app).connect() as wire:
        wire.get(method="HEAD")
        departed.leave(wire)


def test_iterating_ends_behind_a_declared_length(serve: ServeFixture) -> None:
    """PEP 3333: the server stops iterating over the response when enough data has been sent."""
    body = Closable(again_and_again(b"12345"))
    with serve(answering(body, headers=[("Content-Length", "5")])).connect() as wire:
        assert wire.ask().body == b"12345"
        body.expect_closed_once(PATIENCE / 2)


def test_reads_of_what_has_come_end_with_the_client(serve: ServeFixture) -> None:
    departed = Departed()

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        departed.repeat(lambda: environ["wsgi.input"].read(1))
        return []

    with serve(app).connect() as wire:
        wire.post("/", b"x" * 60_000)
        departed.leave(wire)


def test_a_client_that_left_a_body_unread_is_noticed(serve: ServeFixture) -> None:
    """The server reads nothing more of it until the application does."""
    body = Closable(again_and_again())
    gate = Gate()

    def app(environ: Environ, start_response: StartResponse) -> Closable:
        start_response("200 OK", PLAIN)
        gate.entered.set()
        return body

    with serve(app, body_buffer=16_384).connect() as wire:
        wire.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10000000\r\n\r\n")
        wire.send_until_blocked(b"x" * 100_000, patience=0.1)
        gate.wait_entered()
        wire.reset()
        body.expect_closed_once(PATIENCE / 2)


@pytest.mark.no_http2("streams end alone")
def test_a_client_that_half_closed_may_wait_for_a_slow_answer(serve: ServeFixture) -> None:
    gate = Gate()

    def pieces(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", PLAIN)
        gate.entered.set()
        for piece in again_and_again():
            yield piece
            if gate.opened.is_set():
                break
        yield b"at last"

    with serve(pieces).connect() as wire:
        wire.get()
        gate.wait_entered()
        wire.finish_sending()
        assert wire.is_silent(10 * PAUSE)
        gate.opened.set()
        assert wire.response().body == b"at last"


def send_alone(wire: Wire) -> None:
    wire.get()


def send_others_behind_it(wire: Wire) -> None:
    wire.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n" * 10)


def send_more_than_is_read(wire: Wire) -> None:
    wire.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10000000\r\n\r\n")
    wire.send_until_blocked(b"x" * 100_000, patience=0.1)


@pytest.mark.no_http2("streams end alone")
@pytest.mark.parametrize("send", [send_alone, send_others_behind_it, send_more_than_is_read])
def test_a_reset_is_seen_while_nothing_is_read_or_written(
    serve: ServeFixture, send: Callable[[Wire], None]
) -> None:
    """Of an application that asks nothing: its client's place is free at once."""
    gate = Gate()

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        gate.pass_through()
        return hello(environ, start_response)

    site = serve(app, body_buffer=16_384)
    with site.connect() as wire:
        send(wire)
        gate.wait_entered()
        assert site.server.stats()["connections_open"] == 1
        wire.reset()
        assert eventually(lambda: site.server.stats()["connections_open"] == 0, PATIENCE / 2)
    gate.opened.set()
    assert site.ask().status == 200


@pytest.mark.no_http2("streams end alone")
def test_a_request_that_waits_is_not_run_for_who_has_reset(serve: ServeFixture) -> None:
    gate = Gate()
    called: list[str] = []

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        called.append(environ["PATH_INFO"])
        if environ["PATH_INFO"] == "/first":
            gate.pass_through()
        return hello(environ, start_response)

    site = serve(app, threads=1)
    with site.connect() as first, site.connect() as second:
        first.get("/first")
        gate.wait_entered()
        second.get("/second")
        assert eventually(lambda: site.server.stats()["queue_length"] == 1)
        second.reset()
        assert eventually(lambda: site.server.stats()["connections_open"] == 1, PATIENCE / 2)
        gate.opened.set()
        assert first.response().status == 200
    assert site.ask("/third").status == 200
    assert called == ["/first", "/third"]


# ---- the raw listener


CALLS: dict[str, Callable[[Any], object]] = {
    "empty write": lambda body: body.write(b""),
    "gathered write": lambda body: body.write(b"x"),
    "flush": lambda body: body.flush(),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_a_handler_is_told_by_what_sends_nothing(
    listen: ListenFixture, call: Callable[[Any], object]
) -> None:
    departed = Departed()

    def handler(request: Request, response: Response) -> None:
        departed.repeat(lambda: call(response.body))

    with listen(handler).connect() as wire:
        wire.get("/", "Connection: close")
        departed.leave(wire)


def test_a_handler_is_told_when_it_reads(listen: ListenFixture) -> None:
    departed = Departed()

    def handler(request: Request, response: Response) -> None:
        departed.repeat(lambda: request.body.read(1))

    with listen(handler).connect() as wire:
        wire.post("/", b"x" * 60_000, "Connection: close")
        departed.leave(wire)


@pytest.mark.parametrize("leave", LEAVE)
def test_a_deferred_response_is_not_open_without_its_client(
    listen: ListenFixture, leave: Callable[[Wire], None]
) -> None:
    deferred: list[Response] = []
    gate = Gate()

    def handler(request: Request, response: Response) -> None:
        response.defer()
        deferred.append(response)
        gate.entered.set()

    with listen(handler).connect() as wire:
        wire.get("/", "Connection: close")
        gate.wait_entered()
        assert deferred[0].is_open
        leave(wire)
        assert any(not deferred[0].is_open for _ in again_and_again())
        deferred[0].close()
