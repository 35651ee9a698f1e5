"""What is not HTTP/2 (RFC 9113): a malformed request ends its stream, a misplaced frame the whole
connection, with the code that says which. By raw frames, as no client sends them."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import hpack
import pytest

from harness.apps import Echo
from harness.h2wire import GET, POST, Frame, RawH2, asked, block, opened

if TYPE_CHECKING:
    from harness.site import ServeFixture, Site

PROTOCOL_ERROR = 0x1
FLOW_CONTROL_ERROR = 0x3
STREAM_CLOSED = 0x5
FRAME_SIZE_ERROR = 0x6
COMPRESSION_ERROR = 0x9

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING = range(7)
GOAWAY, WINDOW_UPDATE, CONTINUATION = 7, 8, 9
END_STREAM, END_HEADERS, PADDED, WITH_PRIORITY = 0x1, 0x4, 0x8, 0x20
WHOLE = END_STREAM | END_HEADERS

Fields = list[tuple[str, str]]

METHOD, SCHEME, PATH, AUTHORITY = GET


@pytest.fixture
def app() -> Echo:
    return Echo()


@pytest.fixture
def site(serve: ServeFixture, app: Echo) -> Site:
    return serve(app)


MALFORMED: dict[str, Fields] = {
    "no method": [SCHEME, PATH, AUTHORITY],
    "no scheme": [METHOD, PATH, AUTHORITY],
    "no path": [METHOD, SCHEME, AUTHORITY],
    "neither authority nor host": [METHOD, SCHEME, PATH],
    "two methods": [*GET, METHOD],
    "two schemes": [*GET, SCHEME],
    "two paths": [*GET, PATH],
    "two authorities": [*GET, AUTHORITY],
    "an empty path": [METHOD, SCHEME, (":path", ""), AUTHORITY],
    "a path that is none": [METHOD, SCHEME, (":path", "a"), AUTHORITY],
    "an unknown pseudo-header field": [*GET, (":test", "x")],
    "one of an answer": [*GET, (":status", "200")],
    "one behind the fields": [*GET[:3], ("x", "y"), AUTHORITY],
    "connection": [*GET, ("connection", "close")],
    "keep-alive": [*GET, ("keep-alive", "timeout=5")],
    "proxy-connection": [*GET, ("proxy-connection", "keep-alive")],
    "transfer-encoding": [*GET, ("transfer-encoding", "chunked")],
    "upgrade": [*GET, ("upgrade", "h2c")],
    "te": [*GET, ("te", "gzip")],
    "upper case": [*GET, ("X-Thing", "1")],
    "a name with a space": [*GET, ("x y", "1")],
    "an empty name": [*GET, ("", "1")],
    "a value with a line's end": [*GET, ("x", "a\r\nb: c")],
    "a value with NUL": [*GET, ("x", "a\0b")],
    "a value that begins with a space": [*GET, ("x", " a")],
    "another host": [*GET, ("host", "b")],
    "two hosts": [METHOD, SCHEME, PATH, ("host", "a"), ("host", "a")],
    "a length that is none": [*GET, ("content-length", "1x")],
    "two lengths": [*GET, ("content-length", "0"), ("content-length", "0")],
    "a length without content": [*GET, ("content-length", "1")],
}


@pytest.mark.parametrize("fields", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_request_ends_its_stream_alone(site: Site, app: Echo, fields: Fields) -> None:
    with RawH2(site) as wire:
        wire.send((HEADERS, WHOLE, 1, block(*fields)))
        assert wire.reset_of(1) == PROTOCOL_ERROR
        wire.send(asked(3))
        assert wire.answers(3)
    assert len(app.environs) == 1


CONTENT: dict[str, tuple[str, list[Frame]]] = {
    "less than announced": ("4", [(DATA, END_STREAM, 1, b"abc")]),
    "more than announced": ("2", [(DATA, 0, 1, b"abc")]),
    "more in several frames": ("4", [(DATA, 0, 1, b"ab"), (DATA, END_STREAM, 1, b"abc")]),
    "none, and trailers": ("4", [(HEADERS, WHOLE, 1, block(("x", "y")))]),
    "trailers without an end": ("0", [(HEADERS, END_HEADERS, 1, block(("x", "y")))]),
    "trailers with a pseudo-header field": ("0", [(HEADERS, WHOLE, 1, block(PATH))]),
    "trailers in upper case": ("0", [(HEADERS, WHOLE, 1, block(("X", "y")))]),
}


@pytest.mark.parametrize(("length", "frames"), CONTENT.values(), ids=CONTENT.keys())
def test_content_that_is_not_as_announced_ends_its_stream_alone(
    site: Site, app: Echo, length: str, frames: list[Frame]
) -> None:
    with RawH2(site) as wire:
        wire.send((HEADERS, END_HEADERS, 1, block(*POST, ("content-length", length))))
        wire.send(*frames)
        assert wire.reset_of(1) == PROTOCOL_ERROR
        wire.send(asked(3))
        assert wire.answers(3)
    assert len(app.environs) == 1


def window(size: int) -> bytes:
    return struct.pack("!L", size)


def setting(number: int, value: int) -> bytes:
    return struct.pack("!HL", number, value)


BROKEN: dict[str, tuple[list[Frame], int]] = {
    "content on no stream": ([(DATA, 0, 0, b"x")], PROTOCOL_ERROR),
    "content on an idle stream": ([(DATA, 0, 1, b"x")], PROTOCOL_ERROR),
    "a reset of an idle stream": ([(RST_STREAM, 0, 1, bytes(4))], PROTOCOL_ERROR),
    "a window of an idle stream": ([(WINDOW_UPDATE, 0, 1, window(1))], PROTOCOL_ERROR),
    "an even stream": ([asked(2)], PROTOCOL_ERROR),
    "a lower stream": ([opened(5), asked(3)], PROTOCOL_ERROR),
    "a head behind the request": ([asked(), asked()], STREAM_CLOSED),
    "content behind the request": ([asked(), (DATA, 0, 1, b"x")], STREAM_CLOSED),
    "content behind a reset": (
        [opened(), (RST_STREAM, 0, 1, bytes(4)), (DATA, 0, 1, b"x")],
        STREAM_CLOSED,
    ),
    "a head behind a reset": ([opened(), (RST_STREAM, 0, 1, bytes(4)), asked()], STREAM_CLOSED),
    "another frame within a head": (
        [(HEADERS, END_STREAM, 1, block(*GET)), (PING, 0, 0, bytes(8))],
        PROTOCOL_ERROR,
    ),
    "another stream's head within a head": (
        [(HEADERS, END_STREAM, 1, block(*GET)), (CONTINUATION, END_HEADERS, 3, b"")],
        PROTOCOL_ERROR,
    ),
    "a continuation of nothing": ([(CONTINUATION, END_HEADERS, 1, b"")], PROTOCOL_ERROR),
    "a push": ([(PUSH_PROMISE, END_HEADERS, 1, window(2) + block(*GET))], PROTOCOL_ERROR),
    "a stream that depends on itself": ([(PRIORITY, 0, 1, window(1) + b"\x10")], PROTOCOL_ERROR),
    "a head that depends on itself": (
        [(HEADERS, WHOLE | WITH_PRIORITY, 1, window(1) + b"\x10" + block(*GET))],
        PROTOCOL_ERROR,
    ),
    "a priority of no stream": ([(PRIORITY, 0, 0, bytes(5))], PROTOCOL_ERROR),
    "a priority that is too short": ([(PRIORITY, 0, 1, bytes(4))], FRAME_SIZE_ERROR),
    "a reset that is too short": ([opened(), (RST_STREAM, 0, 1, bytes(3))], FRAME_SIZE_ERROR),
    "a ping that is too short": ([(PING, 0, 0, bytes(6))], FRAME_SIZE_ERROR),
    "a ping on a stream": ([(PING, 0, 1, bytes(8))], PROTOCOL_ERROR),
    "a window that is too long": ([(WINDOW_UPDATE, 0, 0, bytes(5))], FRAME_SIZE_ERROR),
    "a window of nothing": ([(WINDOW_UPDATE, 0, 0, window(0))], PROTOCOL_ERROR),
    "a window that is too large": (
        [(WINDOW_UPDATE, 0, 0, window(0x7FFFFFFF))],
        FLOW_CONTROL_ERROR,
    ),
    "a window that settings make too large": (
        [
            opened(),
            (WINDOW_UPDATE, 0, 1, window(0x7FFFFFFF - 65535)),
            (SETTINGS, 0, 0, setting(4, 65536)),
        ],
        FLOW_CONTROL_ERROR,
    ),
    "a goodbye on a stream": ([(GOAWAY, 0, 1, bytes(8))], PROTOCOL_ERROR),
    "settings on a stream": ([(SETTINGS, 0, 1, b"")], PROTOCOL_ERROR),
    "settings that are cut off": ([(SETTINGS, 0, 0, bytes(5))], FRAME_SIZE_ERROR),
    "settings taken, and some more": ([(SETTINGS, 1, 0, bytes(6))], FRAME_SIZE_ERROR),
    "a setting of push": ([(SETTINGS, 0, 0, setting(2, 2))], PROTOCOL_ERROR),
    "a setting of a window": ([(SETTINGS, 0, 0, setting(4, 1 << 31))], FLOW_CONTROL_ERROR),
    "a setting of frames": ([(SETTINGS, 0, 0, setting(5, 16383))], PROTOCOL_ERROR),
    "a frame that is too large": ([opened(), (DATA, 0, 1, bytes(16385))], FRAME_SIZE_ERROR),
    "padding without room": ([opened(), (DATA, PADDED, 1, b"\x05abc")], PROTOCOL_ERROR),
    "padding of a head without room": ([(HEADERS, WHOLE | PADDED, 1, b"\xff")], PROTOCOL_ERROR),
    "an index of nothing": ([(HEADERS, WHOLE, 1, b"\x80")], COMPRESSION_ERROR),
    "the end of a Huffman code": (
        [(HEADERS, WHOLE, 1, block(*GET) + b"\x00\x84\xff\xff\xff\xff\x00")],
        COMPRESSION_ERROR,
    ),
    "a table size too late": ([(HEADERS, WHOLE, 1, block(*GET) + b"\x20")], COMPRESSION_ERROR),
    "a table that is too large": ([(HEADERS, WHOLE, 1, b"\x3f\xff\xff\x03")], COMPRESSION_ERROR),
    "a head that is cut off": ([(HEADERS, WHOLE, 1, block(*GET)[:-1])], COMPRESSION_ERROR),
}


@pytest.mark.parametrize(("frames", "code"), BROKEN.values(), ids=BROKEN.keys())
def test_a_misplaced_frame_ends_the_connection(site: Site, frames: list[Frame], code: int) -> None:
    with RawH2(site) as wire:
        wire.send(*frames)
        assert wire.goaway() == code


def test_the_first_frame_is_settings(site: Site) -> None:
    with RawH2(site, settings=None) as wire:
        wire.send((PING, 0, 0, bytes(8)))
        assert wire.goaway() == PROTOCOL_ERROR


PERMITTED: dict[str, list[Frame]] = {
    "a frame of an unknown type": [(0xF0, 0xFF, 7, b"whatever"), asked()],
    "a flag that means nothing": [(HEADERS, WHOLE | 0x40, 1, block(*GET))],
    "padding": [(HEADERS, WHOLE | PADDED, 1, b"\x03" + block(*GET) + bytes(3))],
    "a priority": [(HEADERS, WHOLE | WITH_PRIORITY, 1, window(3) + b"\x10" + block(*GET))],
    "a head in parts": [
        (HEADERS, END_STREAM, 1, block(*GET)[:10]),
        (CONTINUATION, 0, 1, block(*GET)[10:20]),
        (CONTINUATION, END_HEADERS, 1, block(*GET)[20:]),
    ],
    "settings of nothing behind what is answered": [
        (PING, 0, 0, bytes(8)),
        (SETTINGS, 0, 0, b""),
        asked(),
    ],
    "trailers": [opened(), (DATA, 0, 1, b"x"), (HEADERS, WHOLE, 1, block(("x", "y")))],
    "content with padding": [opened(), (DATA, END_STREAM | PADDED, 1, b"\x02x\0\0")],
    "padding alone": [opened(), (DATA, PADDED, 1, b"\x02\0\0"), (DATA, END_STREAM, 1, b"x")],
    "an unknown setting": [(SETTINGS, 0, 0, setting(0x99, 1)), asked()],
    "a setting again and again": [
        (SETTINGS, 0, 0, (setting(4, 100_000) + setting(5, 20_000)) * 10),
        asked(),
    ],
    "a goodbye": [opened(), (GOAWAY, 0, 0, bytes(8)), (DATA, END_STREAM, 1, b"x")],
    "an unknown code": [opened(3), (RST_STREAM, 0, 3, b"\xff" * 4), asked(5)],
    "te: trailers": [(HEADERS, WHOLE, 1, block(*GET, ("te", "trailers")))],
    "a host": [(HEADERS, WHOLE, 1, block(*GET, ("host", "a")))],
    "a host alone": [(HEADERS, WHOLE, 1, block(*GET[:3], ("host", "a")))],
    "a table of another size": [(HEADERS, WHOLE, 1, b"\x20" + block(*GET))],
}


@pytest.mark.parametrize("frames", PERMITTED.values(), ids=PERMITTED.keys())
@pytest.mark.parametrize("apart", [False, True], ids=["at once", "apart"])
def test_what_looks_odd_is_answered(site: Site, frames: list[Frame], apart: bool) -> None:
    with RawH2(site) as wire:
        wire.send(*frames, apart=apart)
        assert wire.answers(frames[-1][2])


def test_windows_of_nothing_are_opened_later(site: Site) -> None:
    with RawH2(site, settings=setting(4, 0)) as wire:
        wire.send(asked())
        assert wire.next_of(HEADERS)
        wire.send((WINDOW_UPDATE, 0, 1, window(1)))
        assert len(wire.next_of(DATA)) == 1
        wire.send((SETTINGS, 0, 0, setting(4, 65535)))
        assert wire.answers(1)


@pytest.mark.parametrize("together", [False, True], ids=["apart", "in one frame"])
def test_the_smallest_table_is_told_before_a_larger_one(site: Site, together: bool) -> None:
    """RFC 7541 section 4.2; a client may have forgotten what did not fit into it."""
    sizes = [setting(1, 64), setting(1, 4096)]
    decoder = hpack.Decoder()
    with RawH2(site) as wire:
        wire.send(asked())
        decoder.decode(wire.next_of(HEADERS))
        wire.send(*((SETTINGS, 0, 0, part) for part in ([b"".join(sizes)] if together else sizes)))
        wire.send(asked(3))
        told = wire.next_of(HEADERS)
        assert told.startswith(b"\x3f\x21"), "64, in five bits and what is left"
        decoder.decode(told)
        for stream in (5, 7):
            wire.send(asked(stream))
            fields: list[Any] = list(decoder.decode(wire.next_of(HEADERS)))
            assert (":status", "200") in fields


def test_what_was_compressed_for_a_refused_request_is_remembered(site: Site, app: Echo) -> None:
    encoder = hpack.Encoder()
    with RawH2(site) as wire:
        wire.send((HEADERS, WHOLE, 1, encoder.encode([*GET, ("x-thing", "1"), ("te", "gzip")])))
        assert wire.reset_of(1) == PROTOCOL_ERROR
        wire.send((HEADERS, WHOLE, 3, encoder.encode([*GET, ("x-thing", "1")])))
        assert wire.answers(3)
    assert app.environs[0]["HTTP_X_THING"] == "1"
