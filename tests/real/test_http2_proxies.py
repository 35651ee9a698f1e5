"""Proxies that speak HTTP/2 to the server, as HAProxy does, or in front of it, as nginx does."""

from __future__ import annotations

import http.client
import importlib
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from harness.h2wire import H2Wire
from harness.load import under_load
from harness.process import run_server
from harness.proxies import run_haproxy, run_nginx, upstream
from harness.waiting import eventually
from harness.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from harness.site import ServeFixture

over_http2: Any = importlib.import_module("apps.over_http2")

pytestmark = [
    pytest.mark.no_tls("the proxies speak cleartext to it"),
    pytest.mark.no_http2("it speaks HTTP/2 by itself"),
    pytest.mark.timeout(90),
]

MUCH = bytes(range(256)) * (10 << 12)
"""10 MiB."""
CLIENTS, EACH = 20, 10
RELOADS = 3


class Endpoint:
    tls = None

    def __init__(self, port: int) -> None:
        self.address = ("127.0.0.1", port)


@pytest.fixture
def haproxy(serve: ServeFixture, tmp_path: Path) -> Iterator[int]:
    """Its port."""
    server = f"{upstream(serve(over_http2.app).address)} proto h2"
    with run_haproxy(tmp_path, server, "http-reuse always") as port:
        yield port


def ask(port: int, path: str = "/", body: bytes | None = None) -> bytes:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request("GET" if body is None else "POST", path, body)
        answer = connection.getresponse()
        assert answer.status == 200
        return answer.read()


def test_haproxy_asks_many_things_at_once(haproxy: int) -> None:
    def ask_often(_: int) -> list[bytes]:
        return [ask(haproxy) for _ in range(EACH)]

    with ThreadPoolExecutor(CLIENTS) as pool:
        answers = [answer for some in pool.map(ask_often, range(CLIENTS)) for answer in some]
    assert len(answers) == CLIENTS * EACH
    assert {answer.split()[0] for answer in answers} == {b"HTTP/2.0"}


def test_haproxy_carries_ten_mebibytes_both_ways(haproxy: int) -> None:
    assert ask(haproxy, "/echo", MUCH) == MUCH


def test_haproxy_carries_hints_and_trailers(haproxy: int) -> None:
    with Wire(("127.0.0.1", haproxy)) as wire:
        hinted = wire.ask("/hints")
        assert (hinted.status, hinted.informational) == (200, [103])
        wire.send(
            b"POST /trailers HTTP/1.1\r\nHost: a\r\nTE: trailers\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Checksum: 1\r\n\r\n"
        )
        answer = wire.response()
        assert (answer.body, answer.trailers) == (b"body", [("x-checksum", "1")])


def test_haproxys_client_that_leaves_ends_its_stream_alone(haproxy: int) -> None:
    over_http2.ENDLESS_ENDED.clear()
    with Wire(("127.0.0.1", haproxy)) as wire:
        wire.get("/endless")
        assert len(wire.socket.recv(1 << 16)) > 0
    assert over_http2.ENDLESS_ENDED.wait(10), "the application goes on"
    assert ask(haproxy).startswith(b"HTTP/2.0 ")


def test_reloads_lose_none_of_haproxys_requests(engine: str, tmp_path: Path) -> None:
    with run_server("apps.over_http2:app", engine, "--workers", "2") as server:

        def generations() -> int:
            return server.log.count(" is ready")

        assert eventually(lambda: generations() >= 2), server.log
        where = f"{upstream(server.address)} proto h2"
        with (
            run_haproxy(tmp_path, where, "http-reuse always") as port,
            under_load(("127.0.0.1", port)) as load,
        ):
            for reload in range(1, RELOADS + 1):
                load.wait_for_answers(100)
                server.signal(signal.SIGHUP)
                assert eventually(lambda goal=2 + 2 * reload: generations() >= goal), server.log  # type: ignore[misc]
        assert load.failures == []


def test_nginx_speaks_http2_in_front(serve: ServeFixture, tmp_path: Path) -> None:
    site = serve(over_http2.app)
    with (
        run_nginx(tmp_path, upstream(site.address), listen="http2") as port,
        H2Wire(Endpoint(port)) as wire,
    ):
        streams = [wire.start("GET", "/") for _ in range(100)]
        answers = [wire.response(stream).body for stream in streams]
        assert {answer.split()[0] for answer in answers} == {b"HTTP/1.1"}
        assert wire.ask("/echo", "POST", body=MUCH[: 1 << 20]).body == MUCH[: 1 << 20]
