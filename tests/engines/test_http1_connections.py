"""How long a connection lives: keep-alive, Connection fields, versions, pipelining."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from harness.apps import PLAIN, Echo, Environ, Gate, StartResponse, answering, hello
from harness.site import start_site

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.site import ServeFixture


def path_app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    body = environ["wsgi.input"].read()
    start_response("200 OK", PLAIN)
    return [environ["PATH_INFO"].encode() + b" " + body]


@pytest.mark.no_http2("it is about a connection of HTTP/1")
def test_http_1_1_connection_is_kept_by_default(serve: ServeFixture) -> None:
    with serve(hello).connect() as wire:
        for _ in range(100):
            response = wire.ask()
            assert not response.closes
            assert response.version == "1.1"


@pytest.mark.no_http2("it is about a connection of HTTP/1")
@pytest.mark.parametrize("token", ["close", "Close", "close, x"])
def test_connection_close_is_announced_and_kept(serve: ServeFixture, token: str) -> None:
    with serve(hello).connect() as wire:
        response = wire.ask("/", f"Connection: {token}")
        assert response.body == b"hello"
        assert response.closes
        wire.expect_closed()


@pytest.mark.no_http2("it is about a connection of HTTP/1")
def test_http_1_0_connection_ends_by_default(serve: ServeFixture) -> None:
    with serve(hello).connect() as wire:
        wire.get(version="1.0")
        assert wire.response().body == b"hello"
        wire.expect_closed()


@pytest.mark.no_http2("it is about a connection of HTTP/1")
def test_http_1_0_keep_alive_is_granted_for_a_known_length(serve: ServeFixture) -> None:
    with serve(hello).connect() as wire:
        for _ in range(3):
            wire.get("/", "Connection: Keep-Alive", version="1.0")
            response = wire.response()
            assert response.body == b"hello"
            assert (response.get("Connection") or "").lower() == "keep-alive"


@pytest.mark.no_http2("it is about a connection of HTTP/1")
def test_http_1_0_without_known_length_ends_the_body_by_closing(serve: ServeFixture) -> None:
    with serve(answering(iter([b"a", b"b"]))).connect() as wire:
        wire.get("/", "Connection: keep-alive", version="1.0")
        response = wire.response()
        assert response.body == b"ab"
        assert response.get("Transfer-Encoding") is None, "RFC 9112 section 6.1"
        wire.expect_closed()


@pytest.mark.no_http2("it is about a connection of HTTP/1")
def test_higher_minor_version_is_served_as_1_1(serve: ServeFixture) -> None:
    """RFC 9110 section 2.5 lets a server answer 1.2 as 1.1; refusing it as 505 is the other way."""
    with serve(hello).connect() as wire:
        wire.get("/", "Connection: close", version="1.2")
        assert wire.response().status in (200, 505)


@pytest.mark.no_http2("streams are not pipelined")
def test_pipelined_requests_are_answered_in_order(serve: ServeFixture) -> None:
    count = 200
    requests = b"".join(
        b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % n
        if n % 3
        else b"POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello" % n
        if n % 2
        else b"POST /%d HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n" % n
        for n in range(count)
    )
    with serve(path_app).connect() as wire:
        sender = threading.Thread(target=wire.send, args=(requests,))
        sender.start()
        for number in range(count):
            body = b"" if number % 3 else b"hello"
            assert wire.response().body == b"/%d " % number + body
        sender.join()


@pytest.mark.no_http2("streams are not pipelined")
def test_slow_first_request_delays_the_pipelined_ones_behind_it(serve: ServeFixture) -> None:
    gate = Gate()

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/slow":
            gate.pass_through()
        return path_app(environ, start_response)

    with serve(app, threads=4).connect() as wire:
        wire.get("/slow")
        wire.get("/fast")
        gate.wait_entered()
        assert wire.is_silent(0.1)
        gate.opened.set()
        assert wire.response().body == b"/slow "
        assert wire.response().body == b"/fast "


@pytest.mark.no_http2("streams are not pipelined")
def test_pipelined_requests_behind_a_close_are_not_answered(serve: ServeFixture) -> None:
    app = Echo()
    with serve(app).connect() as wire:
        wire.send(
            b"GET /1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
            b"GET /2 HTTP/1.1\r\nHost: a\r\n\r\n"
        )
        wire.response()
        wire.expect_closed()
    assert [environ["PATH_INFO"] for environ in app.environs] == ["/1"]


@pytest.mark.no_http2("streams are not pipelined")
def test_pipelined_garbage_is_refused_after_the_good_answers(serve: ServeFixture) -> None:
    with serve(path_app).connect() as wire:
        wire.send(
            b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\nrubbish\r\n\r\n"
        )
        assert wire.response().body == b"/1 "
        assert wire.response().body == b"/2 "
        assert wire.response().status == 400
        wire.expect_closed()


def test_requests_whose_bodies_are_unread_stay_in_step(serve: ServeFixture) -> None:
    with serve(hello).connect() as wire:
        for size in (1, 1000, 50_000):
            wire.post("/", b"G" * size)
            assert wire.response().body == b"hello"


@pytest.mark.no_http2("streams end alone")
def test_client_that_half_closes_still_gets_its_answers(serve: ServeFixture) -> None:
    gate = Gate()

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        gate.pass_through()
        return path_app(environ, start_response)

    with serve(app).connect() as wire:
        wire.get("/1")
        wire.get("/2")
        wire.finish_sending()
        gate.wait_entered()
        gate.opened.set()
        assert wire.response().body == b"/1 "
        assert wire.response().body == b"/2 "
        wire.expect_closed()


def test_many_connections_at_once(serve: ServeFixture) -> None:
    site = serve(path_app)
    wires = [site.connect() for _ in range(200)]
    for number, wire in enumerate(wires):
        wire.get(f"/{number}")
    for number, wire in enumerate(wires):
        assert wire.response().body == b"/%d " % number


def test_connection_that_sends_nothing_and_leaves_is_harmless(serve: ServeFixture) -> None:
    site = serve(hello)
    for _ in range(20):
        site.connect().close()
        site.connect().reset()
    assert site.ask().body == b"hello"


@pytest.mark.parametrize("servers", [1, 40], ids=["one server", "each time anew"])
def test_requests_run_at_once_on_the_threads_given(engine: str, servers: int) -> None:
    """Often, as a wake-up of a worker that gets lost is lost in one time of many."""
    together = threading.Barrier(3)

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        together.wait(timeout=5)
        return hello(environ, start_response)

    for _ in range(servers):
        with start_site(app, engine, threads=3) as site:
            wires = [site.connect() for _ in range(3)]
            for _ in range(200 // servers):
                for wire in wires:
                    wire.get()
                assert [wire.response().body for wire in wires] == [b"hello"] * 3
