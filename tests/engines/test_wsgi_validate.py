"""wsgiref.validate around a full app: it asserts the server's side of PEP 3333 at every call."""

from __future__ import annotations

import wsgiref.validate
from typing import TYPE_CHECKING

import pytest

from harness.apps import PLAIN, App, Environ, Routes, StartResponse, hello

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from harness.logwatch import LogWatch
    from harness.site import ServeFixture, Site


def echo(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    start_response("200 OK", PLAIN)
    return [body]


def lines(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    stream = environ["wsgi.input"]
    body = stream.readline() + b"|" + b"|".join(stream.readlines())
    start_response("200 OK", PLAIN)
    return [body]


def iterated(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    body = b"|".join(environ["wsgi.input"])
    start_response("200 OK", PLAIN)
    return [body]


def streamed(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    start_response("200 OK", PLAIN)
    yield b"a"
    yield b"b"


def written(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", PLAIN)(b"written ")
    return [b"returned"]


def complaining(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    environ["wsgi.errors"].write("complaint\n")
    environ["wsgi.errors"].writelines(["more\n"])
    environ["wsgi.errors"].flush()
    start_response("200 OK", PLAIN)
    return [b"complained"]


def bodiless(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    start_response("204 No Content", [])
    return []


def declared(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [*PLAIN, ("Content-Length", "8")])
    return [b"declared"] if environ["REQUEST_METHOD"] != "HEAD" else []


@pytest.fixture
def site(serve: ServeFixture) -> Site:
    routes: App = Routes(
        hello=hello,
        echo=echo,
        lines=lines,
        iterated=iterated,
        streamed=streamed,
        written=written,
        complaining=complaining,
        bodiless=bodiless,
        declared=declared,
    )
    return serve(wsgiref.validate.validator(routes))


CALLS: list[tuple[str, bytes | None, int, bytes]] = [
    ("/hello", None, 200, b"hello"),
    ("/hello?a=b%20c", None, 200, b"hello"),
    ("/echo", b"", 200, b""),
    ("/echo", b"some body", 200, b"some body"),
    ("/echo", b"x" * 100_000, 200, b"x" * 100_000),
    ("/lines", b"a\nb\nc", 200, b"a\n|b\n|c"),
    ("/iterated", b"a\nb\nc", 200, b"a\n|b\n|c"),
    ("/streamed", None, 200, b"ab"),
    ("/written", None, 200, b"written returned"),
    ("/complaining", None, 200, b"complained"),
    ("/bodiless", None, 204, b""),
    ("/declared", None, 200, b"declared"),
    ("/missing", None, 404, b"no such page"),
]


def test_validator_finds_no_fault_in_many_requests(site: Site, error_log: LogWatch) -> None:
    with site.connect() as wire:
        for target, body, status, expected in CALLS * 5:
            if body is None:
                response = wire.ask(target)
            else:
                wire.post(target, body)
                response = wire.response()
            assert (response.status, response.body) == (status, expected), target
            if response.closes:
                pytest.fail(f"connection closed after {target}")
    assert "AssertionError" not in error_log.text


def test_validator_finds_no_fault_in_head_requests(site: Site, error_log: LogWatch) -> None:
    with site.connect() as wire:
        for target in ("/declared", "/hello", "/streamed", "/bodiless"):
            assert wire.ask(target, method="HEAD").body == b""
    assert "AssertionError" not in error_log.text


@pytest.mark.no_http2("it has one version")
def test_validator_finds_no_fault_in_http_1_0(site: Site) -> None:
    for target, body, status, expected in CALLS:
        if body is not None:
            continue
        with site.connect() as wire:
            wire.get(target, version="1.0")
            response = wire.response()
            assert (response.status, response.body) == (status, expected)


def test_validator_finds_no_fault_in_absolute_and_encoded_targets(site: Site) -> None:
    for target in ("http://test/hello", "/hell%6F", "/%68ello?%00", "//hello/%ff"):
        assert site.ask(target).status in (200, 404)
