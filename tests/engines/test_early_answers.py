"""Apps that answer before they have read the body: what a later bad body or 100 does to that."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from harness.apps import PLAIN, Closable, Environ, Gate, StartResponse, hello
from harness.waiting import eventually
from harness.wire import Truncated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from harness.apps import App
    from harness.logwatch import LogWatch
    from harness.site import ServeFixture

EXPECTING = b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
CHUNKED = EXPECTING + b"Transfer-Encoding: chunked\r\n\r\n"
BAD_CHUNK = b"zz\r\nhello\r\n"


def echoing(gate: Gate, raised: list[BaseException], go_on: Callable[[Any, Any], object]) -> App:
    """Answers while it reads; behind the gate `go_on(input, write)` is to find the end."""

    def app(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        stream = environ["wsgi.input"]
        first = stream.read(5)
        write = start_response("200 OK", PLAIN)
        yield first
        gate.pass_through()
        try:
            go_on(stream, write)
            yield b"not reached"
        except Exception as error:
            raised.append(error)
            raise

    return app


def read(stream: Any, write: Any) -> None:
    stream.read()


def write_on(stream: Any, write: Any) -> None:
    write(b"more")


@pytest.mark.no_http2("it has no chunks")
@pytest.mark.parametrize("go_on", [read, write_on])
def test_bad_chunk_cuts_the_answer_that_has_begun(
    serve: ServeFixture, go_on: Callable[[Any, Any], object]
) -> None:
    gate = Gate()
    raised: list[BaseException] = []
    bad = echoing(gate, raised, go_on)

    def app(environ: Environ, start_response: StartResponse) -> Any:
        return (bad if environ["REQUEST_METHOD"] == "POST" else hello)(environ, start_response)

    site = serve(app, io_threads=1, chunked_body="stream")
    with site.connect() as wire:
        wire.send(CHUNKED)
        reply = wire.reply("POST")
        assert reply.continued() == 100
        wire.send(b"5\r\nfirst\r\n")
        assert reply.exactly(5) == b"first"
        wire.send(BAD_CHUNK)
        with pytest.raises((Truncated, ConnectionResetError)):
            reply.rest()
        # The connection is gone; its memory may be the next one's by the time the app goes on.
        others = [site.connect() for _ in range(8)]
        gate.opened.set()
        for other in others * 3:
            assert other.ask().body == b"hello"
    assert site.ask().body == b"hello"
    # Its worker may not have had a core since.
    assert eventually(lambda: raised)
    assert len(raised) == 1, raised
    assert isinstance(raised[0], ConnectionAbortedError)
    assert "malformed" in str(raised[0])


@pytest.mark.no_http2("it has no chunks")
def test_bad_chunk_at_any_moment_of_an_answer_is_harmless(
    serve: ServeFixture, error_log: LogWatch
) -> None:
    """The app writes all the while, so that its output and the end of its connection meet."""
    ended = threading.Semaphore(0)

    def app(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        if environ["REQUEST_METHOD"] == "GET":
            yield from hello(environ, start_response)
            return
        start_response("200 OK", PLAIN)
        try:
            while True:
                yield b"piece"
        finally:
            ended.release()

    site = serve(app, chunked_body="stream")
    for _ in range(100):
        with site.connect() as wire:
            wire.send(CHUNKED)
            wire.reply().exactly(1)
            wire.send(BAD_CHUNK)
            wire.read_to_end()
            assert ended.acquire(timeout=5), "the app was never told"
    assert site.ask().body == b"hello"
    assert "ERROR" not in error_log.text


@pytest.mark.no_http2("it has no chunks")
def test_bad_chunk_behind_a_whole_answer_that_is_not_read_yet(serve: ServeFixture) -> None:
    body = Closable([b"x" * 65536] * 300)

    def app(environ: Environ, start_response: StartResponse) -> Any:
        if environ["REQUEST_METHOD"] == "GET":
            return hello(environ, start_response)
        start_response("200 OK", PLAIN)
        return body

    site = serve(app, write_high_water=64 << 20, chunked_body="stream")
    with site.connect(receive_buffer=4096) as wire:
        wire.send(CHUNKED)
        wire.reply().exactly(1)
        body.expect_closed_once()
        wire.send(BAD_CHUNK)
        assert not wire.read_to_end().endswith(b"0\r\n\r\n"), "it must not look whole"
    assert site.ask().body == b"hello"


@pytest.mark.no_http2("it has no chunks")
def test_bad_chunk_before_the_answer_is_refused_whatever_the_app_does_then(
    serve: ServeFixture,
) -> None:
    gate = Gate()
    raised: list[BaseException] = []

    def app(environ: Environ, start_response: StartResponse) -> Any:
        if environ["REQUEST_METHOD"] == "GET":
            return hello(environ, start_response)
        try:
            environ["wsgi.input"].read()
        except ConnectionAbortedError as error:
            raised.append(error)
        gate.pass_through()
        start_response("200 OK", PLAIN)
        return [b"too late"]

    site = serve(app, threads=2, chunked_body="stream")
    with site.connect() as wire:
        wire.send(CHUNKED)
        reply = wire.reply("POST")
        assert reply.continued() == 100
        wire.send(BAD_CHUNK)
        assert reply.rest().status == 400
        wire.expect_closed()
    gate.wait_entered()
    gate.opened.set()
    for _ in range(3):
        assert site.ask().body == b"hello"
    assert len(raised) == 1, raised


@pytest.mark.parametrize("framing", ["Content-Length: 5", "Transfer-Encoding: chunked"])
def test_no_continue_after_the_head_of_the_answer(serve: ServeFixture, framing: str) -> None:
    """RFC 9110 section 15.2: an interim answer comes before the final one."""
    gate = Gate()
    read: list[bytes] = []

    def app(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", PLAIN)
        yield b"answer first, "
        gate.pass_through()
        read.append(environ["wsgi.input"].read(5))
        yield b"then the body: "
        yield read[0]

    body = b"hello" if "Length" in framing else b"5\r\nhello\r\n0\r\n\r\n"
    with serve(app, chunked_body="stream").connect() as wire:
        wire.send(EXPECTING + framing.encode() + b"\r\n\r\n")
        reply = wire.reply("POST")
        reply.exactly(14)
        assert reply.head().informational == []
        gate.opened.set()
        assert wire.is_silent(0.1), "the app waits for the body, and the client was told nothing"
        wire.send(body)
        assert reply.rest().body == b"answer first, then the body: hello"
        wire.expect_over()
    assert read == [b"hello"]


def test_continue_never_follows_the_head_however_close_they_are(serve: ServeFixture) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", PLAIN)
        yield b"at once, "
        yield environ["wsgi.input"].read()

    site = serve(app, chunked_body="stream")
    for _ in range(200):
        with site.connect() as wire:
            wire.send(EXPECTING + b"Content-Length: 5\r\n\r\n")
            reply = wire.reply("POST")
            reply.head()  # with or without a 100 before it
            wire.send(b"hello")
            assert reply.rest().body == b"at once, hello"
