"""wsgi.input: the file-like view of the request body that PEP 3333 describes."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import pytest

from harness.apps import Environ, Gate, StartResponse

if TYPE_CHECKING:
    from harness.site import ServeFixture, Site

BODY = b"first line\nsecond line\n\nlast without end"
Read = Callable[[Any], Any]


def reading(read: Read, log: list[Any]) -> Callable[[Environ, StartResponse], Iterable[bytes]]:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        log.append(read(environ["wsgi.input"]))
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"read"]

    return app


def post_with_length(site: Site, body: bytes) -> None:
    assert site.post(body).status == 200


def post_chunked(site: Site, body: bytes) -> None:
    """In chunks of three bytes, so that lines and reads never fall on their borders."""
    pieces = [body[at : at + 3] for at in range(0, len(body), 3)]
    framed = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    with site.connect() as wire:
        head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n"
        wire.send(head + b"\r\n" + framed + b"0\r\n\r\n")
        assert wire.response().status == 200


READS: dict[str, tuple[Read, Any]] = {
    "read()": (lambda i: i.read(), BODY),
    "read(-1)": (lambda i: i.read(-1), BODY),
    "read(None)": (lambda i: i.read(None), BODY),
    "read(0)": (lambda i: (i.read(0), i.read()), (b"", BODY)),
    "read(5) twice": (lambda i: (i.read(5), i.read(5)), (BODY[:5], BODY[5:10])),
    "read beyond the end": (lambda i: i.read(10_000), BODY),
    "read at the end": (lambda i: (i.read(), i.read(), i.read(1)), (BODY, b"", b"")),
    "one byte at a time": (
        lambda i: list(iter(lambda: i.read(1), b"")),
        [bytes([b]) for b in BODY],
    ),
    "readline()": (lambda i: i.readline(), b"first line\n"),
    "readline until empty": (lambda i: list(iter(i.readline, b"")), BODY.splitlines(keepends=True)),
    "readline(4)": (lambda i: (i.readline(4), i.readline()), (b"firs", b"t line\n")),
    "readline(0)": (lambda i: (i.readline(0), i.readline()), (b"", b"first line\n")),
    "readline(-1)": (lambda i: i.readline(-1), b"first line\n"),
    "readline(None)": (lambda i: i.readline(None), b"first line\n"),
    "readline larger than line": (lambda i: i.readline(100), b"first line\n"),
    "readline of exact size": (
        lambda i: (i.readline(11), i.readline()),
        (b"first line\n", b"second line\n"),
    ),
    "readlines()": (lambda i: i.readlines(), BODY.splitlines(keepends=True)),
    "readlines(None)": (lambda i: i.readlines(None), BODY.splitlines(keepends=True)),
    "readlines(0)": (lambda i: i.readlines(0), BODY.splitlines(keepends=True)),
    "readlines with hint": (
        lambda i: (i.readlines(12), i.read()),
        ([b"first line\n", b"second line\n"], b"\nlast without end"),
    ),
    "iteration": (lambda i: list(i), BODY.splitlines(keepends=True)),
    "iter is itself": (lambda i: iter(i) is i or list(iter(i)), True),
    "next then read": (lambda i: (next(iter(i)), i.read()), (b"first line\n", BODY[11:])),
    "mixed": (
        lambda i: (i.read(3), i.readline(), i.readline(3), i.read(4), i.readlines()),
        (b"fir", b"st line\n", b"sec", b"ond ", [b"line\n", b"\n", b"last without end"]),
    ),
}


@pytest.mark.parametrize("post", [post_with_length, post_chunked], ids=["length", "chunked"])
@pytest.mark.parametrize(("read", "expected"), READS.values(), ids=READS.keys())
@pytest.mark.parametrize(
    "options",
    [{"body_buffer": 1 << 20}, {"body_buffer": 16, "chunked_body": "stream"}],
    ids=["buffered", "streamed"],
)
def test_input_reads_as_a_binary_file(
    serve: ServeFixture,
    post: Callable[[Site, bytes], None],
    read: Read,
    expected: Any,
    options: dict[str, Any],
) -> None:
    log: list[Any] = []
    post(serve(reading(read, log), **options), BODY)
    assert log == [expected]


@pytest.mark.parametrize("read", [lambda i: i.read(), lambda i: i.readline(), lambda i: list(i)])
def test_request_without_body_reads_as_empty(serve: ServeFixture, read: Read) -> None:
    """Without blocking: wsgi.input_terminated promises an end."""
    log: list[Any] = []
    with serve(reading(read, log)).connect() as wire:
        assert wire.ask().status == 200
    assert log in ([b""], [[]])


@pytest.mark.parametrize(
    "argument", ["5", 1.5, b"5", object()], ids=["str", "float", "bytes", "object"]
)
def test_size_of_another_type_raises_type_error(serve: ServeFixture, argument: Any) -> None:
    def read(stream: Any) -> str:
        names = []
        for method in (stream.read, stream.readline, stream.readlines):
            try:
                method(argument)
            except TypeError:
                names.append(method.__name__)
        return ",".join(names)

    log: list[Any] = []
    post_with_length(serve(reading(read, log)), BODY)
    assert log == ["read,readline,readlines"]


def test_read_does_not_run_into_the_next_request(serve: ServeFixture) -> None:
    log: list[Any] = []
    with serve(reading(lambda i: i.read(), log), threads=1).connect() as wire:
        one = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\none"
        two = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\ntwo!!"
        wire.send(one + two)
        wire.response()
        wire.response()
    assert log == [b"one", b"two!!"]


def test_read_of_a_streamed_body_returns_what_has_come_in_order(serve: ServeFixture) -> None:
    """Beyond body_buffer the app runs while the client still sends."""
    gate = Gate()
    seen: list[bytes] = []

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        stream = environ["wsgi.input"]
        seen.append(stream.read(4))
        gate.entered.set()
        seen.append(stream.read(6))
        seen.append(stream.read())
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps([piece.decode() for piece in seen]).encode()]

    with serve(app, body_buffer=4).connect() as wire:
        wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n\r\nabcd")
        gate.wait_entered()
        wire.send(b"efg")
        wire.send(b"hijkl")
        assert json.loads(wire.response().body) == ["abcd", "efghij", "kl"]


def test_large_body_arrives_unharmed(serve: ServeFixture) -> None:
    body = bytes(range(256)) * 16_384
    log: list[Any] = []
    post_with_length(serve(reading(lambda i: i.read() == body, log)), body)
    assert log == [True]


def test_large_body_read_by_lines(serve: ServeFixture) -> None:
    body = b"".join(b"%d\n" % number for number in range(200_000))
    log: list[Any] = []
    post_with_length(serve(reading(lambda i: sum(1 for _ in i), log)), body)
    assert log == [200_000]


def test_input_used_after_its_request_raises_or_reads_empty(serve: ServeFixture) -> None:
    """An app may keep the environ; that must never reach another request's body or freed memory."""
    kept: list[Any] = []

    def keep(stream: Any) -> None:
        kept.append(stream)
        stream.read()

    site = serve(reading(keep, []), threads=1)
    site.post(BODY)
    site.post(b"another request")
    for method in ("read", "readline", "readlines"):
        with contextlib.suppress(ValueError, OSError):
            assert not getattr(kept[0], method)()
