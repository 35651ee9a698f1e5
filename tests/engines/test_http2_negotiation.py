"""Which version of HTTP a connection speaks: as it was agreed on over TLS, or as it begins."""

from __future__ import annotations

import json
import ssl
from typing import TYPE_CHECKING

import pytest

from harness.apps import Echo, hello
from harness.certificates import client_context, server_files
from harness.h2wire import H2Wire

if TYPE_CHECKING:
    from harness.site import ServeFixture

pytestmark = pytest.mark.no_http2("it speaks HTTP/2 by itself")

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])


@pytest.mark.no_tls("over TLS it is agreed on")
def test_one_port_speaks_both_without_tls(serve: ServeFixture) -> None:
    site = serve(Echo())
    with H2Wire(site) as two, site.connect() as one:
        assert json.loads(two.ask("/").body)["environ"]["SERVER_PROTOCOL"] == "HTTP/2.0"
        assert json.loads(one.ask().body)["environ"]["SERVER_PROTOCOL"] == "HTTP/1.1"
        assert two.ask("/").status == 200


@pytest.mark.no_tls("over TLS it is agreed on")
@pytest.mark.parametrize("cut", [1, 3, 4, 14, 18, 23, 24, 25, 32])
def test_the_preface_may_come_in_parts(serve: ServeFixture, cut: int) -> None:
    with serve(hello).connect() as wire:
        whole = PREFACE + SETTINGS
        wire.send(whole[:cut])
        assert wire.is_silent(0.02) or cut >= len(PREFACE)
        wire.send(whole[cut:])
        assert wire.take()[3] == 4, "its own SETTINGS"


@pytest.mark.no_tls("over TLS it is agreed on")
@pytest.mark.parametrize("begin", [b"PRIVET / HTTP/1.1", b"PR / HTTP/1.1", b"PRI / HTTP/1.1"])
def test_what_begins_alike_is_a_request_of_http1(serve: ServeFixture, begin: bytes) -> None:
    with serve(Echo()).connect() as wire:
        wire.send(begin + b"\r\nHost: a\r\n\r\n")
        assert wire.response().status == 200


@pytest.mark.no_tls("over TLS it is agreed on")
def test_the_preface_is_no_request_later_on(serve: ServeFixture) -> None:
    with serve(hello).connect() as wire:
        wire.ask()
        wire.send(PREFACE)
        assert wire.response().status in (400, 505)


@pytest.mark.no_tls("over TLS it is agreed on")
def test_1_1_alone(serve: ServeFixture) -> None:
    with serve(hello, http="1.1").connect() as wire:
        wire.send(PREFACE + SETTINGS)
        assert wire.response().status in (400, 505)


@pytest.mark.parametrize(
    ("http", "offered", "agreed"),
    [
        ("auto", ["h2", "http/1.1"], "h2"),
        ("auto", ["http/1.1", "h2"], "h2"),
        ("auto", ["http/1.1"], "http/1.1"),
        ("auto", [], None),
        ("1.1", ["h2", "http/1.1"], "http/1.1"),
        ("2", ["http/1.1", "h2"], "h2"),
    ],
)
def test_tls_agrees_on_it(
    serve: ServeFixture, http: str, offered: list[str], agreed: str | None
) -> None:
    site = serve(hello, http=http, certfile=server_files().certfile, keyfile=server_files().keyfile)
    context = client_context()
    if offered:
        context.set_alpn_protocols(offered)
    with site.connect(tls=context) as wire:
        assert isinstance(wire.socket, ssl.SSLSocket)
        assert wire.socket.selected_alpn_protocol() == agreed
        if agreed != "h2":
            assert wire.ask().status == 200


def test_upgrade_to_h2c_is_answered_on_http1(serve: ServeFixture) -> None:
    """RFC 9113 has retired it; Java's client asks with every first request."""
    with serve(hello).connect() as wire:
        wire.send(
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\n"
            b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n\r\n"
        )
        answer = wire.response()
        assert (answer.status, answer.body) == (200, b"hello")
        assert wire.ask().body == b"hello"
