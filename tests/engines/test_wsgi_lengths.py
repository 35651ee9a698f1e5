"""Content-Length: filled in where it is known, held to where the app declared it."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

import pytest

from harness.apps import PLAIN, App, Environ, StartResponse, answering, hello
from harness.wire import Truncated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prowingen_wsgi import Request, Response

    from harness.logwatch import LogWatch
    from harness.site import ListenFixture, ServeFixture


def generated(*chunks: bytes) -> Iterator[bytes]:
    yield from chunks


@pytest.mark.parametrize("body", [[b"hello"], (b"hello",)], ids=["list", "tuple"])
def test_single_chunk_gets_a_content_length(serve: ServeFixture, body: list[bytes]) -> None:
    response = serve(answering(body)).ask()
    assert response.get("Content-Length") == "5"
    assert response.get("Transfer-Encoding") is None


def test_empty_answer_gets_length_zero(serve: ServeFixture) -> None:
    assert serve(answering([])).ask().get("Content-Length") == "0"


@pytest.mark.no_http2("it has no chunks")
def test_generator_is_chunked_for_http_1_1(serve: ServeFixture) -> None:
    response = serve(answering(generated(b"a", b"b"))).ask()
    assert response.get("Transfer-Encoding") == "chunked"
    assert response.get("Content-Length") is None
    assert response.body == b"ab"


def test_declared_length_is_sent_as_given(serve: ServeFixture) -> None:
    response = serve(answering(generated(b"ab", b"c"), headers=[("content-length", "3")])).ask()
    assert response.get("Content-Length") == "3"
    assert response.get("Transfer-Encoding") is None
    assert response.body == b"abc"


@pytest.mark.parametrize("chunks", [[b"123456789"], [b"1234", b"56789"], [b"12345", b"6789"]])
def test_body_beyond_the_declared_length_is_cut_and_logged(
    serve: ServeFixture, error_log: LogWatch, chunks: list[bytes]
) -> None:
    app = answering(chunks, headers=[("Content-Length", "5")])
    with serve(app).connect() as wire:
        wire.get()
        assert wire.response().body == b"12345"
        with contextlib.suppress(Truncated, ConnectionError):
            assert wire.ask().body == b"12345", "surplus bytes leaked out"
    error_log.wait_for("Content-Length")


def test_writing_beyond_the_declared_length_is_cut_too(serve: ServeFixture) -> None:
    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        write = start_response("200 OK", [*PLAIN, ("Content-Length", "3")])
        write(b"12")
        write(b"345")
        return [b"678"]

    with serve(app).connect() as wire:
        assert wire.ask("/", "Connection: close").body == b"123"
        wire.expect_over()


@pytest.mark.parametrize("chunks", [[], [b"123"], [b"1", b"2"], [b""]])
def test_body_short_of_the_declared_length_is_seen_as_incomplete(
    serve: ServeFixture, error_log: LogWatch, chunks: list[bytes]
) -> None:
    with serve(answering(chunks, headers=[("Content-Length", "5")])).connect() as wire:
        wire.get()
        try:
            response = wire.response()
        except Truncated:
            wire.expect_over()
        else:
            # Known before the head went out, the mistake may become an error page instead.
            assert response.status == 500
    error_log.wait_for("Content-Length")


@pytest.mark.parametrize("value", ["", "abc", "-1", "+5", "5.0", "0x5", "5, 5", " ", "9" * 30, "٣"])
def test_invalid_declared_length_gives_500(serve: ServeFixture, value: str) -> None:
    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        start_response("200 OK", [("Content-Length", value)])
        return [b"hello"]

    assert serve(app).ask().status == 500


def test_two_declared_lengths_give_500(serve: ServeFixture) -> None:
    lengths = [("Content-Length", "5"), ("Content-Length", "6")]
    assert serve(answering([b"hello"], headers=lengths)).ask().status == 500


def test_head_keeps_the_length_of_get(serve: ServeFixture) -> None:
    site = serve(answering([b"hello"], headers=[("Content-Length", "5")]))
    response = site.ask(method="HEAD")
    assert (response.get("Content-Length"), response.body) == ("5", b"")


def test_head_may_declare_a_length_it_does_not_produce(
    serve: ServeFixture, error_log: LogWatch
) -> None:
    """Frameworks answer HEAD with an empty iterable and GET's length: no error to report."""
    with serve(answering([], headers=[("Content-Length", "5000")])).connect() as wire:
        assert wire.ask(method="HEAD").get("Content-Length") == "5000"
        assert wire.ask(method="HEAD").get("Content-Length") == "5000"
    assert "ERROR" not in error_log.text


def test_head_without_length_never_invents_a_wrong_one(serve: ServeFixture) -> None:
    response = serve(hello).ask(method="HEAD")
    assert response.get("Content-Length") in (None, "5")


def written(environ: Environ, start_response: StartResponse) -> list[bytes]:
    write = start_response("200 OK", PLAIN)
    write(b"written ")
    return [b"and returned"]


VERSIONS = ["1.1", pytest.param("1.0", marks=pytest.mark.no_http2("it has one version"))]
STREAMS = {
    "generator": lambda: answering(generated(b"x" * 10, b"x" * 10, b"x" * 10)),
    "generator of one": lambda: answering(generated(b"x" * 10)),
    "empty piece first": lambda: answering(generated(b"", b"x" * 10)),
    "write() before a list": lambda: written,
    "nothing, as frameworks answer HEAD": lambda: answering([]),
    "an iterable of nothing": lambda: answering(generated()),
    "empty pieces": lambda: answering([b"", b""]),
}


@pytest.mark.parametrize("make", STREAMS.values(), ids=STREAMS.keys())
@pytest.mark.parametrize("version", VERSIONS)
def test_head_of_an_answer_without_a_known_length_states_none(
    serve: ServeFixture, make: Callable[[], App], version: str
) -> None:
    """RFC 9110 section 8.6: what GET would say, or nothing."""
    with serve(make()).connect() as wire:
        wire.get("/", "Connection: keep-alive", method="HEAD", version=version)
        answer = wire.response("HEAD")
        assert (answer.status, answer.get("Content-Length")) == (200, None)
        assert wire.ask(method="HEAD").status == 200, "the connection should still be in step"


def test_head_of_a_whole_answer_states_its_length(serve: ServeFixture) -> None:
    assert serve(answering([b"hello ", b"world"])).ask(method="HEAD").get("Content-Length") == "11"


def test_head_may_change_its_mind_as_get_may(serve: ServeFixture) -> None:
    """An empty piece sends no head, so it is not the end of the answer either."""

    def app(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", PLAIN)
        yield b""
        try:
            raise ValueError("changed my mind")
        except ValueError:
            start_response("503 Service Unavailable", PLAIN, sys.exc_info())
        yield b"sorry"

    assert serve(app).ask(method="HEAD").status == 503


@pytest.mark.parametrize("pieces", [[b"x" * 10] * 3, [b"x" * 20_000] * 3, []], ids=len)
def test_raw_listener_states_for_head_what_it_states_for_get(
    listen: ListenFixture, pieces: list[bytes]
) -> None:
    def handler(request: Request, response: Response) -> None:
        for piece in pieces:
            response.body.write(piece)

    site = listen(handler)
    length = site.ask(method="HEAD").get("Content-Length")
    assert length == (site.ask().get("Content-Length") if pieces else None)


def test_length_zero_with_body_sends_no_body(serve: ServeFixture, error_log: LogWatch) -> None:
    with serve(answering([b"surplus"], headers=[("Content-Length", "0")])).connect() as wire:
        assert wire.ask("/", "Connection: close").body == b""
        wire.expect_over()
    error_log.wait_for("Content-Length")
