"""wsgi.input and write() in threads that the application started itself."""

from __future__ import annotations

import threading
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, Any

import pytest

from harness.apps import PLAIN, Environ, Gate, StartResponse, hello
from harness.wire import Truncated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from harness.apps import App
    from harness.site import ServeFixture

PIECE = b"x" * 65536
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n"
STREAMED = {"body_buffer": 4}


class Outcome:
    """A call made on a thread of its own: what it returned or raised, once it has."""

    def __init__(self, call: Callable[[], object]) -> None:
        self.value: object = None
        self.error: Exception | None = None
        self._call = call
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.value = self._call()
        except (OSError, ValueError, RuntimeError) as error:
            self.error = error

    def wait(self, timeout: float = 5) -> Outcome:
        self._thread.join(timeout)
        assert not self._thread.is_alive(), "the thread is blocked"
        return self

    def wait_error(self) -> Exception:
        self.wait()
        assert self.error is not None, f"it returned {self.value!r}"
        return self.error


def for_posts(app: App) -> App:
    def routed(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        return (app if environ["REQUEST_METHOD"] == "POST" else hello)(environ, start_response)

    return routed


# ---- wsgi.input


@pytest.mark.parametrize("method", ["read", "readline", "readlines"])
def test_body_is_read_by_a_thread_of_the_app(serve: ServeFixture, method: str) -> None:
    gate = Gate()

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        reader = Outcome(getattr(environ["wsgi.input"], method))
        gate.entered.set()
        value = reader.wait().value
        start_response("200 OK", PLAIN)
        assert isinstance(value, (bytes, list))
        return [value] if isinstance(value, bytes) else value

    with serve(app, threads=1, **STREAMED).connect() as wire:
        for _ in range(10):
            gate.entered.clear()
            wire.send(POST + b"12345")
            gate.wait_entered()
            wire.send(b"67890")
            assert wire.response().body == b"1234567890"


def test_client_that_leaves_wakes_a_reading_thread(serve: ServeFixture) -> None:
    gate = Gate()
    readers: list[Outcome] = []

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        readers.append(Outcome(environ["wsgi.input"].read))
        gate.entered.set()
        readers[0].wait()
        start_response("200 OK", PLAIN)
        return [b"nobody is there"]

    site = serve(for_posts(app), threads=1, **STREAMED)
    with site.connect() as wire:
        wire.send(POST + b"12345")
        gate.wait_entered()
        wire.reset()
    assert site.ask().body == b"hello"
    assert isinstance(readers[0].wait_error(), ConnectionAbortedError)


def answer(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", PLAIN)
    return [b"answered"]


def fail_midway(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    start_response("200 OK", PLAIN)
    yield b"answered"
    raise RuntimeError("midway")


def fail_at_once(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    raise RuntimeError("at once")


@pytest.mark.parametrize("end", [answer, fail_midway, fail_at_once])
@pytest.mark.parametrize("method", ["read", "readline", "readlines"])
def test_reading_thread_does_not_outwait_the_answer(
    serve: ServeFixture, end: App, method: str
) -> None:
    """The rest of the body is thrown away, so that nothing more can come."""
    readers: list[Outcome] = []
    begun = threading.Event()

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        stream = environ["wsgi.input"]
        stream.read(5)

        def read() -> Any:
            begun.set()
            return getattr(stream, method)()

        readers.append(Outcome(read))
        assert begun.wait(5)
        return end(environ, start_response)

    site = serve(for_posts(app), **STREAMED)
    with site.connect() as wire:
        wire.send(POST + b"12345")
        assert wire.reply().head().status in (200, 500)
        assert isinstance(readers[0].wait_error(), (ValueError, ConnectionAbortedError))
    assert site.ask().body == b"hello"


def test_reading_after_the_answer_raises_in_any_thread(serve: ServeFixture) -> None:
    streams: list[Any] = []

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        streams.append(environ["wsgi.input"])
        return answer(environ, start_response)

    site = serve(for_posts(app), threads=1, **STREAMED)
    with site.connect() as wire:
        wire.send(POST + b"12345")
        assert wire.reply().head().status == 200
        assert site.ask().body == b"hello"  # so that the one worker is through with the first
        error = Outcome(streams[0].read).wait_error()
    assert isinstance(error, ValueError)
    assert "answered" in str(error)


def test_close_that_reads_the_body_after_the_answer_does_not_hang(serve: ServeFixture) -> None:
    """On the worker itself: the client waits for the answer to its half of a body and has it."""
    received = threading.Event()
    outcomes: list[object] = []

    class Answer:
        def __init__(self, stream: Any) -> None:
            self.stream = stream

        def __iter__(self) -> Iterator[bytes]:
            return iter([b"answered"])

        def close(self) -> None:
            assert received.wait(5)
            try:
                outcomes.append(self.stream.read())
            except ConnectionAbortedError as error:
                outcomes.append(error)

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [*PLAIN, ("Content-Length", "8")])
        return Answer(environ["wsgi.input"])

    site = serve(for_posts(app), threads=1, **STREAMED)
    with site.connect() as wire:
        wire.send(POST + b"12345")
        assert wire.response().body == b"answered"
        received.set()
        assert site.ask().body == b"hello"
    assert len(outcomes) == 1


# ---- write()


def test_answer_is_written_by_a_thread_of_the_app(serve: ServeFixture) -> None:
    """More than write_high_water, so that the thread waits for the client as a worker does."""

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        write = start_response("200 OK", PLAIN)

        def write_all() -> None:
            for _ in range(50):
                write(PIECE)

        writer = Outcome(write_all).wait(10)
        assert writer.error is None
        return [b"end"]

    site = serve(app, threads=1, write_high_water=65536)
    for _ in range(5):
        assert site.ask().body == PIECE * 50 + b"end"


def test_worker_and_thread_write_at_once(serve: ServeFixture) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        write = start_response("200 OK", PLAIN)

        def write_all() -> None:
            for _ in range(50):
                write(b"t" * 10_000)

        writer = Outcome(write_all)
        for _ in range(50):
            yield b"w" * 10_000
        assert writer.wait(10).error is None

    body = serve(app, write_high_water=20_000).ask().body
    assert sorted(body[at : at + 10_000] for at in range(0, len(body), 10_000)) == [
        *[b"t" * 10_000] * 50,
        *[b"w" * 10_000] * 50,
    ]


class EndlessWriter:
    """An app whose thread writes until that raises; `end` is what the worker does meanwhile."""

    def __init__(self, end: Callable[[EndlessWriter], Iterable[bytes]]) -> None:
        self.end = end
        self.writer: Outcome | None = None
        self.written = threading.Event()
        self.running = threading.Event()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        write = start_response("200 OK", PLAIN)

        def write_on() -> None:
            while True:
                write(PIECE)
                self.written.set()

        self.writer = Outcome(write_on)
        self.running.set()
        assert self.written.wait(5)
        return self.end(self)

    def wait_error(self) -> Exception:
        assert self.running.wait(5), "the app was never called"
        assert self.writer is not None
        return self.writer.wait_error()


def wait_for_writer(app: EndlessWriter) -> Iterable[bytes]:
    app.wait_error()
    return [b"nobody is there"]


def test_client_that_leaves_wakes_a_writing_thread(serve: ServeFixture) -> None:
    app = EndlessWriter(wait_for_writer)
    site = serve(for_posts(app), threads=1)
    with site.connect(receive_buffer=4096) as wire:
        wire.post("/", b"")
        wire.reply().exactly(1)
        wire.reset()
    assert site.ask().body == b"hello"
    assert isinstance(app.wait_error(), ConnectionAbortedError)


def returns(app: EndlessWriter) -> Iterable[bytes]:
    return [b"the last of it"]


def raises(app: EndlessWriter) -> Iterable[bytes]:
    raise RuntimeError("midway")


@pytest.mark.parametrize("end", [returns, raises])
@pytest.mark.parametrize("leaves", [True, False], ids=["client leaves", "client reads"])
def test_writing_thread_does_not_outlive_the_answer(
    serve: ServeFixture, end: Callable[[EndlessWriter], Iterable[bytes]], leaves: bool
) -> None:
    app = EndlessWriter(end)
    site = serve(for_posts(app))
    with site.connect(receive_buffer=4096 if leaves else 1 << 20) as wire:
        wire.post("/", b"")
        reply = wire.reply()
        assert reply.head().status == 200
        if leaves:
            wire.reset()
        else:
            with suppress(Truncated) if end is raises else nullcontext():
                reply.rest()
        error = app.wait_error()
    assert isinstance(error, (ValueError, ConnectionAbortedError)), error
    assert str(error), "the error should say what happened"
    assert site.ask().body == b"hello"


@pytest.mark.parametrize("in_thread", [True, False], ids=["thread", "test"])
def test_write_after_the_answer_raises_a_clear_error(serve: ServeFixture, in_thread: bool) -> None:
    writes: list[Any] = []

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        writes.append(start_response("200 OK", PLAIN))
        return [b"whole"]

    site = serve(app, threads=1)
    with site.connect() as wire:
        assert wire.ask().body == b"whole"
        assert wire.ask().body == b"whole"  # the worker is through with the first
        stale = writes[0]
        if in_thread:
            error = Outcome(lambda: stale(b"more")).wait_error()
        else:
            with pytest.raises(ValueError, match="write") as caught:
                stale(b"more")
            error = caught.value
        assert isinstance(error, ValueError)
        assert "after the application returned" in str(error)
        assert wire.is_silent(0.05), "it leaked into the connection"
        assert wire.ask().body == b"whole"


def test_write_in_close_raises_a_clear_error(serve: ServeFixture) -> None:
    """The body is over then, though the application's call is not."""
    errors: list[Exception] = []
    closed = threading.Event()

    class Answer:
        def __init__(self, write: Any) -> None:
            self.write = write

        def __iter__(self) -> Iterator[bytes]:
            return iter([b"who", b"le"])

        def close(self) -> None:
            for write in (self.write, lambda more: Outcome(lambda: self.write(more)).wait_error()):
                try:
                    result = write(b"more")
                except ValueError as error:
                    result = error
                if isinstance(result, Exception):
                    errors.append(result)
            closed.set()

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        return Answer(start_response("200 OK", PLAIN))

    with serve(app).connect() as wire:
        assert wire.ask().body == b"whole"
        assert closed.wait(5)
        assert [type(error) for error in errors] == [ValueError, ValueError]
        assert "end of the body" in str(errors[0])
        assert wire.is_silent(0.05)
