"""Messages of a WebSocket, by raw frames (RFC 6455 sections 5 and 7)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest

from harness.echoing import PATIENCE, Echo, in_both_styles, is_settled, open_to
from harness.websocket_wire import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    RSV1,
    TEXT,
    frame,
)

if TYPE_CHECKING:
    from harness.logwatch import LogWatch
    from harness.site import ServeFixture

pytestmark = pytest.mark.http3


@in_both_styles
def test_messages_of_every_size_come_back(serve: ServeFixture, style: str) -> None:
    ws = open_to(serve(Echo(style, max_message=1 << 24)))
    for size in (0, 1, 125, 126, 127, 65_535, 65_536, 1 << 20, 10_000_000):
        assert ws.ask("x" * size) == "x" * size
        assert ws.ask(b"\xff" * size) == b"\xff" * size
    assert ws.ask("žluťoučký 🐎") == "žluťoučký 🐎"
    ws.close()
    assert ws.closed() == (1000, "")


@in_both_styles
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


@in_both_styles
def test_frames_may_come_octet_by_octet(serve: ServeFixture, style: str) -> None:
    ws = open_to(serve(Echo(style)))
    for message in (b"a" * 3, b"b" * 200):
        for octet in frame(BINARY, message):
            ws.wire.send(bytes([octet]))
        assert ws.hear() == message


@in_both_styles
def test_many_messages_in_one_go_come_back_in_order(serve: ServeFixture, style: str) -> None:
    ws = open_to(serve(Echo(style)))
    numbers = [str(n) for n in range(2000)]
    ws.wire.send(b"".join(frame(TEXT, number.encode()) for number in numbers))
    assert [ws.hear() for _ in numbers] == numbers


@in_both_styles
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
