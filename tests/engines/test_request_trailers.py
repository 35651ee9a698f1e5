"""Trailer sections of requests, in environ["wsgi.trailers"] (RFC 9110 section 6.5)."""

from __future__ import annotations

import wsgiref.validate
from typing import TYPE_CHECKING, Any

import pytest

from harness.apps import PLAIN, Environ, Gate, StartResponse
from harness.h2wire import H2Wire

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.logwatch import LogWatch
    from harness.site import ServeFixture
    from harness.wire import Response, Wire

pytestmark = pytest.mark.no_http2("its tests are of each version by itself")

POST = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
SECTION = [("X-Checksum", "1"), ("Server-Timing", "a"), ("x-checksum", "\xe9")]
LINES = b"X-Checksum: 1\r\nServer-Timing:  a \r\nx-checksum: \xe9\r\n"
IN_LOWER_CASE = [("x-checksum", "1"), ("etag", "a"), ("x-checksum", "b")]


class Keep:
    """Keeps wsgi.trailers as it was when called and when the body had been read."""

    def __init__(self) -> None:
        self.before: list[Any] = []
        self.after: list[Any] = []
        self.environs: list[Environ] = []

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        self.environs.append(environ)
        self.before.append(list(environ["wsgi.trailers"]))
        self.read(environ)
        self.after.append(environ["wsgi.trailers"])
        start_response("200 OK", PLAIN)
        return [b"read"]

    def read(self, environ: Environ) -> None:
        environ["wsgi.input"].read()


def in_chunks(body: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(body), body) if body else b""


def post(wire: Wire, body: bytes, trailers: bytes) -> Response:
    wire.send_leniently(POST + in_chunks(body) + b"0\r\n" + trailers + b"\r\n")
    return wire.response("POST")


@pytest.mark.parametrize("size", [0, 3, 200_000], ids=["empty", "small", "on the disk"])
def test_they_are_there_at_once_with_a_body_that_is(serve: ServeFixture, size: int) -> None:
    app = Keep()
    with serve(app).connect() as wire:
        assert post(wire, b"x" * size, LINES).status == 200
        assert wire.ask().status == 200
    assert app.before == [SECTION, []]
    assert app.after == [SECTION, []]
    assert "HTTP_X_CHECKSUM" not in app.environs[0]
    assert "HTTP_SERVER_TIMING" not in app.environs[0]


def test_list_without_any_is_empty_and_the_requests_own(serve: ServeFixture) -> None:
    app = Keep()
    with serve(app).connect() as wire:
        for _ in range(2):
            wire.ask()
            app.after[-1].append("the application's own")
        wire.post("/", b"abc")
        wire.response()
        post(wire, b"abc", b"")
    assert app.before == [[], [], [], []]


@pytest.mark.parametrize("known", [False, True], ids=["read to the end", "read by its length"])
def test_they_come_with_the_end_of_a_streamed_body(serve: ServeFixture, known: bool) -> None:
    gate = Gate()

    class InParts(Keep):
        def read(self, environ: Environ) -> None:
            stream = environ["wsgi.input"]
            assert stream.read(3) == b"abc"
            gate.pass_through()
            assert environ["wsgi.trailers"] == []
            # The end has come behind the last byte, or has still to be read.
            assert stream.read(*[3] if known else []) == b"def"
            if known and not environ["wsgi.trailers"]:
                assert stream.read() == b""

    app = InParts()
    site = serve(app, chunked_body="stream", body_buffer=1)
    with site.connect() as wire:
        wire.send(POST + in_chunks(b"abc"))
        gate.wait_entered()
        wire.send(in_chunks(b"def") + b"0\r\n" + LINES + b"\r\n")
        gate.opened.set()
        assert wire.response("POST").status == 200
    assert app.before == [[]]
    assert app.after == [SECTION]


def test_middleware_may_copy_the_environ(serve: ServeFixture) -> None:
    app = Keep()

    def copying(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        return app(dict(environ), start_response)

    with serve(copying, chunked_body="stream", body_buffer=1).connect() as wire:
        post(wire, b"abc", LINES)
    assert app.after == [SECTION]


def test_what_came_too_late_is_lost(serve: ServeFixture) -> None:
    app = Keep()
    late = b"Content-Type: a/b\r\nX-Kept: 1\r\nCache-Control: no-store\r\nIf-Match: *\r\n"
    with serve(app).connect() as wire:
        assert post(wire, b"abc", late + b"Content-Digest: d\r\n").status == 200
        post(wire, b"abc", b"Range: bytes=0-\r\n")
    assert app.after == [[("X-Kept", "1"), ("Content-Digest", "d")], []]
    assert "CONTENT_TYPE" not in app.environs[0]


@pytest.mark.parametrize(
    ("name", "status"), [("Host", 400), ("Authorization", 400), ("X-Forwarded-For", 400)]
)
def test_what_would_forge_a_header_is_refused(serve: ServeFixture, name: str, status: int) -> None:
    app = Keep()
    site = serve(app)
    with site.connect() as wire:
        assert post(wire, b"abc", f"{name}: a\r\n".encode()).status == status
    with H2Wire(site) as http2:
        stream = http2.start("POST", "/", end=False)
        http2.send(stream, b"abc")
        http2.end_with(stream, [("x-first", "1"), (name.lower(), "a")])
        assert http2.response(stream).status == status
        assert http2.ask("/").status == 200
    assert app.after == [[]]


LIMITS = {"max_trailer_bytes": 100, "max_header_fields": 20, "max_field_line": 80}


@pytest.mark.parametrize("option", LIMITS)
def test_they_are_limited(serve: ServeFixture, option: str) -> None:
    app = Keep()
    site = serve(app, **{option: LIMITS[option]})
    fit = {
        "max_trailer_bytes": [("x-a", "v" * 93)],
        "max_header_fields": [("a", "v")] * 20,
        "max_field_line": [("x-a", "v" * 75)],
    }[option]
    for fields, status in ((fit, 200), ([*fit[1:], ("x-a", "v" * 94), *fit[1:]], 431)):
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
        with site.connect() as wire:
            assert post(wire, b"abc", lines.encode()).status == status
        with H2Wire(site) as http2:
            stream = http2.start("POST", "/", end=False)
            http2.send(stream, b"abc")
            http2.end_with(stream, fields)
            assert http2.response(stream).status == status
    assert app.after == [fit, fit]


@pytest.mark.parametrize("body", [b"", b"abc", b"x" * 200_000])
def test_http2_has_them_too(serve: ServeFixture, body: bytes) -> None:
    app = Keep()
    with H2Wire(serve(app)) as wire:
        stream = wire.start("POST", "/", [("x-thing", "1")], end=False)
        wire.send(stream, body)
        wire.end_with(stream, [*IN_LOWER_CASE, ("content-type", "late")])
        assert wire.response(stream).body == b"read"
        assert wire.ask("/").status == 200
    assert app.after == [IN_LOWER_CASE, []]
    assert app.environs[0]["HTTP_X_THING"] == "1"
    assert "HTTP_X_CHECKSUM" not in app.environs[0]


def test_http2_has_them_at_the_end_of_a_streamed_body(serve: ServeFixture) -> None:
    gate = Gate()

    class Waiting(Keep):
        def read(self, environ: Environ) -> None:
            gate.entered.set()
            environ["wsgi.input"].read()

    app = Waiting()
    with H2Wire(serve(app)) as wire:
        stream = wire.start("POST", "/", [("expect", "100-continue")], end=False)
        while not wire.responses[stream].informational:
            wire.pump()
        wire.send(stream, b"abc")
        wire.end_with(stream, IN_LOWER_CASE)
        assert wire.response(stream).status == 200
    assert app.after == [IN_LOWER_CASE]


def test_validator_finds_no_fault(serve: ServeFixture, error_log: LogWatch) -> None:
    class Strict(Keep):
        def read(self, environ: Environ) -> None:
            assert environ["wsgi.input"].read(10) == b"abc"

    app = Strict()
    with serve(wsgiref.validate.validator(app)).connect() as wire:
        assert post(wire, b"abc", LINES).body == b"read"
    assert app.after == [SECTION]
    assert "AssertionError" not in error_log.text
