"""Time limits, bounds and threads of WebSockets."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from prowingen_wsgi import websocket

from harness.echoing import PATIENCE, Echo, in_both_styles, is_settled, open_to
from harness.waiting import eventually
from harness.websocket_wire import (
    PING,
    PONG,
    frame,
    handshake,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.apps import Environ, StartResponse
    from harness.site import ServeFixture

pytestmark = pytest.mark.http3


@in_both_styles
def test_a_client_that_is_silent_is_pinged_and_one_that_does_not_answer_given_up(
    serve: ServeFixture, style: str
) -> None:
    echo = Echo(style, ping_interval=0.1, ping_timeout=0.3)
    site = serve(echo)
    ws = open_to(site)
    for _ in range(4):
        pinged = ws.frame()
        assert pinged.opcode == PING
        ws.send(PONG, pinged.payload)
    assert ws.ask("still here") == "still here"
    assert ws.frame().opcode == PING
    assert echo.over.wait(PATIENCE)
    assert echo.closed == [(1006, "the client does not answer")]
    assert is_settled(site)


def test_pings_of_the_applications_own(serve: ServeFixture) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        del start_response
        ws = websocket.accept(environ, ping_interval=None)
        ws.ping()
        ws.ping(b"x" * 125)
        with pytest.raises(ValueError, match="125"):
            ws.ping(b"x" * 126)
        with pytest.raises(TimeoutError):
            ws.receive(timeout=0.05)
        with pytest.raises(TimeoutError):
            ws.receive(timeout=0)
        ws.send("then")
        return []

    ws = open_to(serve(app))
    assert [ws.frame().payload for _ in range(3)] == [b"", b"x" * 125, b"then"]


def test_who_sends_more_than_is_taken_waits(serve: ServeFixture) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        del start_response
        ws = websocket.accept(environ, max_queue=100_000)

        def send_much() -> None:
            for _ in range(1000):
                ws.send(bytes(100_000), timeout=0.3)
                sent.append(1)

        with pytest.raises(TimeoutError):
            send_much()
        waited.set()
        ws.send(b"last")
        return []

    sent: list[int] = []
    waited = threading.Event()
    ws = open_to(serve(app))
    assert waited.wait(PATIENCE)
    assert sum(len(ws.frame().payload) for _ in sent) == 100_000 * len(sent)
    assert ws.hear() == b"last"


def test_a_client_that_takes_nothing_is_closed_where_nobody_waits(serve: ServeFixture) -> None:
    def on_open(ws: websocket.WebSocket) -> None:
        for _ in range(1000):
            ws.send(bytes(100_000))
        failed.append("it was sent all")

    def on_close(ws: websocket.WebSocket, code: int, reason: str) -> None:
        del ws
        closed.append((code, reason))
        over.set()

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        del start_response
        websocket.accept(environ, on_open=on_open, on_close=on_close, max_queue=300_000)
        return []

    closed: list[tuple[int, str]] = []
    failed: list[str] = []
    over = threading.Event()
    site = serve(app)
    open_to(site)
    assert over.wait(PATIENCE)
    assert failed == []
    assert closed == [(1013, "the client takes nothing")]
    assert is_settled(site)


def test_a_client_waits_for_an_application_that_does_not_read(serve: ServeFixture) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        del start_response
        ws = websocket.accept(environ, ping_interval=0.1, ping_timeout=0.1)
        assert go.wait(PATIENCE)
        for message in ws:
            sizes.append(len(message))
            if message == b"last":
                ws.send("all")
        return []

    go = threading.Event()
    sizes: list[int] = []
    site = serve(app)
    ws = open_to(site)

    def say_much() -> None:
        for _ in range(400):
            ws.say(bytes(65_536))
        ws.say(b"last")

    sender = threading.Thread(target=say_much)
    sender.start()
    assert eventually(lambda: site.server.stats()["websocket_messages_received"] > 0)
    sender.join(0.7)
    assert sender.is_alive(), "it cannot send on"
    assert site.server.stats()["memory_used"] < 8 * 1024 * 1024
    go.set()
    sender.join(PATIENCE)
    while (heard := ws.frame()).opcode == PING:
        pass
    assert heard.payload == b"all"
    assert sizes == [65_536] * 400 + [4]


def test_blocking_ones_beside_requests(serve: ServeFixture) -> None:
    site = serve(Echo("blocking"), threads=2)
    opened = [open_to(site) for _ in range(10)]
    for ws in opened:
        assert ws.ask("x") == "x"
    assert site.server.stats()["workers_away"] == 10
    assert site.ask("/").status == 200
    for ws in opened:
        ws.close()
    assert is_settled(site)


def test_one_more_than_there_are_threads_is_told_to_come_again(serve: ServeFixture) -> None:
    site = serve(Echo("blocking"), threads=2, long_lived_threads=1)
    first = open_to(site)
    assert first.ask("x") == "x"
    with site.connect() as wire:
        wire.send(handshake())
        response = wire.response()
        assert response.status == 503
        assert response.get("retry-after") is not None
    assert first.ask("y") == "y"


def test_evented_ones_hold_no_thread(serve: ServeFixture) -> None:
    site = serve(Echo("evented"), threads=2, long_lived_threads=0)
    opened = [open_to(site) for _ in range(50)]
    for ws in opened:
        assert ws.ask("x") == "x"
    stats = site.server.stats()
    assert stats["workers_away"] == 0
    assert stats["websockets_open"] == 50
    assert stats["websocket_messages_received"] == stats["websocket_messages_sent"] == 50
    assert site.ask("/").status == 200


def test_callbacks_of_one_come_one_after_the_other(serve: ServeFixture) -> None:
    def on_open(ws: websocket.WebSocket) -> None:
        ws.heard = []
        ws.inside = threading.Lock()

    def on_message(ws: Any, message: str | bytes) -> None:
        assert ws.inside.acquire(blocking=False), "two at once"
        ws.heard.append(message)
        if len(ws.heard) % 10 == 0:
            go.wait(0.001)
        ws.inside.release()
        if len(ws.heard) == 200:
            ws.send(",".join(ws.heard))

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        del start_response
        websocket.accept(environ, on_open=on_open, on_message=on_message)
        return []

    go = threading.Event()
    site = serve(app, threads=8)
    opened = [open_to(site) for _ in range(5)]
    for n in range(200):
        for ws in opened:
            ws.say(str(n))
    for ws in opened:
        assert ws.hear() == ",".join(map(str, range(200)))


def test_messages_of_callbacks_are_theirs(serve: ServeFixture) -> None:
    def on_message(ws: websocket.WebSocket, message: str | bytes) -> None:
        with pytest.raises(RuntimeError, match="on_message"):
            ws.receive(timeout=0)
        with pytest.raises(RuntimeError, match="on_message"):
            next(ws)
        ws.send(message)

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        del start_response
        websocket.accept(environ, origins="*", on_message=on_message)
        return []

    ws = open_to(serve(app))
    assert [ws.ask(str(n)) for n in range(20)] == [str(n) for n in range(20)]


def test_who_waits_for_the_end_does_not_take_a_message_from_who_waits_for_that(
    serve: ServeFixture,
) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        del start_response
        ws = websocket.accept(environ, origins="*")
        waiters = [threading.Thread(target=ws.wait_closed) for _ in range(4)]
        for waiter in waiters:
            waiter.start()
        for message in ws:
            ws.send(message)
        for waiter in waiters:
            waiter.join(PATIENCE)
        return []

    ws = open_to(serve(app))
    for n in range(20):
        assert ws.ask(str(n)) == str(n)
    ws.close()
    assert ws.closed() == (1000, "")


def test_pings_that_nobody_reads_the_answers_of_are_bounded(serve: ServeFixture) -> None:
    site = serve(Echo("evented", max_queue=100_000))
    ws = open_to(site)
    pings = frame(PING, b"x" * 125) * 8000
    sent = sum(ws.wire.send_until_blocked(pings, patience=0.3) for _ in range(12))
    assert sent > 4_000_000
    assert site.server.stats()["memory_used"] < 4_000_000
    assert site.ask("/").status == 200
