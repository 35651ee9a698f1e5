"""WebSockets of prowingen_wsgi.websocket.accept (RFC 6455), by raw frames."""

from __future__ import annotations

import struct
import threading
import zlib
from typing import TYPE_CHECKING, Any

import pytest
from prowingen_wsgi import ClientDisconnected, websocket

from harness.apps import Environ, StartResponse, hello
from harness.switching import head_of
from harness.waiting import eventually
from harness.websocket_wire import (
    BINARY,
    CLOSE,
    CONTINUATION,
    DEFLATE,
    PING,
    PONG,
    RSV1,
    TEXT,
    WebSocketWire,
    frame,
    handshake,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.logwatch import LogWatch
    from harness.site import ServeFixture, Site

PATIENCE = 10.0
STYLES = ["blocking", "evented"]


@pytest.fixture(params=STYLES)
def style(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Echo:
    """Sends back what comes, in either style."""

    def __init__(self, style: str, **wanted: Any) -> None:
        self.style = style
        self.wanted = {"origins": "*", **wanted}
        self.closed: list[tuple[int, str]] = []
        self.over = threading.Event()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if not websocket.is_websocket(environ):
            return hello(environ, start_response)
        if self.style == "evented":
            websocket.accept(
                environ, on_message=self.on_message, on_close=self.on_close, **self.wanted
            )
        else:
            self.converse(websocket.accept(environ, **self.wanted))
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"no answer any more"]

    def on_message(self, ws: websocket.WebSocket, message: str | bytes) -> None:
        ws.send(message)

    def on_close(self, ws: websocket.WebSocket, code: int, reason: str) -> None:
        assert (code, reason) == (ws.close_code, ws.close_reason)
        self.closed.append((code, reason))
        self.over.set()

    def converse(self, ws: websocket.WebSocket) -> None:
        for message in ws:
            ws.send(message)
        assert ws.close_code is not None
        self.closed.append((ws.close_code, ws.close_reason or ""))
        self.over.set()


def open_to(site: Site, *fields: str) -> WebSocketWire:
    return WebSocketWire(site.connect(), "/", *fields)


def is_settled(site: Site) -> bool:
    def settled() -> bool:
        stats = site.server.stats()
        return not stats["websockets_open"] and not stats["workers_away"]

    return eventually(settled)


# ---------------------------------------------------------------------------- the handshake


@pytest.mark.no_http2("has none of this there")
def test_handshake_is_that_of_the_rfc(serve: ServeFixture, style: str) -> None:
    wanted: dict[str, Any] = {
        "subprotocols": ("chat.v2", "chat.v1"),
        "headers": [("Set-Cookie", "a=b"), ("X-Own", "1")],
    }
    with serve(Echo(style, **wanted)).connect() as wire:
        key = "dGhlIHNhbXBsZSBub25jZQ=="
        wire.send(
            handshake(
                "/",
                f"Sec-WebSocket-Key: {key}",
                "Sec-WebSocket-Protocol: x, chat.v1",
                "Sec-WebSocket-Protocol: chat.v2",
                without="Sec-WebSocket-Key",
            )
        )
        status, fields = head_of(wire)
        assert status == "HTTP/1.1 101 Switching Protocols"
        assert fields["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        assert fields["upgrade"] == "websocket"
        assert fields["connection"].lower() == "upgrade"
        assert fields["sec-websocket-protocol"] == "chat.v2", "the application's first"
        assert fields["set-cookie"] == "a=b"
        assert fields["x-own"] == "1"
        assert not {"content-length", "transfer-encoding", "content-type"} & set(fields)


@pytest.mark.parametrize(
    ("fields", "without", "status"),
    [
        (("Sec-WebSocket-Version: 8",), "Sec-WebSocket-Version", 426),
        ((), "Sec-WebSocket-Version", 426),
        (("Origin: https://elsewhere.example",), "", 403),
        (("Origin: null",), "", 403),
        (("Origin: http://localhost.elsewhere.example",), "", 403),
    ],
)
def test_handshake_that_is_none_is_answered(
    serve: ServeFixture,
    style: str,
    fields: tuple[str, ...],
    without: str,
    status: int,
    error_log: LogWatch,
) -> None:
    echo = Echo(style, origins="same")
    site = serve(echo)
    with site.connect() as wire:
        wire.send(handshake("/", *fields, without=without))
        response = wire.response()
        assert response.status == status
        if status == 426 and not site.http2:
            assert response.get("sec-websocket-version") == "13"
            assert response.get("upgrade") == "websocket"
        wire.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert wire.response().status == 200, "the connection is as it was"
    assert "ERROR" not in error_log.text
    assert site.server.stats()["websockets_accepted"] == 0


@pytest.mark.no_http2("has no key")
@pytest.mark.parametrize("keys", [(), ("short",), ("dGhlIHNhbXBsZSBub25jZQ==",) * 2])
def test_a_key_is_one_and_whole(serve: ServeFixture, keys: tuple[str, ...]) -> None:
    with serve(Echo("evented")).connect() as wire:
        fields = [f"Sec-WebSocket-Key: {key}" for key in keys]
        wire.send(handshake("/", *fields, without="Sec-WebSocket-Key"))
        assert wire.response().status == 400


@pytest.mark.parametrize(
    ("origins", "origin"),
    [
        ("same", "{scheme}://localhost"),
        ("*", "https://elsewhere.example"),
        (["https://elsewhere.example"], "https://elsewhere.example"),
        (["https://elsewhere.example"], None),
    ],
)
def test_origins(serve: ServeFixture, origins: Any, origin: str | None) -> None:
    site = serve(Echo("evented", origins=origins))
    scheme = "http" if site.tls is None else "https"
    fields = () if origin is None else (f"Origin: {origin.format(scheme=scheme)}",)
    assert open_to(site, *fields).ask("hi") == "hi"


def test_another_request_has_none(serve: ServeFixture) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        assert not websocket.is_websocket(environ)
        with pytest.raises(websocket.HandshakeError) as caught:
            websocket.accept(environ)
        assert caught.value.status == 426
        return hello(environ, start_response)

    assert serve(app).ask("/").status == 200


def test_wrong_arguments_are_told_and_nothing_is_sent(serve: ServeFixture) -> None:
    wrong: list[tuple[dict[str, Any], type[Exception]]] = [
        ({"origins": "example.com"}, ValueError),
        ({"on_full": "drop"}, ValueError),
        ({"max_message": 0}, ValueError),
        ({"ping_interval": -1}, ValueError),
        ({"on_message": "x"}, TypeError),
        ({"headers": [("a b", "c")]}, ValueError),
        ({"headers": [("a", 1)]}, TypeError),
        ({"subprotocols": (1,)}, TypeError),
    ]

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        for arguments, error in wrong:
            with pytest.raises(error):
                websocket.accept(environ, **arguments)
        return hello(environ, start_response)

    with serve(app).connect() as wire:
        wire.send(handshake())
        assert wire.response().status == 200


def test_windows_are_of_9_to_15_bits() -> None:
    for bits in (8, 16):
        with pytest.raises(ValueError, match="server_window"):
            websocket.Compression(server_window=bits)


def test_a_request_is_accepted_once_and_not_after_its_answer(serve: ServeFixture) -> None:
    kept: list[Environ] = []
    told = threading.Event()

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if kept:
            with pytest.raises(ValueError, match="after the application returned"):
                websocket.accept(kept[0])
            told.set()
            return hello(environ, start_response)
        kept.append(environ)
        websocket.accept(environ, on_message=lambda ws, message: ws.send(message))
        with pytest.raises(RuntimeError, match="answered already"):
            websocket.accept(environ)
        return []

    site = serve(app)
    assert open_to(site).ask("x") == "x"
    assert site.ask("/").status == 200
    assert told.is_set()


# ---------------------------------------------------------------------------- messages


def test_messages_of_every_size_come_back(serve: ServeFixture, style: str) -> None:
    ws = open_to(serve(Echo(style, max_message=1 << 24)))
    for size in (0, 1, 125, 126, 127, 65_535, 65_536, 1 << 20, 10_000_000):
        assert ws.ask("x" * size) == "x" * size
        assert ws.ask(b"\xff" * size) == b"\xff" * size
    assert ws.ask("žluťoučký 🐎") == "žluťoučký 🐎"
    ws.close()
    assert ws.closed() == (1000, "")


def test_fragments_are_one_message_and_control_frames_come_between(
    serve: ServeFixture, style: str
) -> None:
    ws = open_to(serve(Echo(style)))
    text = "ž🐎".encode()
    for at in range(len(text) + 1):
        ws.send(TEXT, text[:at], fin=False)
        ws.send(PING, b"now")
        ws.send(CONTINUATION, b"", fin=False)
        ws.send(PONG, b"never asked for")
        ws.send(CONTINUATION, text[at:])
        ponged = ws.frame()
        assert (ponged.opcode, ponged.payload) == (PONG, b"now")
        assert ws.hear() == text.decode()


def test_frames_may_come_octet_by_octet(serve: ServeFixture, style: str) -> None:
    ws = open_to(serve(Echo(style)))
    for message in (b"a" * 3, b"b" * 200):
        for octet in frame(BINARY, message):
            ws.wire.send(bytes([octet]))
        assert ws.hear() == message


def test_many_messages_in_one_go_come_back_in_order(serve: ServeFixture, style: str) -> None:
    ws = open_to(serve(Echo(style)))
    numbers = [str(n) for n in range(2000)]
    ws.wire.send(b"".join(frame(TEXT, number.encode()) for number in numbers))
    assert [ws.hear() for _ in numbers] == numbers


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (frame(TEXT, b"x", masked=False), 1002),
        (frame(3, b"x"), 1002),
        (frame(11), 1002),
        (frame(TEXT, b"x", rsv=RSV1), 1002),
        (frame(TEXT, b"x", rsv=0x10), 1002),
        (frame(PING, b"x" * 126), 1002),
        (frame(PING, b"x", fin=False), 1002),
        (frame(CONTINUATION, b"x"), 1002),
        (frame(TEXT, b"x", fin=False) + frame(TEXT, b"y"), 1002),
        (frame(BINARY, b"", fin=False) + frame(BINARY, b"y"), 1002),
        (bytes([0x81, 0xFE, 0, 5]) + bytes(9), 1002),
        (bytes([0x81, 0xFF, 0, 0, 0, 0, 0, 0, 255, 255]) + bytes(9), 1002),
        (bytes([0x82, 0xFF]) + b"\xff" * 8 + bytes(4), 1002),
        (frame(TEXT, b"\xff"), 1007),
        (frame(TEXT, b"\xc3"), 1007),
        (frame(TEXT, b"\xed\xa0\x80"), 1007),
        (frame(TEXT, b"\xc0\x80"), 1007),
        (frame(TEXT, b"\xf4\x90\x80\x80"), 1007),
        (frame(TEXT, "ž".encode()[:1], fin=False) + frame(CONTINUATION, b"x", fin=False), 1007),
        (frame(BINARY, b"", size=1001), 1009),
        (frame(TEXT, b"x" * 600, fin=False) + frame(CONTINUATION, b"x" * 401), 1009),
        (frame(BINARY, b"", size=1 << 62), 1009),
        (frame(CLOSE, b"\x03"), 1002),
        (frame(CLOSE, struct.pack("!H", 1005)), 1002),
        (frame(CLOSE, struct.pack("!H", 999)), 1002),
        (frame(CLOSE, struct.pack("!H", 5000)), 1002),
        (frame(CLOSE, struct.pack("!H", 1000) + b"\xff"), 1007),
    ],
)
def test_what_breaks_a_rule_is_closed_with_its_code(
    serve: ServeFixture, style: str, sent: bytes, code: int, error_log: LogWatch
) -> None:
    echo = Echo(style, max_message=1000)
    site = serve(echo)
    ws = open_to(site)
    assert ws.ask("before") == "before"
    ws.wire.send(sent)
    assert ws.closed()[0] == code
    assert echo.over.wait(PATIENCE)
    assert echo.closed[0][0] == code
    assert is_settled(site)
    assert site.ask("/").status == 200
    assert "ERROR" not in error_log.text


# ---------------------------------------------------------------------------- compression


def deflated(message: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(message) + packer.flush()


class Deflating:
    """A client's side of permessage-deflate (RFC 7692 section 7.2)."""

    def __init__(self, ws: WebSocketWire, window: int = 15) -> None:
        self.ws = ws
        self._window = window

    def say(self, opcode: int, message: bytes, fragments: int = 1) -> None:
        packer = zlib.compressobj(wbits=-self._window)
        packed = packer.compress(message) + packer.flush(zlib.Z_SYNC_FLUSH)
        assert packed.endswith(b"\x00\x00\xff\xff")
        packed = packed[:-4]
        size = len(packed) // fragments + 1
        pieces = [packed[at : at + size] for at in range(0, len(packed), size)] or [b""]
        for n, piece in enumerate(pieces):
            self.ws.send(
                opcode if n == 0 else CONTINUATION,
                piece,
                rsv=RSV1 if n == 0 else 0,
                fin=n == len(pieces) - 1,
            )

    def hear(self) -> bytes:
        heard = self.ws.frame()
        if not heard.rsv:
            return heard.payload
        assert heard.rsv == RSV1
        return zlib.decompressobj(wbits=-self._window).decompress(
            heard.payload + b"\x00\x00\xff\xff"
        )


@pytest.mark.parametrize(
    ("offered", "agreed"),
    [
        ("", "; server_no_context_takeover; client_no_context_takeover"),
        ("; client_max_window_bits", "; server_no_context_takeover; client_no_context_takeover"),
        (
            "; server_max_window_bits=10; client_max_window_bits=12",
            "; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10; "
            "client_max_window_bits=12",
        ),
        (
            '; unknown, permessage-deflate; server_max_window_bits="9"',
            "; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=9",
        ),
    ],
)
def test_compression_is_agreed_on_and_spoken(
    serve: ServeFixture, style: str, offered: str, agreed: str
) -> None:
    ws = open_to(serve(Echo(style)), DEFLATE + offered)
    assert ws.fields["sec-websocket-extensions"] == "permessage-deflate" + agreed
    client = Deflating(ws, 10 if "bits=10" in offered else 9 if '"9"' in offered else 15)
    for message in (b"", b"short", b"a long one " * 1000, bytes(range(256)) * 50):
        for fragments in (1, 3):
            client.say(BINARY, message, fragments)
            assert client.hear() == message
    assert ws.ask("plain") == "plain", "not every message has to be compressed"


@pytest.mark.parametrize(
    "offered",
    [
        "; server_max_window_bits=8",
        "; server_max_window_bits=16",
        "; server_max_window_bits",
        "; client_max_window_bits=7",
        "; client_max_window_bits=07",
        "; server_no_context_takeover=1",
        "; server_no_context_takeover; server_no_context_takeover",
        "; something",
    ],
)
def test_compression_that_is_not_understood_is_declined(serve: ServeFixture, offered: str) -> None:
    ws = open_to(serve(Echo("evented")), DEFLATE + offered)
    assert "sec-websocket-extensions" not in ws.fields
    assert ws.ask("x" * 100) == "x" * 100


def test_compression_that_is_not_wanted_is_declined(serve: ServeFixture) -> None:
    ws = open_to(serve(Echo("evented", compression=False)), DEFLATE)
    assert "sec-websocket-extensions" not in ws.fields


def test_contexts_are_kept_where_that_is_wanted(serve: ServeFixture, style: str) -> None:
    kept = websocket.Compression(server_keeps=True, client_keeps=True)
    ws = open_to(serve(Echo(style, compression=kept)), DEFLATE)
    assert ws.fields["sec-websocket-extensions"] == "permessage-deflate"
    packer, unpacker = zlib.compressobj(wbits=-15), zlib.decompressobj(wbits=-15)
    message = bytes(range(256)) * 4
    sizes = []
    for _ in range(3):
        packed = packer.compress(message) + packer.flush(zlib.Z_SYNC_FLUSH)
        ws.send(BINARY, packed[:-4], rsv=RSV1)
        heard = ws.frame()
        assert unpacker.decompress(heard.payload + b"\x00\x00\xff\xff") == message
        sizes.append(len(heard.payload))
    assert sizes[2] < sizes[0] / 4, "what was sent before is referred to"


def test_a_bomb_is_not_unpacked(serve: ServeFixture, style: str) -> None:
    echo = Echo(style, max_message=1 << 20)
    ws = open_to(serve(echo), DEFLATE)
    packer = zlib.compressobj(9, wbits=-15)
    block = bytes(1 << 20)
    packed = b"".join(packer.compress(block) for _ in range(64))
    packed += packer.flush(zlib.Z_SYNC_FLUSH)
    ws.wire.send(frame(BINARY, packed[:-4], rsv=RSV1))
    assert ws.closed()[0] == 1009
    assert echo.over.wait(PATIENCE)


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (frame(TEXT, b"\xff\xff\xff\xff", rsv=RSV1), 1002),
        (frame(TEXT, b"x", fin=False) + frame(CONTINUATION, b"y", rsv=RSV1), 1002),
        (frame(PING, b"x", rsv=RSV1), 1002),
        (frame(TEXT, deflated(b"\xff" * 10), rsv=RSV1), 1007),
    ],
)
def test_what_is_compressed_wrongly_is_closed(
    serve: ServeFixture, style: str, sent: bytes, code: int
) -> None:
    ws = open_to(serve(Echo(style)), DEFLATE)
    ws.wire.send(sent)
    assert ws.closed()[0] == code


# ---------------------------------------------------------------------------- the end


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


def test_a_client_that_leaves_is_told(serve: ServeFixture, style: str) -> None:
    echo = Echo(style)
    site = serve(echo)
    ws = open_to(site)
    assert ws.ask("x") == "x"
    ws.wire.reset()
    assert echo.over.wait(PATIENCE)
    assert echo.closed[0][0] == 1006
    assert is_settled(site)


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


# ---------------------------------------------------------------------------- times and bounds


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


# ---------------------------------------------------------------------------- many, and the stop


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
    assert len(room) == 3, "who is closed is in it no more"


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
    stopping.join(PATIENCE)
    assert echo.over.wait(PATIENCE)
    assert echo.closed == [(1001, "")]
    assert site.server.abandoned == []


def test_a_stop_does_not_wait_for_ever(serve: ServeFixture, style: str) -> None:
    site = serve(Echo(style), graceful_timeout=0.2)
    ws = open_to(site)
    assert ws.ask("x") == "x"
    site.server.stop()
    assert ws.closing() == (1001, "the server stops")


def test_access_log_has_a_line_at_the_end(serve: ServeFixture, style: str) -> None:
    lines: list[str] = []
    echo = Echo(style)
    site = serve(echo, access_log=lines.append, access_log_format="%(r)s %(s)s")
    ws = open_to(site)
    assert ws.ask("x") == "x"
    assert lines == []
    ws.close()
    assert ws.closed() == (1000, "")
    assert eventually(lambda: lines == [f"GET / {site.protocol} {200 if site.http2 else 101}"])
