"""Many WebSockets: rooms, the stop of a server, its log."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from prowingen_wsgi import websocket

from harness.deflating import Deflating
from harness.echoing import PATIENCE, Echo, in_both_styles, open_to
from harness.waiting import eventually
from harness.websocket_wire import (
    DEFLATE,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.apps import Environ, StartResponse
    from harness.site import ServeFixture

pytestmark = pytest.mark.http3


@in_both_styles
def test_rooms(serve: ServeFixture, style: str) -> None:
    room = websocket.Room()

    class Member(Echo):
        def on_message(self, ws: websocket.WebSocket, message: str | bytes) -> None:
            room.add(ws)
            room.broadcast(message)

        def converse(self, ws: websocket.WebSocket) -> None:
            for message in ws:
                self.on_message(ws, message)

    site = serve(Member(style), threads=4)
    opened = [open_to(site, *fields) for fields in ((), (DEFLATE,), (), (DEFLATE,))]
    clients = [Deflating(ws) for ws in opened]
    text = "žluťoučký " * 20
    for n, ws in enumerate(opened):
        ws.say(text)
        for client in clients[: n + 1]:
            assert client.hear() == text.encode()
    assert len(room) == 4
    opened[0].close()
    assert opened[0].closed() == (1000, "")
    opened[1].say(b"\x00\xff" * 2000)
    for client in clients[1:]:
        assert client.hear() == b"\x00\xff" * 2000
    assert eventually(lambda: len(room) == 3), "who is closed is in it no more"


@in_both_styles
def test_a_stop_says_goodbye_and_waits_for_the_answer(serve: ServeFixture, style: str) -> None:
    echo = Echo(style)
    site = serve(echo, graceful_timeout=PATIENCE)
    ws = open_to(site)
    assert ws.ask("x") == "x"
    stopping = threading.Thread(target=site.server.stop)
    stopping.start()
    assert ws.closing() == (1001, "the server stops")
    ws.close(1001)
    assert ws.wire.take() == b""
    ws.wire.close()  # which the stop waits for
    stopping.join(PATIENCE)
    assert echo.over.wait(PATIENCE)
    assert echo.closed == [(1001, "")]
    assert site.server.abandoned == []


@in_both_styles
def test_a_stop_does_not_wait_for_ever(serve: ServeFixture, style: str) -> None:
    site = serve(Echo(style), graceful_timeout=0.2)
    ws = open_to(site)
    assert ws.ask("x") == "x"
    site.server.stop()
    assert ws.closing() == (1001, "the server stops")


LOGGED = "%r %s %{messages_received}x %{messages_sent}x"


@in_both_styles
def test_access_log_has_a_line_at_the_end(serve: ServeFixture, style: str) -> None:
    lines: list[str] = []
    echo = Echo(style)
    site = serve(echo, access_log=lines.append, access_log_format=LOGGED)
    ws = open_to(site)
    for _ in range(3):
        assert ws.ask("x") == "x"
    assert lines == []
    ws.close()
    assert ws.closed() == (1000, "")
    status = 200 if site.has_streams else 101
    assert eventually(lambda: lines == [f"GET / {site.protocol} {status} 3 3"])


def test_a_room_of_several_processes_sends_what_it_is_delivered(serve: ServeFixture) -> None:
    published: list[str | bytes] = []
    room = websocket.Room(published.append)

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        del start_response
        websocket.accept(
            environ,
            origins="*",
            on_open=room.add,
            on_message=lambda _, message: room.broadcast(message),
            on_close=lambda ws, *_: room.discard(ws),
        )
        return []

    ws = open_to(serve(app))
    ws.say("to all")
    assert eventually(lambda: published == ["to all"])
    room.deliver("of another process")
    assert ws.hear() == "of another process"
    (member,) = room
    assert member in room
    ws.close()
    assert ws.closed() == (1000, "")
    assert eventually(lambda: len(room) == 0)
