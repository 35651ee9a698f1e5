"""Clients that read slowly or not at all: no worker is held, memory is bounded, time is too."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from harness.apps import PLAIN, Closable, Environ, Gate, Routes, StartResponse, answering, hello

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from harness.site import ServeFixture

SMALL_BUFFER = 4096
PIECE = b"x" * 65536


def endless(count: list[int]) -> Iterator[bytes]:
    while True:
        count[0] += 1
        yield PIECE


@pytest.mark.parametrize(
    "body",
    [[b"x" * 900_000], [b"x" * 9000] * 100],
    ids=["one chunk", "many chunks"],
)
def test_slow_reader_of_an_answer_below_high_water_holds_no_worker(
    serve: ServeFixture, body: list[bytes]
) -> None:
    site = serve(Routes(big=answering(body), hello=hello), threads=1)
    with site.connect(receive_buffer=SMALL_BUFFER) as slow:
        slow.get("/big")
        assert slow.reply().head().status == 200
        for _ in range(3):
            assert site.ask("/hello").body == b"hello"


def test_higher_high_water_frees_the_worker_of_a_larger_answer(serve: ServeFixture) -> None:
    big = answering([PIECE] * 200)
    site = serve(Routes(big=big, hello=hello), threads=1, write_high_water=32 << 20)
    with site.connect(receive_buffer=SMALL_BUFFER) as slow:
        slow.get("/big")
        reply = slow.reply()
        assert reply.head().status == 200
        assert site.ask("/hello").body == b"hello"
        assert reply.rest().body == PIECE * 200


def test_many_slow_readers_hold_no_worker(serve: ServeFixture) -> None:
    site = serve(Routes(big=answering([b"x" * 900_000]), hello=hello), threads=1)
    readers = [site.connect(receive_buffer=SMALL_BUFFER) for _ in range(20)]
    for reader in readers:
        reader.get("/big")
    assert site.ask("/hello").body == b"hello"
    for reader in readers:
        assert len(reader.response().body) == 900_000


def test_endless_answer_is_produced_no_faster_than_it_is_read(serve: ServeFixture) -> None:
    count = [0]
    site = serve(answering(endless(count)), threads=2)
    with site.connect(receive_buffer=SMALL_BUFFER) as wire:
        wire.get()
        assert wire.reply().head().status == 200
        deadline, before = time.monotonic() + 10, -1
        while before != count[0]:  # until the app has stood still for a while
            assert time.monotonic() < deadline, "the app never stopped producing"
            before = count[0]
            time.sleep(0.3)
        assert count[0] * len(PIECE) < 16 << 20
        wire.reset()


def test_reader_that_stands_still_too_long_is_dropped(serve: ServeFixture) -> None:
    body = Closable(endless([0]))
    site = serve(answering(body), write_timeout=0.5)
    with site.connect(receive_buffer=SMALL_BUFFER) as wire:
        wire.get()
        body.expect_closed_once()


def test_reader_that_goes_on_reading_is_not_dropped(serve: ServeFixture) -> None:
    """An idle limit, not one of the whole answer's time."""
    site = serve(answering([PIECE] * 60), write_timeout=0.6)
    with site.connect(receive_buffer=SMALL_BUFFER) as wire:
        wire.get()
        reply = wire.reply()
        started = time.monotonic()
        while time.monotonic() - started < 1.5:
            assert reply.data(), "ended before the test began to hurry"
            time.sleep(0.01)
        assert len(reply.rest().body) == 60 * len(PIECE)


def test_minimal_rate_does_not_shorten_the_write_timeout(serve: ServeFixture) -> None:
    """Readers in bites, too small for the socket to be writable again for a while."""
    site = serve(answering([PIECE] * 200), threads=4, write_timeout=1.2, min_rate_window=0.4)
    readers = [site.connect(receive_buffer=32768) for _ in range(4)]
    for reader in readers:
        reader.get()
    replies = [reader.reply() for reader in readers]
    for phase, reply in enumerate(replies):
        time.sleep(0.05 * phase)
        reply.exactly(1_500_000)
    started = time.monotonic()
    while time.monotonic() - started < 2.5:
        for reply in replies:
            reply.exactly(30_000)
        time.sleep(0.16)
    for reader in readers:
        reader.reset()


@pytest.mark.no_tls("the end of a chunk is a record of its own")
@pytest.mark.parametrize("declared", [True, False], ids=["length", "chunked"])
@pytest.mark.parametrize("size", [1 << 20, (1 << 20) + 1, 5 << 20])
def test_app_that_pauses_in_its_answer_is_no_slow_reader(
    serve: ServeFixture, size: int, declared: bool
) -> None:
    """write_timeout is the client's: it has read all there is, so nothing is due from it."""
    gate = Gate()
    lengths = [("Content-Length", str(size + 4))] if declared else []

    def app(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", [*PLAIN, *lengths])
        yield b"x" * size
        gate.pass_through()
        yield b"rest"

    with serve(app, write_timeout=0.15).connect() as wire:
        wire.get()
        reply = wire.reply()
        reply.exactly(size)
        assert wire.is_silent(0.6), "closed while there was nothing to write"
        gate.opened.set()
        assert reply.rest().body == b"x" * size + b"rest"
        assert wire.ask().body.endswith(b"rest"), "the connection should go on"


def test_departed_reader_wakes_a_blocked_write_with_an_error(serve: ServeFixture) -> None:
    raised: list[BaseException] = []
    gate = Gate()

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        write = start_response("200 OK", PLAIN)
        try:
            while True:
                write(PIECE)
        except Exception as error:
            raised.append(error)
            raise
        finally:
            gate.entered.set()

    with serve(app).connect(receive_buffer=SMALL_BUFFER) as wire:
        wire.get()
        wire.reply().head()
        wire.reset()
        gate.wait_entered()
    assert isinstance(raised[0], OSError), raised
    assert str(raised[0]), "the error should say what happened"


def test_worker_is_free_again_after_its_reader_left(serve: ServeFixture) -> None:
    body = Closable(endless([0]))
    site = serve(Routes(endless=answering(body), hello=hello), threads=1)
    with site.connect(receive_buffer=SMALL_BUFFER) as wire:
        wire.get("/endless")
        wire.reply().head()
        wire.reset()
    assert site.ask("/hello").body == b"hello"
    body.expect_closed_once()


def test_slow_reader_of_a_file_is_dropped_and_the_file_closed(
    serve: ServeFixture, tmp_path: Path
) -> None:
    sparse = tmp_path / "sparse"
    with sparse.open("wb") as file:
        file.truncate(1 << 28)
    watch = Closable([])

    class Wrapped:
        def __init__(self, inner: Iterable[bytes]) -> None:
            self.inner = inner

        def __iter__(self) -> Iterator[bytes]:
            return iter(self.inner)

        def close(self) -> None:
            self.inner.close()  # type: ignore[attr-defined]
            watch.close()

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", PLAIN)
        return Wrapped(environ["wsgi.file_wrapper"](sparse.open("rb")))

    site = serve(app, write_timeout=0.5)
    with site.connect(receive_buffer=SMALL_BUFFER) as wire:
        wire.get()
        watch.expect_closed_once()
