"""HTTPS: clients that come without it are sent on, and told to come by it from now on."""

from __future__ import annotations

import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from harness.apps import hello
from harness.certificates import server_files
from harness.process import TESTS, run_server
from harness.site import address_of
from harness.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from harness.site import ServeFixture, Site


def never(_environ: WSGIEnvironment, _start_response: StartResponse) -> Iterable[bytes]:
    raise AssertionError("no worker is taken")


@pytest.fixture
def site(serve: ServeFixture, options: dict[str, object]) -> Site:
    return serve(never, redirect_http="127.0.0.1:0", **options)


def sent_on(site: Site) -> Wire:
    """A connection to the address without TLS."""
    return Wire(address_of(site.server.redirects[0]))


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"])
def test_every_method_is_sent_on(site: Site, method: str) -> None:
    with sent_on(site) as wire:
        for _ in range(2):
            response = wire.ask("/path", method=method)
            assert response.status == 308
            assert response.get("location") == f"https://test:{site.port}/path"
            assert bool(response.body) == (method != "HEAD")
            assert not response.closes


@pytest.mark.parametrize(
    ("target", "rest"),
    [
        ("/", "/"),
        ("/x?%", "/x?%"),
        ("/a//b/../c;d=e?x=1&y=%20z?", "/a//b/../c;d=e?x=1&y=%20z?"),
        ("/?", "/?"),
        ("//other.example/path", "//other.example/path"),
        ("/%2F%0d%0aSet-Cookie:x", "/%2F%0d%0aSet-Cookie:x"),
        ("http://test/a?b", "/a?b"),
        ("http://test", "/"),
        ("http://test?b", "/?b"),
    ],
)
def test_path_and_query_stay_exactly_as_they_are(site: Site, target: str, rest: str) -> None:
    with sent_on(site) as wire:
        response = wire.ask(target)
    assert response.get("location") == f"https://test:{site.port}{rest}"


def test_the_whole_server_has_no_path(site: Site) -> None:
    with sent_on(site) as wire:
        response = wire.ask("*", method="OPTIONS")
    assert response.get("location") == f"https://test:{site.port}"


@pytest.mark.parametrize(
    ("host", "place"),
    [
        ("example.org", "example.org"),
        ("example.org:8080", "example.org"),
        ("[::1]:80", "[::1]"),
        ("192.0.2.1", "192.0.2.1"),
    ],
)
def test_the_host_is_the_one_that_was_asked_for(site: Site, host: str, place: str) -> None:
    with sent_on(site) as wire:
        wire.send(f"GET /x HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        assert wire.response().get("location") == f"https://{place}:{site.port}/x"


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        b"GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
    ],
)
def test_a_request_that_is_malformed_is_refused(site: Site, request_bytes: bytes) -> None:
    with sent_on(site) as wire:
        wire.send(request_bytes)
        response = wire.response()
        assert response.status == 400
        assert response.get("location") is None


def test_a_body_is_thrown_away(site: Site) -> None:
    with sent_on(site) as wire:
        for body in (b"x" * 100, b"x" * 100_000):
            wire.post("/form", body)
            assert wire.response().status == 308
        wire.send(
            b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"3\r\nabc\r\n0\r\n\r\n"
        )
        assert wire.response().status == 308
        assert wire.ask("/after").status == 308


def test_the_server_stops_with_connections_to_it(
    serve: ServeFixture, options: dict[str, object]
) -> None:
    site = serve(never, redirect_http="127.0.0.1:0", **options)
    with sent_on(site) as wire:
        assert wire.ask().status == 308
        assert site.server.stats()["connections_open"] == 1
        site.server.stop()
        wire.expect_closed()
    with pytest.raises(OSError), sent_on(site):  # noqa: PT011  # refused, or reset
        pass


def test_an_address_that_is_taken_is_said_and_nothing_stays_open(
    serve: ServeFixture, options: dict[str, object]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{port}"):
            serve(hello, redirect_http=f"127.0.0.1:{port}", **options)


def test_it_needs_a_certificate() -> None:
    command = [sys.executable, "-m", "prowingen_wsgi", "apps.plain:app"]
    told = subprocess.run(
        [*command, "--redirect-http", "127.0.0.1:0"],
        capture_output=True,
        text=True,
        cwd=TESTS,
        check=False,
        timeout=20,
    )
    assert told.returncode == 2
    assert "--redirect-http: it needs certfile" in told.stderr


def test_an_address_is_either_served_or_sent_on(tmp_path: Path) -> None:
    files = server_files()
    place = f"unix:{tmp_path}/socket"
    command = [sys.executable, "-m", "prowingen_wsgi", "apps.plain:app", "--bind", place]
    command += ["--certfile", files.certfile, "--keyfile", files.keyfile]
    for more in ([], ["--workers", "1"]):
        told = subprocess.run(
            [*command, "--redirect-http", place, *more],
            capture_output=True,
            text=True,
            cwd=TESTS,
            check=False,
            timeout=20,
        )
        assert told.returncode != 0
        assert "another server listens on it" in told.stderr


def test_workers_send_clients_on_too(engine: str) -> None:
    files = server_files()
    arguments = ["--certfile", files.certfile, "--keyfile", files.keyfile, "--workers", "2"]
    with run_server(
        "apps.plain:app", engine, *arguments, "--redirect-http", "127.0.0.1:0"
    ) as server:
        said = server.wait_for_line(r"redirecting http://127\.0\.0\.1:\d+ to HTTPS")
        with Wire(address_of(said.split()[1])) as wire:
            response = wire.ask("/x?y")
        assert isinstance(server.address, tuple)
        assert response.get("location") == f"https://test:{server.address[1]}/x?y"


# ---------------------------------------------------------------------------- hsts


def with_own(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    fields = [("Content-Length", "2")]
    if environ["PATH_INFO"] == "/own":
        fields.append(("strict-transport-security", "max-age=5; includeSubDomains"))
    start_response("200 OK", fields)
    return [b"ok"]


def test_browsers_are_told_to_come_by_https(
    serve: ServeFixture, options: dict[str, object]
) -> None:
    field = "strict-transport-security"
    site = serve(with_own, hsts="365d", **options)
    assert site.ask().get(field) == "max-age=31536000"
    assert site.ask(method="HEAD").get(field) == "max-age=31536000"
    assert site.ask("/own").get(field) == "max-age=5; includeSubDomains"
    assert serve(with_own, hsts=0.4, **options).ask().get(field) == "max-age=1"
    assert serve(with_own, **options).ask().get(field) is None


def test_nobody_is_told_who_comes_without(serve: ServeFixture) -> None:
    """RFC 6797 section 7.2; a proxy that is believed tells who came by HTTPS to it."""
    field = "strict-transport-security"
    site = serve(with_own, hsts=60, forwarded_allow_ips="127.0.0.1", certfile=(), keyfile=())
    assert site.ask().get(field) is None
    assert site.ask("/", "X-Forwarded-Proto: https").get(field) == "max-age=60"
