"""Writes what the fuzzers begin with: python tests/fuzz/seeds.py FOLDER

A folder for each target, of connections that the test suite has: each kind of frame, alone and
beside others, by the library h2 where a real client could have sent it, and frame by frame where
none would; and the requests of tests/corpus.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import h2.config
import h2.connection
from h2.settings import SettingCodes

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "engines"))

from harness.corpus import cases
from harness.h2wire import GET, POST, Fields, Frame, RawH2, block

if TYPE_CHECKING:
    from collections.abc import Iterator

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = (
    0, 1, 2, 3, 4, 6, 7, 8, 9
)  # fmt: skip
PRIORITY_UPDATE, UNKNOWN = 0x10, 0x20
END_STREAM, ACK, END_HEADERS, PADDED, HAS_PRIORITY = 0x1, 0x1, 0x4, 0x8, 0x20


def frames(*of_them: Frame) -> bytes:
    return b"".join(
        len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload
        for kind, flags, stream, payload in of_them
    )


def connection(*of_them: Frame) -> bytes:
    return RawH2.PREFACE + frames((SETTINGS, 0, 0, b""), *of_them)


def number(value: int) -> bytes:
    return value.to_bytes(4, "big")


def setting(name: int, value: int) -> bytes:
    return name.to_bytes(2, "big") + number(value)


def head(of: Fields, path: str = "/", *more: tuple[str, str]) -> bytes:
    changed = [(name, path if name == ":path" else value) for name, value in of]
    return block(*changed, *more)


def get(path: str = "/", stream: int = 1) -> Frame:
    return HEADERS, END_HEADERS | END_STREAM, stream, head(GET, path)


def post(path: str = "/", stream: int = 1, *more: tuple[str, str]) -> Frame:
    return HEADERS, END_HEADERS, stream, head(POST, path, *more)


def by_library() -> bytes:
    """What a client sends whose fields are compressed, with Huffman's code and the table."""
    client = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
    client.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 1000})
    client.initiate_connection()
    fields = [*GET, ("cookie", "a=b"), ("cookie", "c=d"), ("user-agent", "Mozilla/5.0")]
    client.send_headers(1, fields, end_stream=True)
    client.send_headers(3, fields, end_stream=True)
    client.send_headers(5, [*POST, ("content-length", "5"), ("expect", "100-continue")])
    client.send_data(5, b"hello")
    client.send_headers(5, [("x-checksum", "1")], end_stream=True)
    client.increment_flow_control_window(5000)
    client.ping(b"12345678")
    client.reset_stream(3, 8)
    client.close_connection()
    return bytes(client.data_to_send())


def of_http2() -> Iterator[tuple[str, bytes]]:
    half = len(head(POST)) // 2
    yield "library", by_library()
    yield "get", connection(get())
    yield "preface", RawH2.PREFACE
    yield "large", connection((WINDOW_UPDATE, 0, 0, number(1 << 20)), get("/large"))
    yield (
        "small_window",
        connection((SETTINGS, 0, 0, setting(4, 100)), get(), (WINDOW_UPDATE, 0, 1, number(500))),
    )
    yield "window_of_nothing", connection((SETTINGS, 0, 0, setting(4, 0)), get())
    yield (
        "window_overflow",
        connection(
            (WINDOW_UPDATE, 0, 1, number(1)), get(), (WINDOW_UPDATE, 0, 1, number((1 << 31) - 1))
        ),
    )
    yield (
        "window_by_settings",
        connection(
            post(),
            (WINDOW_UPDATE, 0, 1, number(1 << 30)),
            (SETTINGS, 0, 0, setting(4, (1 << 31) - 1)),
        ),
    )
    yield "hints_and_trailers", connection(get("/hints/trailers"))
    yield "abort", connection(get("/large/abort"), get("/abort", 3))
    yield "early", connection(post("/early"), (DATA, 0, 1, b"abc"), (DATA, END_STREAM, 1, b"d"))
    yield "echo", connection(post(), (DATA, 0, 1, b"abc"), (DATA, END_STREAM, 1, b""))
    yield "side_by_side", connection(
        post(stream=1), post(stream=3), (DATA, 0, 3, b"abc"), (DATA, END_STREAM, 1, b"d"),
        get(stream=5), (DATA, END_STREAM, 3, b"e"),
    )  # fmt: skip
    yield "length", connection(
        post("/", 1, ("content-length", "3")), (DATA, END_STREAM, 1, b"abc"),
        post("/", 3, ("content-length", "3")), (DATA, END_STREAM, 3, b"abcd"),
    )  # fmt: skip
    yield "expect", connection(post("/", 1, ("expect", "100-continue")))
    yield "trailers", connection(
        post(), (DATA, 0, 1, b"abc"),
        (HEADERS, END_HEADERS | END_STREAM, 1, block(("x-checksum", "1"))),
    )  # fmt: skip
    yield "continuation", connection(
        (HEADERS, END_STREAM, 1, head(POST)[:half]), (CONTINUATION, 0, 1, b""),
        (CONTINUATION, END_HEADERS, 1, head(POST)[half:]),
    )  # fmt: skip
    yield (
        "padded",
        connection(
            (HEADERS, END_HEADERS | PADDED, 1, b"\x02" + head(POST) + b"\0\0"),
            (DATA, PADDED, 1, b"\x03abc\0\0\0"),
            (DATA, PADDED | END_STREAM, 1, b"\x00"),
        ),
    )
    yield (
        "priorities",
        connection(
            (PRIORITY, 0, 3, number(1) + b"\x10"),
            (HEADERS, END_HEADERS | END_STREAM | HAS_PRIORITY, 1, number(3) + b"\x20" + head(GET)),
            (PRIORITY_UPDATE, 0, 0, number(5) + b"u=1, i"),
            (HEADERS, END_HEADERS | END_STREAM, 5, head(GET, "/large", ("priority", "u=6"))),
        ),
    )
    yield "extensible", connection(
        (SETTINGS, 0, 0, setting(9, 1)), get("/large"), get("/large", 3),
        (PRIORITY_UPDATE, 0, 0, number(3) + b"u=0"), (PRIORITY_UPDATE, 0, 0, number(1) + b"u=7,i"),
    )  # fmt: skip
    yield "resets", connection(
        get(), (RST_STREAM, 0, 1, number(8)), post("/", 3), (DATA, 0, 3, b"abc"),
        (RST_STREAM, 0, 3, number(0)), (DATA, 0, 3, b"late"),
    )  # fmt: skip
    yield "pings", connection((PING, 0, 0, b"12345678"), (PING, ACK, 0, b"abcdefgh"), get())
    yield (
        "settings",
        connection(
            (
                SETTINGS,
                0,
                0,
                b"".join(map(setting, (1, 2, 3, 4, 5, 6, 99), (0, 0, 1, 9, 16384, 1, 1))),
            ),
            (SETTINGS, ACK, 0, b""),
            get(),
        ),
    )
    yield (
        "table",
        connection(
            (SETTINGS, 0, 0, setting(1, 0)), (SETTINGS, 0, 0, setting(1, 4096)), get(), get("/", 3)
        ),
    )
    yield (
        "table_update",
        connection((HEADERS, END_HEADERS | END_STREAM, 1, b"\x20\x3f\xe1\x1f" + head(GET))),
    )
    yield "goaway", connection(get(), (GOAWAY, 0, 0, number(0) + number(0) + b"bye"))
    yield "unknown", connection((UNKNOWN, 0xFF, 7, b"what"), get())
    yield "idle", connection((DATA, END_STREAM, 1, b"abc"))
    yield "lower", connection(get(stream=5), get(stream=3))
    yield "itself", connection((PRIORITY, 0, 1, number(1) + b"\0"))
    yield (
        "malformed",
        connection(
            (HEADERS, END_HEADERS | END_STREAM, 1, block(*GET, ("Upper", "1"))),
            (HEADERS, END_HEADERS | END_STREAM, 3, block(*GET, ("connection", "close"))),
            (HEADERS, END_HEADERS | END_STREAM, 5, block(*GET[1:])),
            (HEADERS, END_HEADERS | END_STREAM, 7, block(*GET, ("host", "b"))),
        ),
    )
    yield (
        "refused",
        connection(
            (HEADERS, END_HEADERS, 1, block(*GET, *[("a", "b")] * 150)),
            (DATA, END_STREAM, 1, b"abc"),
        ),
    )
    yield (
        "connect",
        connection(
            (HEADERS, END_HEADERS, 1, block((":method", "CONNECT"), (":authority", "a:80"))),
            (HEADERS, END_HEADERS | END_STREAM, 3, head([(":method", "HEAD"), *GET[1:]])),
            (HEADERS, END_HEADERS | END_STREAM, 5, head([(":method", "OPTIONS"), *GET[1:]], "*")),
        ),
    )


def of_http1() -> Iterator[tuple[str, bytes]]:
    """Of the tables, one request that asks for its file's kind of thing from each few."""
    for kind in ("valid", "invalid"):
        for number, case in enumerate(cases(kind)):
            if len(case.raw) < 1500:
                yield f"{kind}_{number}", case.raw
    for path in ("early", "hints", "trailers", "large", "abort"):
        words = f"POST /{path} HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nContent-Length: 3\r\n\r\nabc"
        yield path, words.encode() * 2


def main(folder: Path) -> None:
    http2, http1 = dict(of_http2()), dict(of_http1())
    targets = {
        "connections": http2 | http1,
        "http2_frames": http2,
        "http1_requests": http1,
    }
    for target, seeds in targets.items():
        (folder / target).mkdir(parents=True, exist_ok=True)
        for name, seed in seeds.items():
            (folder / target / name).write_bytes(seed)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
