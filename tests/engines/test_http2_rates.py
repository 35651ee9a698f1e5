"""min_rate on HTTP/2: what counts is what the connection moves, however many streams share it."""

from __future__ import annotations

import select
import time
from typing import TYPE_CHECKING

import pytest

from harness.apps import PLAIN, Environ, StartResponse, answering
from harness.h2wire import H2Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from harness.site import ServeFixture, Site

pytestmark = pytest.mark.no_http2("it speaks HTTP/2 by itself")

WINDOW = 0.3
RATE = 10_000
STREAMS = 20
ENOUGH = 100
"""Of each stream, ten times a second: twice the rate in all, and a tenth of it alone."""
TOO_LITTLE = 5
SIZE = 50_000


def reading(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    body = environ["wsgi.input"].read()
    start_response("200 OK", PLAIN)
    return [b"%d" % len(body)]


@pytest.fixture
def start(serve: ServeFixture) -> Callable[[object], Site]:
    return lambda app: serve(app, http="2", min_rate=RATE, min_rate_window=WINDOW)


def test_frames_about_the_connection_are_no_movement_of_a_request(
    start: Callable[[object], Site],
) -> None:
    """Who is silent, but for a PING now and then, has the other time limits."""
    with H2Wire(start(reading)) as wire:
        stream = wire.start("POST", "/", [("content-length", str(SIZE))], end=False)
        wire.send(stream, bytes(SIZE // 2))
        for _ in range(10):
            time.sleep(WINDOW / 2)
            wire.h2.ping(b"eight 8s")
            wire.flush()
            wire.pump()
        wire.send(stream, bytes(SIZE // 2), end=True)
        assert wire.response(stream).body == b"%d" % SIZE


def take_in(wire: H2Wire) -> None:
    """What has come."""
    while not wire.closed and select.select([wire.socket], [], [], 0)[0]:
        wire.pump()


def over(wire: H2Wire) -> int:
    return sum(response.ended or response.reset is not None for response in wire.responses.values())


def move(wire: H2Wire, seconds: float, step: Callable[[int], None]) -> None:
    """Does so for each stream that is not over, ten times a second."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and over(wire) < STREAMS:
        for stream, response in wire.responses.items():
            if not response.ended and response.reset is None:
                step(stream)
        time.sleep(0.1)
        take_in(wire)


@pytest.mark.no_tls("what is readable may be with TLS already")
def test_uploads_side_by_side_may_each_be_slow(start: Callable[[object], Site]) -> None:
    with H2Wire(start(reading)) as wire:
        head = [("content-length", str(SIZE))]
        streams = [wire.start("POST", "/", head, end=False) for _ in range(STREAMS)]
        sent = dict.fromkeys(streams, 0)

        def step(stream: int) -> None:
            wire.send(stream, bytes(ENOUGH))
            sent[stream] += ENOUGH

        move(wire, 5 * WINDOW, step)
        assert over(wire) == 0
        for stream in streams:
            wire.send(stream, bytes(SIZE - sent[stream]), end=True)
        bodies = [wire.response(stream).body for stream in streams]
        assert bodies == [b"%d" % SIZE] * STREAMS


@pytest.mark.no_tls("what is readable may be with TLS already")
def test_uploads_that_are_too_slow_together_get_408(start: Callable[[object], Site]) -> None:
    with H2Wire(start(reading)) as wire:
        head = [("content-length", str(SIZE))]
        streams = [wire.start("POST", "/", head, end=False) for _ in range(STREAMS)]
        move(wire, 10, lambda stream: wire.send(stream, bytes(TOO_LITTLE)))
        assert [wire.response(stream).status for stream in streams] == [408] * STREAMS


@pytest.mark.no_tls("what is readable may be with TLS already")
def test_answers_side_by_side_may_each_be_slow(start: Callable[[object], Site]) -> None:
    with H2Wire(start(answering([bytes(SIZE)])), window=1000) as wire:
        wire.h2.increment_flow_control_window(STREAMS * SIZE)
        streams = [wire.start("GET", "/") for _ in range(STREAMS)]
        move(wire, 5 * WINDOW, lambda stream: wire.open_window(stream, ENOUGH))
        assert over(wire) == 0
        for stream in streams:
            wire.open_window(stream, SIZE)
            assert len(wire.response(stream).body) == SIZE


@pytest.mark.no_tls("what is readable may be with TLS already")
def test_answers_that_are_taken_too_slowly_together_are_reset(
    start: Callable[[object], Site],
) -> None:
    with H2Wire(start(answering([bytes(SIZE)])), window=1000) as wire:
        wire.h2.increment_flow_control_window(STREAMS * SIZE)
        streams = [wire.start("GET", "/") for _ in range(STREAMS)]
        move(wire, 10, lambda stream: wire.open_window(stream, TOO_LITTLE))
        assert None not in {wire.response(stream).reset for stream in streams}
