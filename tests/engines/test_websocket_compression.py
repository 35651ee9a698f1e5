"""permessage-deflate (RFC 7692), by raw frames."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import pytest
from prowingen_wsgi import websocket

from harness.deflating import Deflating, deflated
from harness.echoing import PATIENCE, Echo, in_both_styles, open_to
from harness.websocket_wire import (
    BINARY,
    CONTINUATION,
    DEFLATE,
    PING,
    RSV1,
    TEXT,
    frame,
)

if TYPE_CHECKING:
    from harness.site import ServeFixture

pytestmark = pytest.mark.http3


@in_both_styles
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


@in_both_styles
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


@in_both_styles
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


@in_both_styles
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
