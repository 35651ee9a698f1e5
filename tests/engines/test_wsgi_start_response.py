"""start_response() and write() as PEP 3333 sections "The start_response() Callable" and "The
write() Callable" say."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from harness.apps import PLAIN, Environ, Gate, StartResponse, answering
from harness.wire import Truncated

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from harness.logwatch import LogWatch
    from harness.site import ServeFixture


def test_status_reason_and_fields_arrive_as_given(serve: ServeFixture) -> None:
    fields = [("X-One", "1"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("x-lower", "é")]
    response = serve(answering([b"tea"], "418 I'm a teapot", fields)).ask()
    assert response.says("418 I'm a teapot")
    assert response.get("X-One") == "1"
    assert response.all("Set-Cookie") == ["a=1", "b=2"]
    assert response.get("X-Lower") == "é"
    assert response.body == b"tea"


def test_empty_reason_is_allowed(serve: ServeFixture) -> None:
    response = serve(answering([b"x"], "299 ")).ask()
    assert (response.status, response.reason) == (299, "")


def test_start_response_may_be_called_while_iterating(serve: ServeFixture) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        start_response("202 Accepted", PLAIN)
        yield b"late"

    response = serve(app).ask()
    assert (response.status, response.body) == (202, b"late")


def test_headers_wait_for_the_first_nonempty_chunk(serve: ServeFixture) -> None:
    """PEP 3333: headers must not go out before there is body, so the app may change its mind."""

    def app(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", [("X-Try", "first")])
        yield b""
        try:
            raise ValueError("changed my mind")
        except ValueError:
            start_response("503 Service Unavailable", [("X-Try", "second")], sys.exc_info())
        yield b"sorry"

    response = serve(app).ask()
    assert (response.status, response.get("X-Try")) == (503, "second")
    assert response.body == b"sorry"


def test_exc_info_before_headers_are_sent_replaces_them(serve: ServeFixture) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [("X-Try", "first"), ("Content-Length", "999")])
        try:
            raise ValueError("boom")
        except ValueError:
            start_response("500 Oops", [("X-Try", "second")], sys.exc_info())
        return [b"error page"]

    response = serve(app).ask()
    assert response.says("500 Oops")
    assert response.all("X-Try") == ["second"]
    assert response.body == b"error page"


def test_exc_info_after_headers_were_sent_raises_the_original_error(
    serve: ServeFixture, error_log: LogWatch
) -> None:
    caught: list[BaseException] = []
    gate = Gate()

    def app(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", PLAIN)
        yield b"begun"
        gate.pass_through()
        try:
            raise ValueError("too late to tell")
        except ValueError:
            try:
                start_response("500 Oops", PLAIN, sys.exc_info())
            except ValueError as error:
                caught.append(error)
                raise

    with serve(app).connect() as wire:
        wire.get()
        reply = wire.reply()
        assert reply.exactly(5) == b"begun"
        gate.opened.set()
        with pytest.raises(Truncated):
            reply.rest()
    assert [str(error) for error in caught] == ["too late to tell"]
    error_log.wait_for("too late to tell", "GET /")


def test_second_call_without_exc_info_is_an_error(serve: ServeFixture, error_log: LogWatch) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", PLAIN)
        start_response("201 Created", PLAIN)
        return [b"never seen"]

    response = serve(app).ask()
    assert response.status == 500
    assert b"never seen" not in response.body
    error_log.wait_for("start_response")


def test_app_that_never_calls_start_response_gets_500(
    serve: ServeFixture, error_log: LogWatch
) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        return [b"headless"]

    response = serve(app).ask()
    assert response.status == 500
    assert b"headless" not in response.body
    error_log.wait_for("start_response")


def test_empty_answer_without_start_response_gets_500(serve: ServeFixture) -> None:
    assert serve(lambda environ, start_response: []).ask().status == 500


BAD_CALLS = {
    "status of bytes": (b"200 OK", PLAIN),
    "status of int": (200, PLAIN),
    "status without code": ("OK", PLAIN),
    "status of two digits": ("20 OK", PLAIN),
    "status of four digits": ("2000 OK", PLAIN),
    "status code not decimal": ("2x0 OK", PLAIN),
    "status without space": ("200OK", PLAIN),
    "status empty": ("", PLAIN),
    "headers None": ("200 OK", None),
    "headers of strings": ("200 OK", ["X-A: b"]),
    "headers of triples": ("200 OK", [("X-A", "b", "c")]),
    "name of bytes": ("200 OK", [(b"X-A", "b")]),
    "value of bytes": ("200 OK", [("X-A", b"b")]),
    "value of int": ("200 OK", [("Content-Length", 1)]),
    "value None": ("200 OK", [("X-A", None)]),
    "value beyond latin-1": ("200 OK", [("X-A", "snow ☃")]),
    "exc_info not a tuple": ("200 OK", PLAIN, "error"),
}


@pytest.mark.parametrize("arguments", BAD_CALLS.values(), ids=BAD_CALLS.keys())
def test_bad_argument_raises_in_the_app_with_a_message(
    serve: ServeFixture, error_log: LogWatch, arguments: tuple[object, ...]
) -> None:
    raised: list[Exception] = []

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        try:
            start_response(*arguments)
        except Exception as error:
            raised.append(error)
            raise
        return [b"x"]

    assert serve(app).ask().status == 500
    assert len(raised) == 1
    assert isinstance(raised[0], (TypeError, ValueError, UnicodeError, AssertionError))
    assert len(str(raised[0])) > 10, "the message should say what was wrong"


HOSTILE = {
    "CR in value": ("200 OK", [("X-A", "a\rInjected: yes")]),
    "LF in value": ("200 OK", [("X-A", "a\nInjected: yes")]),
    "CRLF in value": ("200 OK", [("X-A", "a\r\nInjected: yes")]),
    "NUL in value": ("200 OK", [("X-A", "a\0b")]),
    "CRLF in name": ("200 OK", [("X-A\r\nInjected", "yes")]),
    "NUL in name": ("200 OK", [("X\0A", "b")]),
    "space in name": ("200 OK", [("X A", "b")]),
    "colon in name": ("200 OK", [("X:A", "b")]),
    "empty name": ("200 OK", [("", "b")]),
    "non-ASCII name": ("200 OK", [("X-É", "b")]),
    "CRLF in status": ("200 OK\r\nInjected: yes", PLAIN),
    "LF in status": ("200 OK\nInjected: yes", PLAIN),
    "NUL in status": ("200 O\0K", PLAIN),
}


@pytest.mark.parametrize(("status", "headers"), HOSTILE.values(), ids=HOSTILE.keys())
def test_field_that_would_split_the_response_is_refused(
    serve: ServeFixture, status: str, headers: list[tuple[str, str]]
) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response(status, headers)
        return [b"x"]

    with serve(app).connect() as wire:
        answer = wire.ask("/", "Connection: close")
        assert answer.says("500 Internal Server Error")
        assert "injected" not in str(answer.fields).lower()
        wire.expect_over()


def test_written_chunks_precede_the_iterable(serve: ServeFixture) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        write = start_response("200 OK", PLAIN)
        write(b"one ")
        write(b"")
        write(b"two ")
        return [b"three"]

    assert serve(app).ask().body == b"one two three"


def test_written_chunk_reaches_the_client_before_the_next(serve: ServeFixture) -> None:
    gate = Gate()

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        write = start_response("200 OK", PLAIN)
        write(b"first")
        gate.pass_through()
        write(b"second")
        return []

    with serve(app).connect() as wire:
        wire.get()
        reply = wire.reply()
        assert reply.exactly(5) == b"first"
        gate.opened.set()
        assert reply.rest().body == b"firstsecond"


@pytest.mark.parametrize("chunk", ["text", None, 1, [b"x"]], ids=repr)
def test_writing_anything_but_bytes_raises_type_error(serve: ServeFixture, chunk: object) -> None:
    raised: list[str] = []

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        write = start_response("200 OK", PLAIN)
        try:
            write(chunk)  # type: ignore[arg-type]
        except TypeError as error:
            raised.append(str(error))
        return [b"survived"]

    assert serve(app).ask().body == b"survived"
    assert "bytes" in raised[0]
