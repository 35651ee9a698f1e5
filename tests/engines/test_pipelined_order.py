"""Requests in one segment: answers come in their order, and nothing comes after a last one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.apps import PLAIN, Closable, Environ, Gate, Routes, StartResponse, answering
from harness.site import WORKS_AHEAD

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from harness.apps import App
    from harness.site import ServeFixture, Site
    from harness.wire import Wire

pytestmark = pytest.mark.no_http2("streams are not pipelined")

GET = b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /%b HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
EXPECTING = b"POST /%b HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
HELD = {
    "length": EXPECTING + b"Content-Length: 5\r\n\r\nhello",
    "chunked": EXPECTING + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
}


class Slow:
    """Echoes path and body; what is asked of /a waits at the gate."""

    def __init__(self) -> None:
        self.gate = Gate()
        self.order: list[str] = []

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/a":
            self.gate.pass_through()
        body = environ["wsgi.input"].read()
        self.order.append(path)
        start_response("200 OK", PLAIN)
        return [path.encode() + b" " + body]


@pytest.mark.parametrize(
    "options", [{}, {"body_buffer": 2, "chunked_body": "stream"}], ids=["buffered", "streamed"]
)
@pytest.mark.parametrize("behind", [[GET], [POST], [GET, POST, GET]], ids=["GET", "POST", "many"])
@pytest.mark.parametrize("framing", HELD)
def test_order_is_kept_behind_a_request_that_is_held(
    serve: ServeFixture, framing: str, behind: list[bytes], options: dict[str, object]
) -> None:
    """The second waits for the first to be answered, and may be complete or not by then."""
    names = [b"c", b"d", b"e"]
    rest = [request % name for request, name in zip(behind, names, strict=False)]
    app = Slow()
    with serve(app, **options).connect() as wire:
        for _ in range(20):
            app.order.clear()
            app.gate = Gate()
            wire.send(GET % b"a" + HELD[framing] % b"b" + b"".join(rest))
            app.gate.wait_entered()
            app.gate.opened.set()
            assert wire.response().body == b"/a "
            assert wire.response("POST").body == b"/b hello"
            for name, request in zip(names, behind, strict=False):
                body = b"hello" if request is POST else b""
                assert wire.response().body == b"/" + name + b" " + body
            # Nothing that follows a POST may start before that is answered.
            assert app.order[:2] == ["/a", "/b"]
        assert wire.is_silent(0.05)


def test_what_is_behind_a_held_request_does_not_run_before_it(serve: ServeFixture) -> None:
    app = Slow()
    with serve(app).connect() as wire:
        wire.send(GET % b"a" + HELD["length"] % b"b" + GET % b"c")
        app.gate.wait_entered()
        assert wire.is_silent(0.1)
        assert app.order == []
        app.gate.opened.set()
        for name in (b"/a ", b"/b hello", b"/c "):
            assert wire.response().body == name


# ---- what follows a last answer

PIECE = b"x" * 65536
PIECES = 200  # 13 MB: more than the buffers of two sockets and the engine's own hold
SMALL_BUFFER = 4096


class LastAnswer:
    """Routes /last and /next: where the engine works ahead, the former ends once three of the
    latter have been answered; where it does not, they are never asked for."""

    def __init__(self, engine: str, end: str, count: int = PIECES) -> None:
        self.ahead = engine in WORKS_AHEAD
        self.end = end
        self.count = count
        self.next_answers = [Closable([b"next answer"]) for _ in range(3)]
        self.last = Closable(self.pieces())
        self.unused = list(self.next_answers)

    def pieces(self) -> Iterator[bytes]:
        for number in range(self.count):
            if number == 1:
                self.expect_next_answered()
            yield PIECE
        if self.end == "raise":
            raise RuntimeError("in the middle of the body")

    def expect_next_answered(self) -> None:
        for answer in self.next_answers if self.ahead else []:
            answer.expect_closed_once()

    def expect_over(self) -> None:
        self.last.expect_closed_once()
        assert len(self.unused) == (0 if self.ahead else 3)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] != "/last":
            start_response("200 OK", PLAIN)
            return self.unused.pop()
        declared = self.count * len(PIECE) + 100
        lengths = [("Content-Length", str(declared))] if self.end == "short" else []
        start_response("200 OK", [*PLAIN, *lengths])
        return self.last


def ask_for_last(wire: Wire, version: bytes, fields: bytes = b"") -> None:
    last = b"GET /last HTTP/" + version + b"\r\nHost: a\r\n" + fields + b"\r\n"
    wire.send(last + b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n" * 3)


def expect_one_answer(wire: Wire) -> bytes:
    """All that comes to a reader that began late, which is one answer or a part of it."""
    raw = wire.read_to_end()
    assert raw.startswith(b"HTTP/1.1 200 ")
    assert raw.count(b"HTTP/1.") == 1, "an answer came behind the last one"
    assert b"next answer" not in raw
    return raw.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize("count", range(3, 8))
@pytest.mark.parametrize("end", ["raise", "short", "close"])
def test_nothing_joins_a_last_answer_that_waits_to_be_read(
    serve: ServeFixture, engine: str, tmp_path: Path, end: str, count: int
) -> None:
    """A Unix socket holds 208 KiB: the engine has all of the answer and has written part of it."""
    app = LastAnswer(engine, end, count)
    site = serve(app, bind=f"unix:{tmp_path}/socket")
    with site.connect() as wire:
        if end == "close":
            ask_for_last(wire, b"1.0", b"Connection: keep-alive\r\n")
        else:
            ask_for_last(wire, b"1.1")
        app.last.expect_closed_once()
        assert expect_one_answer(wire).count(b"x") <= count * len(PIECE)
    app.expect_over()


@pytest.mark.slow
@pytest.mark.parametrize("end", ["raise", "short"])
def test_nothing_is_written_behind_an_aborted_answer(
    serve: ServeFixture, engine: str, end: str
) -> None:
    app = LastAnswer(engine, end)
    with serve(app).connect(receive_buffer=SMALL_BUFFER) as wire:
        ask_for_last(wire, b"1.1")
        app.expect_next_answered()
        body = expect_one_answer(wire)
        assert not body.endswith(b"0\r\n\r\n"), "it must not look whole"
        assert body.count(b"x") <= PIECES * len(PIECE)
    app.expect_over()


@pytest.mark.slow
def test_nothing_is_written_behind_an_answer_that_ends_by_closing(
    serve: ServeFixture, engine: str
) -> None:
    """An HTTP/1.0 client asks to keep the connection, and the answer's length is not known."""
    app = LastAnswer(engine, "close")
    with serve(app).connect(receive_buffer=SMALL_BUFFER) as wire:
        ask_for_last(wire, b"1.0", b"Connection: keep-alive\r\n")
        assert expect_one_answer(wire) == PIECE * PIECES
    app.expect_over()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("version", "fields"),
    [(b"1.0", b""), (b"1.1", b"Connection: close\r\n")],
    ids=["HTTP/1.0", "Connection: close"],
)
@pytest.mark.parametrize("known", [True, False], ids=["length", "no length"])
def test_nothing_is_served_behind_a_request_that_is_the_last(
    serve: ServeFixture, version: bytes, fields: bytes, known: bool
) -> None:
    called: list[str] = []

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        called.append(environ["PATH_INFO"])
        pieces = [PIECE] * PIECES
        return answering(pieces if known else iter(pieces))(environ, start_response)

    with serve(app).connect(receive_buffer=SMALL_BUFFER) as wire:
        ask_for_last(wire, version, fields)
        body = expect_one_answer(wire)
        assert body.count(b"x") == PIECES * len(PIECE)
        assert known or version == b"1.0" or body.endswith(b"0\r\n\r\n")
    assert called == ["/last"]


def pipelined_site(serve: ServeFixture, last: App) -> Site:
    return serve(Routes(last=last, next=answering([b"next answer"])))


def test_nothing_is_written_behind_an_answer_aborted_at_once(serve: ServeFixture) -> None:
    """The head alone is out; short answers leave together, in one system call."""
    short = answering([b"half"], headers=[("Content-Length", "8")])
    site = pipelined_site(serve, short)
    for _ in range(50):
        with site.connect() as wire:
            ask_for_last(wire, b"1.1")
            assert expect_one_answer(wire) == b"half"


def test_reset_in_the_middle_of_pipelined_answers_is_harmless(serve: ServeFixture) -> None:
    site = pipelined_site(serve, answering([PIECE] * 8))
    for _ in range(30):
        wire = site.connect(receive_buffer=SMALL_BUFFER)
        ask_for_last(wire, b"1.1")
        wire.reply().exactly(1)
        wire.reset()
    assert site.ask("/next").body == b"next answer"
