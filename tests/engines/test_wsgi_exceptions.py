"""An app's exception: a plain 500 where nothing was sent yet, else a visibly cut answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.apps import PLAIN, Environ, Gate, StartResponse, answering, hello
from harness.wire import Truncated, Wire

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from harness.logwatch import LogWatch
    from harness.site import ServeFixture


def raising(error: BaseException) -> object:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/fine":
            return hello(environ, start_response)
        raise error

    return app


def expect_in_step(wire: Wire, closes: bool) -> None:
    """After an error the connection ends as announced, or goes on with the next answer."""
    if closes:
        wire.expect_closed()
    else:
        assert wire.ask("/fine").body == b"hello"


def test_exception_gives_a_plain_page_and_a_logged_traceback(
    serve: ServeFixture, error_log: LogWatch
) -> None:
    with serve(raising(KeyError("secret detail"))).connect() as wire:
        wire.get("/broken?page=1")
        response = wire.response()
        assert response.status == 500
        assert (response.get("Content-Type") or "").startswith("text/")
        assert b"secret detail" not in response.body, "internals are for the log alone"
        assert b"Traceback" not in response.body
        expect_in_step(wire, response.closes)
    record = error_log.wait_for("Traceback", "secret detail")
    assert "GET /broken?page=1" in record


def test_traceback_names_the_app_and_not_only_the_server(
    serve: ServeFixture, error_log: LogWatch
) -> None:
    assert serve(raising(RuntimeError("find me"))).ask().status == 500
    assert "test_wsgi_exceptions.py" in error_log.wait_for("find me")


def test_chained_exceptions_are_logged_whole(serve: ServeFixture, error_log: LogWatch) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        try:
            raise ValueError("the cause")
        except ValueError as error:
            raise RuntimeError("the effect") from error

    assert serve(app).ask().status == 500
    assert "the cause" in error_log.wait_for("the effect")


@pytest.mark.parametrize(
    "error",
    [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), BaseException("base")],
    ids=lambda error: type(error).__name__,
)
def test_exceptions_that_end_programs_end_only_the_request(
    serve: ServeFixture, error: BaseException
) -> None:
    site = serve(raising(error), threads=1)
    assert site.ask().status == 500
    assert site.ask("/fine").body == b"hello", "the only worker should still be there"


def test_post_whose_app_raised_unread_keeps_the_connection_in_step(serve: ServeFixture) -> None:
    with serve(raising(RuntimeError("unread"))).connect() as wire:
        wire.post("/", b"x" * 5000)
        response = wire.response()
        assert response.status == 500
        expect_in_step(wire, response.closes)


def test_exception_after_start_response_but_before_body_gives_500(serve: ServeFixture) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [*PLAIN, ("X-Never", "seen"), ("Set-Cookie", "a=b")])
        raise RuntimeError("late")

    response = serve(app).ask()
    assert response.status == 500
    assert response.get("X-Never") is None
    assert response.get("Set-Cookie") is None


def test_exception_from_the_first_next_gives_500(serve: ServeFixture) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", PLAIN)
        raise RuntimeError("at once")
        yield b""

    assert serve(app).ask().status == 500


@pytest.mark.no_http2("it has no chunks")
def test_exception_midway_leaves_chunked_framing_unfinished(
    serve: ServeFixture, error_log: LogWatch
) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", PLAIN)
        yield b"half "
        raise RuntimeError("midway")

    with serve(app).connect() as wire:
        wire.get("/halfway")
        raw = wire.read_to_end()
    assert raw.startswith(b"HTTP/1.1 200 ")
    assert b"half " in raw
    assert b"\r\n0\r\n" not in raw, "the final chunk would present the half as whole"
    error_log.wait_for("midway", "GET /halfway")


def test_exception_midway_in_a_declared_length_cuts_the_answer(serve: ServeFixture) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", [*PLAIN, ("Content-Length", "10")])
        yield b"half "
        raise RuntimeError("midway")

    with serve(app).connect() as wire:
        wire.get()
        with pytest.raises(Truncated) as caught:
            wire.response()
    assert caught.value.partial is not None
    assert caught.value.partial.body in (b"", b"half ")


@pytest.mark.no_http2("it has one version")
def test_exception_midway_for_http_1_0_is_a_reset_or_an_end(serve: ServeFixture) -> None:
    """HTTP/1.0 without a length cannot tell; nothing may be appended to the half at least."""

    def app(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", PLAIN)
        yield b"half "
        raise RuntimeError("midway")

    with serve(app).connect() as wire:
        wire.get(version="1.0")
        assert wire.read_to_end().partition(b"\r\n\r\n")[2] in (b"", b"half ")


@pytest.mark.parametrize(("method", "body"), [("GET", b"whole"), ("HEAD", b"")])
def test_exception_after_the_whole_declared_length_does_not_harm_the_answer(
    serve: ServeFixture, error_log: LogWatch, method: str, body: bytes
) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [*PLAIN, ("Content-Length", "5")])(b"whole")
        raise RuntimeError("afterwards")

    with serve(app).connect() as wire:
        for _ in range(2):
            assert wire.ask(method=method).body == body
    error_log.wait_for("afterwards")


def test_exception_after_write_cuts_the_answer(serve: ServeFixture) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", PLAIN)(b"written")
        raise RuntimeError("after write")

    with serve(app).connect() as wire:
        wire.get()
        with pytest.raises(Truncated):
            wire.response()


@pytest.mark.no_http2("streams are not pipelined")
def test_pipelined_request_behind_a_cut_answer_is_not_answered_in_its_body(
    serve: ServeFixture,
) -> None:
    def broken() -> Iterator[bytes]:
        yield b"half"
        raise RuntimeError("midway")

    with serve(answering(broken())).connect() as wire:
        wire.get()
        wire.get()
        raw = wire.read_to_end()
    assert raw.count(b"HTTP/1.1") == 1


def test_other_requests_go_on_while_one_fails(serve: ServeFixture) -> None:
    gate = Gate()

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/fine":
            gate.pass_through()
            return hello(environ, start_response)
        raise RuntimeError("other")

    site = serve(app, threads=2)
    with site.connect() as wire:
        wire.get("/fine")
        gate.wait_entered()
        assert site.ask("/broken").status == 500
        gate.opened.set()
        assert wire.response().body == b"hello"
