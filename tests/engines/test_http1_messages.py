"""What one answer looks like on the wire: bodies that must not be, Date, Server, framing."""

from __future__ import annotations

from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import pytest

from harness.apps import PLAIN, Environ, StartResponse, answering, hello

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from harness.site import ServeFixture


def test_head_has_the_fields_of_get_and_no_body(serve: ServeFixture) -> None:
    with serve(answering([b"hello"], headers=[("X-A", "b")])).connect() as wire:
        head = wire.ask(method="HEAD")
        got = wire.ask()
        assert (head.status, head.get("X-A"), head.body) == (200, "b", b"")
        assert got.body == b"hello"


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
@pytest.mark.parametrize("body", [[], [b"surplus"], [b"a", b"b"]], ids=["none", "one", "many"])
def test_status_without_content_sends_none(
    serve: ServeFixture, status: str, body: list[bytes]
) -> None:
    with serve(answering(body, status)).connect() as wire:
        for _ in range(2):
            wire.get()
            response = wire.response()
            assert response.says(status)
            assert response.get("Transfer-Encoding") is None, "RFC 9112 section 6.1"
        if status.startswith("204"):
            assert response.get("Content-Length") is None, "RFC 9110 section 8.6"
        assert wire.is_silent(0.05)


def test_not_modified_keeps_the_length_of_the_representation(serve: ServeFixture) -> None:
    app = answering([], "304 Not Modified", [("Content-Length", "1234"), ("ETag", '"x"')])
    with serve(app).connect() as wire:
        assert wire.ask().get("Content-Length") == "1234"
        assert wire.ask().get("ETag") == '"x"'


@pytest.mark.parametrize("status", ["100 Continue", "101 Switching Protocols", "103 Early Hints"])
def test_interim_status_from_an_app_is_refused(serve: ServeFixture, status: str) -> None:
    """An interim answer would make the client wait for the final one that never comes."""
    assert serve(answering([], status)).ask().status == 500


def test_date_is_sent_once_and_is_now(serve: ServeFixture) -> None:
    date = serve(hello).ask().get("Date")
    assert date is not None
    assert date.endswith(" GMT")
    age = datetime.now(timezone.utc) - parsedate_to_datetime(date)
    assert abs(age.total_seconds()) < 3


def test_date_of_the_app_stands_alone(serve: ServeFixture) -> None:
    mine = "Sun, 06 Nov 1994 08:49:37 GMT"
    assert serve(answering([b"x"], headers=[("date", mine)])).ask().all("Date") == [mine]


def test_date_can_be_left_out(serve: ServeFixture) -> None:
    assert serve(hello, date_header=False).ask().get("Date") is None


def test_server_is_named(serve: ServeFixture) -> None:
    assert serve(hello).ask().get("Server") == "prowingen"


def test_server_name_can_be_chosen(serve: ServeFixture) -> None:
    assert serve(hello, server_header="mine/1.0").ask().get("Server") == "mine/1.0"


def test_server_can_be_left_out(serve: ServeFixture) -> None:
    assert serve(hello, server_header="").ask().get("Server") is None


def test_server_of_the_app_stands_alone(serve: ServeFixture) -> None:
    assert serve(answering([b"x"], headers=[("SERVER", "app")])).ask().all("Server") == ["app"]


@pytest.mark.no_http2("no line is malformed where there are none")
def test_refusal_has_date_server_and_a_plain_reason(serve: ServeFixture) -> None:
    with serve(hello).connect() as wire:
        wire.send(b"GET / HTTP/1.1\r\n\r\n")
        response = wire.response()
    assert response.status == 400
    assert response.get("Date") is not None
    assert response.get("Server") == "prowingen"
    assert (response.get("Content-Type") or "").startswith("text/plain")
    assert b"Host" in response.body


@pytest.mark.no_http2("no line is malformed where there are none")
def test_refusal_does_not_reflect_what_was_sent(serve: ServeFixture) -> None:
    with serve(hello).connect() as wire:
        wire.send(b"GET /<script> HTTP/1.1\r\nHost: a\r\nX: <script>\r\n <script>\r\n\r\n")
        response = wire.response()
    assert response.status == 400
    assert b"<script>" not in response.body


@pytest.mark.no_http2("it has no chunks")
def test_chunked_framing_is_exact(serve: ServeFixture) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", PLAIN)
        yield b"hello"
        yield b""
        yield b"x" * 26

    with serve(app).connect() as wire:
        wire.get("/", "Connection: close")
        head, _, body = wire.read_to_end().partition(b"\r\n\r\n")
    assert b"chunked" in head.lower()
    rest, total = body, b""
    while True:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size, 16)
        if length == 0:
            break
        total += rest[:length]
        assert rest[length : length + 2] == b"\r\n"
        rest = rest[length + 2 :]
    assert (total, rest) == (b"hello" + b"x" * 26, b"\r\n")


def test_large_answers_arrive_unharmed(serve: ServeFixture) -> None:
    block = bytes(range(256)) * 256

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", PLAIN)
        return (block for _ in range(200))

    with serve(app).connect() as wire:
        wire.get()
        assert wire.response().body == block * 200


def test_many_response_fields(serve: ServeFixture) -> None:
    fields = [(f"X-Field-{n}", "v" * n) for n in range(300)]
    response = serve(answering([b"x"], headers=fields)).ask()
    assert [response.get(name) for name, _ in fields] == [value for _, value in fields]


@pytest.mark.no_http2("what leaves together are frames")
def test_head_and_small_body_come_in_one_segment(serve: ServeFixture) -> None:
    """Two writes would be two packets, and with delayed ACKs a stall."""
    with serve(hello).connect() as wire:
        wire.get()
        assert wire.take().endswith(b"\r\n\r\nhello")
