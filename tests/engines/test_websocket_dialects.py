"""WebSockets under the names of other servers: wsgi.websocket, and websocket.accept (owin)."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from harness.apps import Environ, StartResponse, hello
from harness.waiting import eventually
from harness.websocket_wire import PING, PONG, WebSocketWire, handshake

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from harness.logwatch import LogWatch
    from harness.site import ServeFixture

pytestmark = pytest.mark.http3

PATIENCE = 10.0


def talking(talk: Callable[[Any], object]) -> Any:
    """An application that talks by wsgi.websocket, and says nothing else."""

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if "wsgi.websocket" not in environ:
            return hello(environ, start_response)
        talk(environ["wsgi.websocket"])
        return []

    return app


def test_an_application_may_answer_as_ever(serve: ServeFixture) -> None:
    site = serve(hello)
    with site.connect() as wire:
        for _ in range(2):
            wire.send(handshake())
            answer = wire.response()
            assert answer.text == "hello"
            assert answer.status == (400 if site.has_streams else 200)  # where 200 would open one


def test_messages_and_their_end(serve: ServeFixture, error_log: LogWatch) -> None:
    def talk(ws: Any) -> None:
        seen.append((ws.closed, ws.path, ws.origin, ws.protocol, ws.version))
        while (message := ws.receive()) is not None:
            ws.send(message)
        seen.append(ws.closed)
        ws.close()
        with pytest.raises(OSError, match="already closed"):
            ws.receive()
        with pytest.raises(OSError, match="already closed"):
            ws.send("x")
        over.set()

    seen: list[Any] = []
    over = threading.Event()
    site = serve(talking(talk))
    fields = ("Origin: https://elsewhere.example", "Sec-WebSocket-Protocol: a, b")
    ws = WebSocketWire(site.connect(), "/path", *fields)
    assert "sec-websocket-protocol" not in ws.fields
    assert ws.ask("text") == "text"
    assert ws.ask(b"\xff") == b"\xff"
    ws.close()
    assert ws.closed() == (1000, "")
    assert over.wait(PATIENCE)
    assert seen == [(False, "/path", "https://elsewhere.example", "a, b", "13"), True]
    assert "ERROR" not in error_log.text


def test_frames_as_they_are_asked_for(serve: ServeFixture) -> None:
    def talk(ws: Any) -> None:
        ws.send("as bytes", binary=True)
        ws.send(b"as text", binary=False)
        ws.send_frame(b"now", ws.OPCODE_PING)
        ws.send(None, binary=False)
        ws.close(4000, b"enough")

    ws = WebSocketWire(serve(talking(talk)).connect())
    assert ws.hear() == b"as bytes"
    assert ws.hear() == "as text"
    pinged = ws.frame()
    assert (pinged.opcode, pinged.payload) == (PING, b"now")
    ws.send(PONG, b"now")
    assert ws.hear() == ""
    assert ws.closing() == (4000, "enough")


def test_a_handshake_that_is_none_is_refused_when_it_is_used(serve: ServeFixture) -> None:
    site = serve(talking(lambda ws: ws.send("x")))
    with site.connect() as wire:
        wire.send(handshake(without="Sec-WebSocket-Version"))
        assert wire.response().status == 426
    assert eventually(lambda: not site.server.stats()["workers_away"])


class Owin:
    """Accepts, and speaks when the application has returned."""

    def __init__(self, speak: Callable[[dict[str, Any]], object], options: Any = None) -> None:
        self.speak = speak
        self.options = options
        self.returned = threading.Event()
        self.over = threading.Event()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        accept = environ.get("websocket.accept")
        if accept is None:
            return hello(environ, start_response)
        with pytest.raises(TypeError):
            accept(None, None)
        accept(self.options, self.callback)
        start_response("200 OK", [])
        return self.body()

    def body(self) -> Iterable[bytes]:
        yield b""
        self.returned.set()

    def callback(self, env: dict[str, Any]) -> None:
        assert self.returned.is_set()
        try:
            self.speak(env)
        finally:
            self.over.set()


def test_owin(serve: ServeFixture) -> None:
    def speak(env: dict[str, Any]) -> None:
        seen.append((env["websocket.version"], env["websocket.call_cancelled"].is_set()))
        while (received := env["websocket.receive"]())[0] != 8:
            message_type, end, data = received
            assert end
            env["websocket.send"](data[:1], message_type, False)
            env["websocket.send"](data[1:], message_type, True)
        seen.append(env["websocket.client_close_status"])
        seen.append(env["websocket.client_close_description"])
        seen.append(env["websocket.call_cancelled"].wait(PATIENCE))

    seen: list[Any] = []
    owin = Owin(speak, {"websocket.subprotocol": "chat"})
    site = serve(owin)
    ws = WebSocketWire(site.connect(), "/", "Sec-WebSocket-Protocol: x, chat")
    assert ws.fields["sec-websocket-protocol"] == "chat"
    assert ws.ask("hello") == "hello"
    assert ws.ask(b"\xff\xfe") == b"\xff\xfe"
    ws.close(1001, "gone")
    assert ws.closed() == (1001, "gone")
    assert owin.over.wait(PATIENCE)
    assert seen == [("1.0", False), 1001, "gone", True]
    assert site.ask("/").text == "hello"


@pytest.mark.parametrize("fails", [False, True])
def test_owin_ends_with_its_callback(serve: ServeFixture, error_log: LogWatch, fails: bool) -> None:
    def speak(env: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match="message_type"):
            env["websocket.send"](b"x", 3)
        env["websocket.send"](b"bye")
        if fails:
            raise LookupError("a mistake")

    ws = WebSocketWire(serve(Owin(speak)).connect())
    assert ws.hear() == "bye"
    assert ws.closing()[0] == (1011 if fails else 1000)
    if fails:
        error_log.wait_for("the callback of websocket.accept failed")
