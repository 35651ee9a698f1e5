"""Answers in a content coding: RFC 9110 sections 8.4 and 12.5.3, on every engine."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import random
import threading
import time
import zlib
from typing import TYPE_CHECKING, Any, Protocol

import brotli
import pytest
import zstandard

from harness.apps import Routes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from harness.apps import Environ, StartResponse
    from harness.logwatch import LogWatch
    from harness.site import ListenFixture, ServeFixture, Site
    from harness.wire import Response

CODINGS = ["gzip", "br", "zstd"]

ROWS = [{"id": number, "name": f"row {number}", "even": number % 2 == 0} for number in range(3000)]
TEXT = json.dumps(ROWS).encode()
PIECES = [TEXT[at : at + 4000] for at in range(0, len(TEXT), 4000)]


class Decoder(Protocol):
    def __call__(self, piece: bytes, /) -> bytes: ...


DECODERS: dict[str, Callable[[], Decoder]] = {
    "gzip": lambda: zlib.decompressobj(wbits=31).decompress,
    "br": lambda: brotli.Decompressor().process,
    "zstd": lambda: zstandard.ZstdDecompressor().decompressobj().decompress,
}


def decoded(answer: Response) -> bytes:
    """What it is without its coding; one that lacks its end fails, as does one with more behind."""
    coding, body = answer.get("content-encoding"), answer.body
    if coding == "gzip":
        return gzip.decompress(body)
    if coding == "br":
        return bytes(brotli.decompress(body))
    if coding == "zstd":
        whole = zstandard.ZstdDecompressor().decompressobj()
        text = whole.decompress(body)
        assert whole.eof
        assert not whole.unused_data
        return bytes(text)
    assert coding is None
    return body


def in_list(_: Environ, start: StartResponse) -> Iterable[bytes]:
    start("200 OK", [("Content-Type", "application/json"), ("ETag", '"v1"')])
    return [TEXT]


def declared(_: Environ, start: StartResponse) -> Iterable[bytes]:
    start("200 OK", [("Content-Type", "text/html"), ("Content-Length", str(len(TEXT)))])
    return iter([TEXT])


def in_items(_: Environ, start: StartResponse) -> Iterable[bytes]:
    start("200 OK", [("Content-Type", "text/html; charset=utf-8")])
    return [b"", *PIECES, b""]


def piecewise(_: Environ, start: StartResponse) -> Iterator[bytes]:
    start("200 OK", [("Content-Type", "text/html")])
    yield b""
    yield from PIECES


def declared_piecewise(_: Environ, start: StartResponse) -> Iterator[bytes]:
    start("200 OK", [("Content-Type", "text/html"), ("Content-Length", str(len(TEXT)))])
    yield from PIECES


def written(_: Environ, start: Any) -> Iterable[bytes]:
    write = start("200 OK", [("Content-Type", "text/html")])
    for piece in PIECES[:-1]:
        write(piece)
    return PIECES[-1:]


WAYS = [in_list, declared, in_items, piecewise, declared_piecewise, written]


def ask(site: Site, target: str, accepted: str, method: str = "GET") -> Response:
    return site.ask(target, f"Accept-Encoding: {accepted}", method=method)


@pytest.fixture
def ways(serve: ServeFixture) -> Site:
    return serve(Routes(**{way.__name__: way for way in WAYS}), compress=True)


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("way", WAYS)
def test_a_body_is_the_same_in_each_coding_whichever_way_it_is_given(
    ways: Site, way: Callable[..., object], coding: str
) -> None:
    answer = ask(ways, f"/{way.__name__}", coding)
    assert answer.status == 200
    assert answer.get("content-encoding") == coding
    assert answer.all("vary") == ["Accept-Encoding"]
    assert decoded(answer) == TEXT
    assert len(answer.body) < len(TEXT) / 3


@pytest.mark.parametrize("way", WAYS)
def test_whoever_accepts_none_gets_it_as_it_is(ways: Site, way: Callable[..., object]) -> None:
    answer = ways.ask(f"/{way.__name__}")
    assert answer.get("content-encoding") is None
    assert answer.all("vary") == ["Accept-Encoding"]
    assert answer.body == TEXT


@pytest.mark.parametrize("way", [in_list, declared, in_items])
def test_what_is_all_there_has_a_length(ways: Site, way: Callable[..., object]) -> None:
    answer = ask(ways, f"/{way.__name__}", "gzip")
    assert answer.all("content-length") == [str(len(answer.body))]


@pytest.mark.parametrize("way", [in_list, declared])
def test_head_says_what_get_says_but_for_the_length(ways: Site, way: Callable[..., object]) -> None:
    def facts(answer: Response) -> dict[str, list[str]]:
        return {name: answer.all(name) for name in ("content-encoding", "vary", "etag")}

    with_body = ask(ways, f"/{way.__name__}", "br")
    without = ask(ways, f"/{way.__name__}", "br", method="HEAD")
    assert facts(without) == facts(with_body)
    assert without.get("content-length") is None


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip, deflate, br", "br"),
        ("gzip;q=1, br;q=0.5", "gzip"),
        ("br;q=0, gzip", "gzip"),
        ("*", "zstd"),
        ("x-gzip", "gzip"),
        ("GZIP", "gzip"),
        ("identity, gzip;q=0.5", None),
        ("deflate", None),
        ("gzip;q=0, *;q=0", None),
        ("", None),
    ],
)
def test_the_client_chooses_the_coding(ways: Site, accepted: str, coding: str | None) -> None:
    answer = ask(ways, "/in_list", accepted)
    assert answer.get("content-encoding") == coding
    assert decoded(answer) == TEXT


def test_codings_and_levels_are_options(serve: ServeFixture) -> None:
    def size(level: int) -> int:
        site = serve(in_list, compress=True, compress_codings=(f"gzip:{level}",))
        answer = ask(site, "/", "br, zstd, gzip")
        assert decoded(answer) == TEXT
        return len(answer.body)

    assert size(9) < size(1)


@pytest.mark.parametrize(
    "fields",
    [
        {"Content-Type": "image/png"},
        {"Content-Type": "text/html", "Content-Encoding": "identity"},
        {"Content-Type": "text/html", "Cache-Control": "private, No-Transform"},
        {"Content-Type": "text/html", "Content-Digest": "sha-256=:AAAA:"},
        {"Content-Type": "text/html", "Content-Range": "bytes 0-99/200"},
        {},
    ],
)
def test_some_answers_are_left_as_they_are(serve: ServeFixture, fields: dict[str, str]) -> None:
    def app(_: Environ, start: StartResponse) -> Iterable[bytes]:
        start("200 OK", list(fields.items()))
        return [TEXT]

    answer = ask(serve(app, compress=True), "/", "gzip")
    assert answer.body == TEXT
    assert answer.get("vary") is None
    for name, value in fields.items():
        assert answer.all(name.lower()) == [value]


def test_short_answers_are_left_as_they_are(serve: ServeFixture) -> None:
    def app(environ: Environ, start: StartResponse) -> Iterable[bytes]:
        start("200 OK", [("Content-Type", "text/plain")])
        return [b"x" * int(environ["QUERY_STRING"])]

    site = serve(app, compress=True, compress_min_size=100)
    assert ask(site, "/?99", "gzip").get("content-encoding") is None
    assert ask(site, "/?99", "gzip").get("vary") is None
    assert ask(site, "/?100", "gzip").get("content-encoding") == "gzip"
    assert ask(serve(app, compress=True, compress_min_size=0), "/?0", "gzip").body == b""


def test_what_does_not_become_shorter_is_sent_as_it_is(serve: ServeFixture) -> None:
    noise = os.urandom(600)

    def app(_: Environ, start: StartResponse) -> Iterable[bytes]:
        start("200 OK", [("Content-Type", "text/plain")])
        return [noise]

    for coding in CODINGS:
        answer = ask(serve(app, compress=True), "/", coding)
        assert answer.get("content-encoding") is None
        assert answer.get("vary") == "Accept-Encoding"
        assert answer.body == noise


def test_fields_that_the_coding_makes_untrue_are_changed(serve: ServeFixture) -> None:
    fields = [
        ("Content-Type", "text/html"),
        ("ETag", '"strong"'),
        ("Accept-Ranges", "bytes"),
        ("Vary", "Cookie"),
        ("Vary", "Origin"),
        ("X-Other", "kept"),
    ]

    def app(_: Environ, start: StartResponse) -> Iterable[bytes]:
        start("200 OK", fields)
        return [TEXT]

    site = serve(app, compress=True)
    answer = ask(site, "/", "gzip")
    assert answer.get("etag") == 'W/"strong"'
    assert answer.get("accept-ranges") is None
    assert answer.all("vary") == ["Cookie, Origin, Accept-Encoding"]
    assert answer.get("x-other") == "kept"
    plain = ask(site, "/", "identity")
    assert plain.get("etag") == '"strong"'
    assert plain.get("accept-ranges") == "bytes"
    assert plain.all("vary") == ["Cookie, Origin, Accept-Encoding"]


@pytest.mark.parametrize("vary", ["*", "accept-encoding", "Cookie, Accept-Encoding"])
def test_vary_is_not_said_twice(serve: ServeFixture, vary: str) -> None:
    def app(_: Environ, start: StartResponse) -> Iterable[bytes]:
        start("200 OK", [("Content-Type", "text/html"), ("Vary", vary)])
        return [TEXT]

    assert ask(serve(app, compress=True), "/", "gzip").all("vary") == [vary]


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("media_type", ["text/event-stream", "text/html"])
def test_each_piece_arrives_when_it_is_yielded(
    serve: ServeFixture, coding: str, media_type: str
) -> None:
    go_on = threading.Semaphore(0)

    def app(_: Environ, start: StartResponse) -> Iterator[bytes]:
        start("200 OK", [("Content-Type", media_type)])
        for number in range(4):
            yield b"data: %d\n\n" % number
            assert go_on.acquire(timeout=20)

    site = serve(app, compress=True)
    decode = DECODERS[coding]()
    with site.connect() as wire:
        wire.get("/", f"Accept-Encoding: {coding}")
        reply = wire.reply()
        assert reply.head().get("content-encoding") == coding
        for number in range(4):
            event = b""
            while not event.endswith(b"\n\n"):
                event += decode(reply.data())
            assert event == b"data: %d\n\n" % number
            go_on.release()
        reply.rest()


@pytest.mark.parametrize("size", [3_000, 300_000])
def test_files_are_coded_too(serve: ServeFixture, tmp_path: Path, size: int) -> None:
    path = tmp_path / "page.txt"
    path.write_bytes((TEXT * 3)[:size])

    def app(environ: Environ, start: StartResponse) -> Iterable[bytes]:
        start("200 OK", [("Content-Type", "text/plain")])
        wrapped: Iterable[bytes] = environ["wsgi.file_wrapper"](path.open("rb"))
        return wrapped

    site = serve(app, compress=True)
    for coding in CODINGS:
        answer = ask(site, "/", coding)
        assert answer.get("content-encoding") == coding
        assert decoded(answer) == path.read_bytes()
    assert site.ask("/").get("content-length") == str(size)
    assert ask(site, "/", "gzip", method="HEAD").get("content-encoding") == "gzip"


def test_a_body_that_breaks_off_does_not_look_whole(
    serve: ServeFixture, error_log: LogWatch
) -> None:
    def app(_: Environ, start: StartResponse) -> Iterator[bytes]:
        start("200 OK", [("Content-Type", "text/html")])
        yield TEXT
        raise RuntimeError("in the middle")

    with serve(app, compress=True).connect() as wire:
        wire.get("/", "Accept-Encoding: gzip")
        with pytest.raises(AssertionError):
            wire.response()
    error_log.wait_for("in the middle")


def test_one_that_is_shorter_than_declared_does_not_look_whole(
    serve: ServeFixture, error_log: LogWatch
) -> None:
    def app(_: Environ, start: StartResponse) -> Iterable[bytes]:
        start("200 OK", [("Content-Type", "text/html"), ("Content-Length", str(len(TEXT) + 1))])
        return [TEXT]

    with serve(app, compress=True).connect() as wire:
        wire.get("/", "Accept-Encoding: gzip")
        with pytest.raises(AssertionError):
            wire.response()
    error_log.wait_for("1 bytes shorter than its Content-Length")


def test_one_that_is_longer_than_declared_is_cut(serve: ServeFixture, error_log: LogWatch) -> None:
    def app(_: Environ, start: StartResponse) -> Iterable[bytes]:
        start("200 OK", [("Content-Type", "text/html"), ("Content-Length", str(len(TEXT)))])
        return [TEXT, b"more"]

    answer = ask(serve(app, compress=True), "/", "gzip")
    assert decoded(answer) == TEXT
    error_log.wait_for("longer than its Content-Length")


def test_a_failure_before_the_body_is_answered_plainly(
    serve: ServeFixture, error_log: LogWatch
) -> None:
    def app(_: Environ, start: StartResponse) -> Iterable[bytes]:
        start("200 OK", [("Content-Type", "text/html")])
        raise RuntimeError("before it")

    answer = ask(serve(app, compress=True, compress_min_size=0), "/", "gzip")
    assert answer.status == 500
    assert answer.get("content-encoding") is None
    assert answer.body == b"Internal Server Error\n"
    error_log.wait_for("before it")


def test_handlers_are_compressed_too(listen: ListenFixture) -> None:
    def handler(_: Any, response: Any) -> None:
        response.headers["Content-Type"] = "text/html"
        with response.body as body:
            for piece in PIECES:
                body.write(piece)
                body.flush()

    answer = ask(listen(handler, compress=True), "/", "br")
    assert answer.get("content-encoding") == "br"
    assert decoded(answer) == TEXT


def tokens(rows: int) -> bytes:
    """Compresses badly: it fills the buffers of a coder, which rows that repeat never do."""
    chance = random.Random(rows)
    return json.dumps(
        [{"id": at, "token": chance.randbytes(24).hex()} for at in range(rows)]
    ).encode()


@pytest.mark.parametrize("coding", CODINGS)
def test_text_that_compresses_badly_is_all_there(serve: ServeFixture, coding: str) -> None:
    texts = {rows: tokens(rows) for rows in (500, 3000, 5000, 9000, 30000)}

    def app(environ: Environ, start: StartResponse) -> Iterable[bytes]:
        start("200 OK", [("Content-Type", "application/json")])
        text = texts[int(environ["QUERY_STRING"])]
        return [text] if environ["PATH_INFO"] == "/list" else iter([text[:70_000], text[70_000:]])

    site = serve(app, compress=True)
    for rows, text in texts.items():
        for path in ("/list", "/pieces"):
            answer = ask(site, f"{path}?{rows}", coding)
            assert answer.get("content-encoding") == coding
            assert decoded(answer) == text, (path, rows)


def test_large_files_are_sent_as_they_are(serve: ServeFixture, tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    path.write_bytes(b"1,2,3\n" * 300_000)

    def app(environ: Environ, start: StartResponse) -> Iterable[bytes]:
        start("200 OK", [("Content-Type", "text/csv")])
        wrapped: Iterable[bytes] = environ["wsgi.file_wrapper"](path.open("rb"))
        return wrapped

    answer = ask(serve(app, compress=True), "/", "gzip")
    assert answer.get("content-encoding") is None
    assert answer.body == path.read_bytes()


@pytest.mark.slow
def test_clients_that_do_not_read_a_file_keep_no_worker(
    serve: ServeFixture, tmp_path: Path
) -> None:
    path = tmp_path / "page.txt"
    path.write_bytes(tokens(15_000)[: 1 << 20])

    def app(environ: Environ, start: StartResponse) -> Iterable[bytes]:
        start("200 OK", [("Content-Type", "text/plain")])
        if environ["PATH_INFO"] == "/quick":
            return [b"quick"]
        wrapped: Iterable[bytes] = environ["wsgi.file_wrapper"](path.open("rb"))
        return wrapped

    site = serve(app, compress=True, threads=1)
    for _ in range(3):
        site.connect(receive_buffer=4096).get("/", "Accept-Encoding: gzip")
    assert site.ask("/quick").body == b"quick"


def test_streams_are_compressed_while_memory_is_plentiful(serve: ServeFixture) -> None:
    go_on = threading.Event()

    def app(_: Environ, start: StartResponse) -> Iterator[bytes]:
        start("200 OK", [("Content-Type", "text/event-stream")])
        yield b"data: first\n\n"
        assert go_on.wait(30)
        yield b"data: last\n\n"

    site = serve(app, compress=True, memory_budget=8 << 20)
    wires = [site.connect() for _ in range(12)]
    codings = []
    for wire in wires:
        wire.get("/", "Accept-Encoding: zstd")
        reply = wire.reply()
        codings.append(reply.head().get("content-encoding"))
        assert reply.data()
    assert set(codings) == {"zstd", None}, "the first ones are, and not all"
    go_on.set()


def test_not_modified_says_what_the_answer_said(serve: ServeFixture) -> None:
    def app(environ: Environ, start: StartResponse) -> Iterable[bytes]:
        fields = [("ETag", '"v1"')]
        if '"v1"' in environ.get("HTTP_IF_NONE_MATCH", ""):
            start("304 Not Modified", fields)
            return []
        start("200 OK", [("Content-Type", "text/html"), *fields])
        return [TEXT]

    site = serve(app, compress=True)
    tag = ask(site, "/", "gzip").get("etag")
    answer = site.ask("/", "Accept-Encoding: gzip", f"If-None-Match: {tag}")
    assert answer.status == 304
    assert answer.get("etag") == tag == 'W/"v1"'
    assert answer.get("vary") == "Accept-Encoding"
    own = site.ask("/", 'If-None-Match: "v1"')
    assert own.status == 304
    assert own.get("etag") == '"v1"'


def test_a_long_list_of_short_items_leaves_the_gil_to_others(serve: ServeFixture) -> None:
    items = [TEXT[at : at + 1000] for at in range(0, len(TEXT), 1000)]

    def app(_: Environ, start: StartResponse) -> Iterable[bytes]:
        start("200 OK", [("Content-Type", "text/html")])
        return items

    site = serve(app, compress=True, compress_codings=("br:11",))
    over = threading.Event()
    pauses = []

    def look() -> None:
        last = time.perf_counter()
        while not over.is_set():
            time.sleep(0.001)
            now = time.perf_counter()
            pauses.append(now - last)
            last = now

    watch = threading.Thread(target=look)
    watch.start()
    begun = time.perf_counter()
    answer = ask(site, "/", "br")
    took = time.perf_counter() - begun
    over.set()
    watch.join()
    assert decoded(answer) == TEXT
    assert max(pauses) < took / 2, (max(pauses), took)


@pytest.mark.slow
def test_threads_that_write_one_answer_wait_for_one_another(serve: ServeFixture) -> None:
    pieces = [b"%06d " % number * 2000 for number in range(20)]

    def app(_: Environ, start: Any) -> Iterable[bytes]:
        write = start("200 OK", [("Content-Type", "text/html")])
        halves = [
            threading.Thread(target=lambda part=part: [write(piece) for piece in part])
            for part in (pieces[::2], pieces[1::2])
        ]
        for half in halves:
            half.start()
        for half in halves:
            half.join()
        return []

    site = serve(app, compress=True)
    for coding in CODINGS:
        text = decoded(ask(site, "/", coding))
        assert sorted(text.split()) == sorted(b"".join(pieces).split())


@pytest.mark.slow
def test_a_thread_that_writes_on_when_the_application_has_returned_harms_nobody(
    serve: ServeFixture, error_log: LogWatch
) -> None:
    """It codes without the GIL, while what it writes to goes."""
    threads: list[threading.Thread] = []
    failures: list[Exception] = []

    def app(environ: Environ, start: Any) -> Iterable[bytes]:
        write = start("200 OK", [("Content-Type", "text/html")])
        if environ["PATH_INFO"] == "/calm":
            return [TEXT]

        def go_on_writing() -> None:
            try:
                while True:
                    write(TEXT)
            except (OSError, RuntimeError, ValueError) as failure:
                failures.append(failure)

        threads.append(threading.Thread(target=go_on_writing))
        threads[-1].start()
        return []

    site = serve(app, compress=True, compress_codings=("gzip:9",))
    for _ in range(10):
        with site.connect() as wire, contextlib.suppress(AssertionError):
            wire.get("/", "Accept-Encoding: gzip")
            wire.response()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    assert len(failures) == len(threads)
    assert decoded(ask(site, "/calm", "gzip")) == TEXT
