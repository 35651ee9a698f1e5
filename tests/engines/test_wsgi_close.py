"""close() of the app's iterable is called exactly once, whatever happened to the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.apps import PLAIN, Closable, Environ, Gate, StartResponse, answering
from harness.wire import Truncated

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.logwatch import LogWatch
    from harness.site import ServeFixture


def endless(piece: bytes = b"x" * 65536) -> Iterator[bytes]:
    while True:
        yield piece


def test_closed_once_after_a_whole_answer(serve: ServeFixture) -> None:
    body = Closable([b"a", b"b"])
    assert serve(answering(body)).ask().body == b"ab"
    body.expect_closed_once()


def test_closed_after_an_empty_answer(serve: ServeFixture) -> None:
    body = Closable([])
    assert serve(answering(body)).ask().body == b""
    body.expect_closed_once()


def test_closed_for_head(serve: ServeFixture) -> None:
    body = Closable([b"a", b"b"])
    assert serve(answering(body)).ask(method="HEAD").body == b""
    body.expect_closed_once()


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_closed_for_statuses_without_body(serve: ServeFixture, status: str) -> None:
    body = Closable([])
    assert serve(answering(body, status)).ask().body == b""
    body.expect_closed_once()


def test_closed_when_iterating_raised(serve: ServeFixture) -> None:
    def broken() -> Iterator[bytes]:
        raise RuntimeError("broken")
        yield b""

    body = Closable(broken())
    assert serve(answering(body)).ask().status == 500
    body.expect_closed_once()


def test_closed_when_iterating_raised_midway(serve: ServeFixture) -> None:
    def broken() -> Iterator[bytes]:
        yield b"some"
        raise RuntimeError("broken")

    body = Closable(broken())
    with serve(answering(body)).connect() as wire:
        wire.get()
        with pytest.raises(Truncated):
            wire.response()
    body.expect_closed_once()


def test_closed_when_start_response_was_never_called(serve: ServeFixture) -> None:
    body = Closable([b"x"])
    assert serve(lambda environ, start_response: body).ask().status == 500
    body.expect_closed_once()


def test_closed_when_a_chunk_has_the_wrong_type(serve: ServeFixture) -> None:
    body = Closable(["text"])  # type: ignore[list-item]
    assert serve(answering(body)).ask().status == 500
    body.expect_closed_once()


def test_closed_when_the_body_is_longer_than_declared(serve: ServeFixture) -> None:
    body = Closable([b"12345", b"67890"])
    response = serve(answering(body, headers=[("Content-Length", "7")])).ask()
    assert response.body == b"1234567"
    body.expect_closed_once()


def test_closed_when_the_client_left_midway(serve: ServeFixture) -> None:
    body = Closable(endless())
    with serve(answering(body)).connect() as wire:
        wire.get()
        wire.reply().exactly(1)
        wire.reset()
    body.expect_closed_once()


def test_closed_when_the_client_left_before_the_answer_began(serve: ServeFixture) -> None:
    gate = Gate()
    body = Closable(endless())

    def app(environ: Environ, start_response: StartResponse) -> Closable:
        gate.pass_through()
        start_response("200 OK", PLAIN)
        return body

    with serve(app).connect() as wire:
        wire.get()
        gate.wait_entered()
        wire.reset()
    gate.opened.set()
    body.expect_closed_once()


def test_generator_sees_generator_exit_when_the_client_left(serve: ServeFixture) -> None:
    gate = Gate()

    def app(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", PLAIN)
        try:
            yield from endless()
        finally:
            gate.entered.set()

    with serve(app).connect() as wire:
        wire.get()
        wire.reply().exactly(1)
        wire.reset()
    gate.wait_entered()


def test_error_in_close_is_logged_and_the_answer_stands(
    serve: ServeFixture, error_log: LogWatch
) -> None:
    class Failing(Closable):
        def close(self) -> None:
            super().close()
            raise RuntimeError("close failed")

    body = Failing([b"fine"])
    site = serve(answering(body))
    with site.connect() as wire:
        wire.get("/closing", "Connection: close")
        # The body is complete by its own framing or visibly cut; a guess is all that is refused.
        assert wire.response().body == b"fine"
    body.expect_closed_once()
    error_log.wait_for("close failed")
    assert site.ask().status in (200, 500), "the worker should survive"


def test_iterable_without_close_is_fine(serve: ServeFixture) -> None:
    assert serve(answering(iter([b"x"]))).ask().body == b"x"


def test_close_runs_before_the_worker_takes_another_request(serve: ServeFixture) -> None:
    """With one thread, the second request can only see the first one's close() done."""
    order: list[str] = []

    class Noting(Closable):
        def close(self) -> None:
            order.append("close")
            super().close()

    def app(environ: Environ, start_response: StartResponse) -> Closable:
        order.append("call")
        start_response("200 OK", PLAIN)
        return Noting([b"x"])

    with serve(app, threads=1).connect() as wire:
        wire.ask()
        wire.ask()
    assert order[:3] == ["call", "close", "call"]
