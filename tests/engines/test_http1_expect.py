"""Expect: 100-continue (RFC 9110 section 10.1.1): the client waits until the app wants the body."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.apps import Environ, Gate, StartResponse, hello

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.site import ServeFixture

HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
CHUNKED = (
    b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n"
)


def read_then_hello(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    body: bytes = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"got " + body]


def test_continue_is_sent_when_the_app_reads_and_not_before(serve: ServeFixture) -> None:
    gate = Gate()

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        gate.pass_through()
        return read_then_hello(environ, start_response)

    with serve(app).connect() as wire:
        wire.send(HEAD)
        gate.wait_entered()
        assert wire.is_silent(0.1)
        gate.opened.set()
        reply = wire.reply("POST")
        assert reply.continued() == 100
        wire.send(b"hello")
        response = reply.rest()
        assert response.informational == [100]
        assert response.body == b"got hello"
        assert wire.ask(method="POST").body == b"got ", "the connection should go on"


@pytest.mark.parametrize("field", ["Expect: 100-Continue", "expect:100-continue"])
def test_expectation_is_case_insensitive(serve: ServeFixture, field: str) -> None:
    with serve(read_then_hello).connect() as wire:
        wire.send(
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n" + field.encode() + b"\r\n\r\n"
        )
        reply = wire.reply("POST")
        assert reply.continued() == 100
        wire.send(b"hello")
        assert reply.rest().body == b"got hello"


def test_continue_is_sent_for_chunked_bodies(serve: ServeFixture) -> None:
    with serve(read_then_hello).connect() as wire:
        wire.send(CHUNKED)
        reply = wire.reply("POST")
        assert reply.continued() == 100
        wire.send(b"5\r\nhello\r\n0\r\n\r\n")
        assert reply.rest().body == b"got hello"


def test_continue_is_sent_once(serve: ServeFixture) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        pieces = [environ["wsgi.input"].read(1) for _ in range(5)]
        start_response("200 OK", [])
        return [b"".join(pieces)]

    with serve(app).connect() as wire:
        wire.send(HEAD)
        reply = wire.reply("POST")
        assert reply.continued() == 100
        for byte in b"hello":
            wire.send(bytes([byte]))
        response = reply.rest()
        assert (response.informational, response.body) == ([100], b"hello")


def test_app_that_never_reads_sends_no_continue(serve: ServeFixture) -> None:
    with serve(hello).connect() as wire:
        wire.send(HEAD)
        response = wire.response("POST")
        assert response.informational == []
        assert response.body == b"hello"
        # The body may or may not come now, so only an end keeps both sides in step.
        wire.expect_over(response)


@pytest.mark.no_http2("streams are not pipelined")
def test_late_body_of_an_app_that_never_read_is_no_request(serve: ServeFixture) -> None:
    called: list[str] = []

    def ignoring(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        called.append(environ["REQUEST_METHOD"])
        return hello(environ, start_response)

    with serve(ignoring).connect() as wire:
        wire.send(HEAD.replace(b"5", b"32"))
        assert wire.response("POST").body == b"hello"
        wire.send_leniently(b"GET /smuggle HTTP/1.1\r\nHost: a\r\n\r\n")
        wire.expect_closed()
    assert called == ["POST"]


def test_refused_request_gets_no_continue(serve: ServeFixture) -> None:
    with serve(hello, max_body=4).connect() as wire:
        wire.send(HEAD)
        response = wire.response("POST")
        assert (response.status, response.informational) == (413, [])
        wire.expect_over(response)


def test_body_already_sent_needs_no_continue(serve: ServeFixture) -> None:
    with serve(read_then_hello).connect() as wire:
        wire.send(HEAD + b"hello")
        response = wire.response("POST")
        assert response.body == b"got hello"
        assert response.informational in ([], [100])


@pytest.mark.no_http2("it has one version")
def test_http_1_0_client_gets_no_continue(serve: ServeFixture) -> None:
    """RFC 9110 section 10.1.1: an expectation in HTTP/1.0 is ignored."""
    with serve(read_then_hello).connect() as wire:
        wire.send(HEAD.replace(b"HTTP/1.1", b"HTTP/1.0") + b"hello")
        response = wire.response("POST")
        assert (response.status, response.informational) == (200, [])


def test_expectation_without_body_gets_no_continue(serve: ServeFixture) -> None:
    with serve(read_then_hello).connect() as wire:
        wire.send(b"GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n")
        response = wire.response()
        assert (response.status, response.informational) == (200, [])


def test_other_requests_are_served_while_one_waits_to_continue(serve: ServeFixture) -> None:
    gate = Gate()

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] == "POST":
            gate.entered.set()
            return read_then_hello(environ, start_response)
        return hello(environ, start_response)

    site = serve(app, threads=2)
    with site.connect() as wire:
        wire.send(HEAD)
        gate.wait_entered()
        assert site.ask().body == b"hello"
        wire.send(b"hello")
        assert wire.response("POST").body == b"got hello"
