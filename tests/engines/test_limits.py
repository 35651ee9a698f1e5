"""Each limit's option, and what happens when the server itself has run out."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from harness.apps import Echo, Environ, Gate, StartResponse, hello
from harness.process import run_server
from harness.wire import Response, Truncated

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.site import ServeFixture

POST = b"POST / HTTP/1.1\r\nHost: a\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
GET = b"GET / HTTP/1.1\r\nHost: a\r\n"

ONE_VERSION = pytest.mark.no_http2("it has one version")
LIMITS = [
    ("max_request_line", 100, b"GET /%s HTTP/1.1\r\nHost: a\r\n\r\n", 50, 200, 414),
    ("max_field_line", 100, GET + b"X: %s\r\n\r\n", 50, 200, 431),
    ("max_header_bytes", 300, GET + b"X: %s\r\n\r\n", 100, 400, 431),
    pytest.param(
        *("max_chunk_extension", 20, CHUNKED + b"1;%s\r\nx\r\n0\r\n\r\n", 10, 100, 400),
        marks=pytest.mark.no_http2("it has no chunks"),
    ),
    ("max_trailer_bytes", 100, CHUNKED + b"0\r\nX: %s\r\n\r\n", 50, 200, 431),
]


@pytest.mark.parametrize(
    ("option", "limit", "template", "below", "above", "status"), LIMITS, ids=lambda v: str(v)[:20]
)
def test_length_limit_is_kept(
    serve: ServeFixture,
    option: str,
    limit: int,
    template: bytes,
    below: int,
    above: int,
    status: int,
) -> None:
    site = serve(Echo(), **{option: limit})
    with site.connect() as wire:
        wire.send(template % (b"v" * below))
        assert wire.response("POST").status == 200
        wire.send(template % (b"v" * above))
        response = wire.response("POST")
        assert response.status == status
        wire.expect_over(response)


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="default"),
        pytest.param(
            {"max_header_bytes": 200_000},
            id="more",
            marks=pytest.mark.no_http2("a field is at most 64 KiB: see docs/http2.md"),
        ),
    ],
)
def test_one_field_may_be_as_long_as_the_section(
    serve: ServeFixture, options: dict[str, int]
) -> None:
    """A ticket of SPNEGO or an assertion of SAML takes 20 KiB and more."""
    site = serve(Echo(), **options)
    section = options.get("max_header_bytes", 64 * 1024)
    room = section - len("Host: a\r\nAuthorization: \r\n")
    with site.connect() as wire:
        for size in (20 * 1024, room):
            ticket = "x" * size
            wire.send(GET + f"Authorization: {ticket}\r\n\r\n".encode())
            environ = json.loads(wire.response().body)["environ"]
            assert environ["HTTP_AUTHORIZATION"] == ticket
        wire.send(GET + b"Authorization: %s\r\n\r\n" % (b"x" * (room + 1)))
        assert wire.response().status == 431


@pytest.mark.parametrize("minor", [1, *(pytest.param(n, marks=ONE_VERSION) for n in (2, 9))])
def test_a_section_that_is_just_too_large_is_refused_at_once(
    serve: ServeFixture, minor: int
) -> None:
    """And not by the time limit of a head that is not whole."""
    site = serve(hello, max_header_bytes=1000)
    for beyond in (1, 10, 100, 1000, 8000):
        with site.connect() as wire:
            wire.send(b"GET / HTTP/1.%d\r\nHost: a\r\n" % minor)
            wire.send_leniently(b"X: %s\r\n\r\n" % (b"x" * (1000 - 14 + beyond)))
            assert wire.response().status == 431


def test_field_count_is_limited(serve: ServeFixture) -> None:
    with serve(hello, max_header_fields=10).connect() as wire:
        wire.send(GET + b"X: y\r\n" * 9 + b"\r\n")
        assert wire.response().status == 200
        wire.send(GET + b"X: y\r\n" * 10 + b"\r\n")
        assert wire.response().status == 431


@pytest.mark.parametrize("body_buffer", [4, 1 << 20], ids=["streamed", "buffered"])
def test_body_size_is_limited(serve: ServeFixture, body_buffer: int) -> None:
    site = serve(Echo(), max_body=10, body_buffer=body_buffer)
    with site.connect() as wire:
        wire.post("/", b"0123456789")
        assert wire.response().status == 200
        wire.post("/", b"0123456789+")
        assert wire.response().status == 413
    with site.connect() as wire:
        wire.send(CHUNKED + b"5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n")
        assert wire.response().status == 200
        wire.send(CHUNKED + b"5\r\n01234\r\n6\r\n56789+\r\n0\r\n\r\n")
        assert wire.response().status in (413, 500)


def test_body_size_is_unlimited_at_zero(serve: ServeFixture) -> None:
    with serve(Echo(), max_body=0).connect() as wire:
        wire.post("/", b"x" * 3_000_000)
        assert wire.response().status == 200


@pytest.mark.no_http2("a head is one frame")
def test_head_larger_than_any_buffer_is_refused_without_reading_it_all(serve: ServeFixture) -> None:
    with serve(hello).connect() as wire:
        wire.send_leniently(GET + b"X: " + b"v" * 500_000)
        assert wire.response().status == 431
        wire.expect_closed()


def test_full_queue_answers_503_with_retry_after(serve: ServeFixture) -> None:
    gate = Gate()

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        gate.pass_through()
        return hello(environ, start_response)

    site = serve(app, threads=1, queue_size=2)
    wires = [site.connect() for _ in range(10)]
    wires[0].get()
    gate.wait_entered()
    for wire in wires[1:]:
        wire.get()
    # Two of nine fit the queue; which two is for the server's threads to say.
    refused: list[Response] = []
    deadline = time.monotonic() + 10
    waiting = wires[1:]
    while len(refused) < 7:
        assert time.monotonic() < deadline, f"only {len(refused)} were refused"
        for wire in list(waiting):
            if not wire.is_silent(0.01):
                refused.append(wire.response())
                waiting.remove(wire)
    for response in refused:
        assert response.status == 503
        assert int(response.get("Retry-After") or "") >= 1
    gate.opened.set()
    for wire in [wires[0], *waiting]:
        assert wire.response().body == b"hello"
    assert site.ask().body == b"hello", "the server should have recovered"


@pytest.mark.no_tls("a connection that waits has no handshake")
def test_connections_beyond_the_limit_wait_or_are_refused(serve: ServeFixture) -> None:
    site = serve(hello, max_connections=4)
    wires = [site.connect() for _ in range(4)]
    for wire in wires:
        assert wire.ask().body == b"hello"
    extra = site.connect()
    extra.get()
    refused = not extra.is_silent(0.3)
    if refused:
        raw = extra.read_to_end()
        assert raw == b"" or raw.startswith(b"HTTP/1.1 503 ")
    wires[0].close()
    if not refused:
        assert extra.response().body == b"hello"
    else:
        deadline = time.monotonic() + 10
        while True:
            try:
                if site.ask().status == 200:
                    break
            except (Truncated, OSError):
                pass
            assert time.monotonic() < deadline, "a free place was never given away"
    assert wires[1].ask().body == b"hello"


def test_server_out_of_file_descriptors_recovers(engine: str) -> None:
    with run_server("apps.plain:app", engine, max_files=64) as server:
        # The kernel's backlog takes what the server cannot accept.
        wires = [server.connect() for _ in range(150)]
        for wire in wires[:10]:
            assert wire.ask().body == b"hello"
        for wire in wires:
            wire.close()
        with server.connect() as wire:
            assert wire.ask().body == b"hello"


def test_server_out_of_file_descriptors_does_not_spin(engine: str) -> None:
    with run_server("apps.plain:app", engine, max_files=64) as server:
        wires = [server.connect() for _ in range(150)]
        assert wires[0].ask().body == b"hello"
        before = server.cpu_seconds()
        assert wires[0].is_silent(1.0)
        assert server.cpu_seconds() - before < 0.5
        for wire in wires:
            wire.close()
