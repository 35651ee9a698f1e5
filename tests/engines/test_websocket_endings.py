"""How a WebSocket ends, and who is told (RFC 6455 section 7)."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from prowingen_wsgi import ClientDisconnected, websocket

from harness.echoing import PATIENCE, Echo, in_both_styles, is_settled, open_to
from harness.waiting import eventually
from harness.websocket_wire import (
    TEXT,
    frame,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.apps import Environ, StartResponse
    from harness.logwatch import LogWatch
    from harness.site import ServeFixture

pytestmark = pytest.mark.http3


@in_both_styles
@pytest.mark.parametrize(
    ("code", "reason", "heard"),
    [
        (1000, "done", (1000, "done")),
        (None, "", (1005, "")),
        (4999, "x" * 123, (4999, "x" * 123)),
        (1001, "ž", (1001, "ž")),
    ],
)
def test_a_close_is_returned_and_told(
    serve: ServeFixture, style: str, code: int | None, reason: str, heard: tuple[int, str]
) -> None:
    echo = Echo(style)
    site = serve(echo)
    ws = open_to(site)
    assert ws.ask("x") == "x"
    ws.close(code, reason)
    assert ws.closed() == (code, reason)
    assert echo.over.wait(PATIENCE)
    assert echo.closed == [heard]
    assert is_settled(site)


@in_both_styles
def test_messages_before_a_close_are_heard(serve: ServeFixture, style: str) -> None:
    class Slow(Echo):
        def on_message(self, ws: websocket.WebSocket, message: str | bytes) -> None:
            heard.append(message)

        def converse(self, ws: websocket.WebSocket) -> None:
            assert ws.wait_closed(PATIENCE)
            heard.extend(ws)
            self.over.set()

    heard: list[str | bytes] = []
    echo = Slow(style)
    ws = open_to(serve(echo))
    for n in range(5):
        ws.say(str(n))
    ws.close()
    assert ws.closed() == (1000, "")
    assert echo.over.wait(PATIENCE)
    assert heard == ["0", "1", "2", "3", "4"]


@in_both_styles
def test_a_client_that_leaves_is_told(serve: ServeFixture, style: str) -> None:
    echo = Echo(style)
    site = serve(echo)
    ws = open_to(site)
    assert ws.ask("x") == "x"
    ws.wire.reset()
    assert echo.over.wait(PATIENCE)
    assert echo.closed[0][0] == 1006
    assert is_settled(site)


@in_both_styles
def test_a_client_that_only_stops_sending_is_told(serve: ServeFixture, style: str) -> None:
    echo = Echo(style)
    site = serve(echo)
    ws = open_to(site)
    ws.send(TEXT, b"begun", fin=False)
    ws.wire.finish_sending()
    assert ws.wire.take() == b""
    assert echo.over.wait(PATIENCE)
    assert echo.closed == [(1006, "the client has closed the connection")]
    assert is_settled(site)


@in_both_styles
@pytest.mark.parametrize("answers", [True, False])
def test_the_application_closes(serve: ServeFixture, style: str, answers: bool) -> None:
    class Leaving(Echo):
        def on_message(self, ws: websocket.WebSocket, message: str | bytes) -> None:
            del message
            self.leave(ws)

        def converse(self, ws: websocket.WebSocket) -> None:
            ws.receive()
            self.leave(ws)
            assert ws.wait_closed(PATIENCE)
            super().converse(ws)

        def leave(self, ws: websocket.WebSocket) -> None:
            assert not ws.closed
            assert ws.close_code is None
            ws.send("last words")
            ws.close(4000, "enough")
            ws.close(4001, "not said")
            assert ws.closed
            with pytest.raises(websocket.ConnectionClosed):
                ws.send("too late")

    leaving = Leaving(style, close_timeout=0.2)
    site = serve(leaving)
    ws = open_to(site)
    ws.say("go")
    assert ws.hear() == "last words"
    assert ws.closing() == (4000, "enough")
    if answers:
        ws.say("not heard any more")
        ws.close(4000)
        assert ws.wire.take() == b""
    else:
        with pytest.raises((ConnectionError, AssertionError)):
            assert ws.wire.take()
    assert leaving.over.wait(PATIENCE)
    assert leaving.closed[0][0] == (4000 if answers else 1006)
    assert is_settled(site)


@in_both_styles
def test_what_an_application_raises_closes_and_is_logged(
    serve: ServeFixture, style: str, error_log: LogWatch
) -> None:
    class Failing(Echo):
        def on_message(self, ws: websocket.WebSocket, message: str | bytes) -> None:
            raise LookupError("a mistake")

        converse = None  # type: ignore[assignment]

        def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
            if self.style == "evented":
                return super().__call__(environ, start_response)
            websocket.accept(environ, **self.wanted).receive()
            raise LookupError("a mistake")

    site = serve(Failing(style))
    ws = open_to(site)
    ws.say("go")
    assert ws.closing()[0] == 1011
    ws.close(1011)
    assert ws.wire.take() == b""
    error_log.wait_for("LookupError: a mistake")
    assert is_settled(site)


def test_a_view_that_returns_closes_what_is_its_own(serve: ServeFixture) -> None:
    kept: list[websocket.WebSocket] = []

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        kept.append(websocket.accept(environ))
        start_response("500 Whatever", [("Content-Length", "7")])
        return [b"no", b"answer", b"at all"]

    ws = open_to(serve(app))
    assert ws.closing() == (1000, "")
    ws.close()
    assert ws.wire.take() == b""
    assert kept[0].wait_closed(PATIENCE)
    with pytest.raises(websocket.ConnectionClosed) as caught:
        kept[0].receive()
    assert (caught.value.code, caught.value.reason) == (1000, "")
    assert isinstance(caught.value, ClientDisconnected), "need not be caught"


def test_a_with_statement_closes(serve: ServeFixture) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        del start_response
        with websocket.accept(environ) as ws:
            ws.send("once")
        assert ws.wait_closed(PATIENCE)
        over.set()
        return []

    over = threading.Event()
    ws = open_to(serve(app))
    assert ws.hear() == "once"
    assert ws.closing() == (1000, "")
    ws.close()
    assert over.wait(PATIENCE)


def test_what_comes_behind_a_failure_is_not_heard(serve: ServeFixture, error_log: LogWatch) -> None:
    def on_message(ws: websocket.WebSocket, message: str | bytes) -> None:
        heard.append(message)
        raise LookupError("a mistake")

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        del start_response
        websocket.accept(environ, origins="*", on_message=on_message)
        return []

    heard: list[str | bytes] = []
    site = serve(app)
    ws = open_to(site)
    ws.wire.send(frame(TEXT, b"x") * 100)
    assert ws.closing()[0] == 1011
    ws.close(1011)
    assert is_settled(site)
    assert heard == ["x"]
    assert error_log.text.count("LookupError: a mistake") == 1


def test_that_another_is_closed_is_no_excuse(serve: ServeFixture, error_log: LogWatch) -> None:
    def on_message(ws: websocket.WebSocket, message: str | bytes) -> None:
        members.append(ws)
        for each in members:
            each.send(message)

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        del start_response
        websocket.accept(environ, origins="*", on_message=on_message)
        return []

    members: list[websocket.WebSocket] = []
    site = serve(app)
    first, second = open_to(site), open_to(site)
    assert first.ask("x") == "x"
    first.close()
    assert first.closed() == (1000, "")
    assert members[0].wait_closed(PATIENCE)
    second.say("y")
    assert second.closing()[0] == 1011
    error_log.wait_for("ConnectionClosed: closed with 1000")


@in_both_styles
def test_a_client_that_stops_sending_gets_its_answers(serve: ServeFixture, style: str) -> None:
    class Slow(Echo):
        def on_message(self, ws: websocket.WebSocket, message: str | bytes) -> None:
            go.wait(PATIENCE)
            ws.send(message)

        def converse(self, ws: websocket.WebSocket) -> None:
            go.wait(PATIENCE)
            super().converse(ws)

    go = threading.Event()
    site = serve(Slow(style))
    if site.tls is not None and not site.http3:
        pytest.skip("a client's TLS here ends both ways at once")
    ws = open_to(site)
    ws.wire.send(b"".join(frame(TEXT, str(n).encode()) for n in range(10)))
    assert eventually(lambda: site.server.stats()["websocket_messages_received"] == 10)
    ws.wire.finish_sending()
    go.set()
    assert [ws.hear() for _ in range(9)] == [str(n) for n in range(9)]


def test_an_application_that_fails_closes_one_with_callbacks(
    serve: ServeFixture, error_log: LogWatch
) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        del start_response
        websocket.accept(environ, origins="*", on_message=lambda ws, message: ws.send(message))
        raise LookupError("a mistake")

    ws = open_to(serve(app))
    assert ws.closing()[0] == 1011
    error_log.wait_for("LookupError: a mistake")
