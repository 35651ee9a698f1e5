"""HTTPS: what is negotiated, and what becomes of clients that do not speak it as they should."""

from __future__ import annotations

import ssl
import time
from typing import TYPE_CHECKING

import pytest
import trustme

from harness.apps import Echo, hello
from harness.certificates import client_context
from harness.https import asked
from harness.proxyhead import environ_of
from harness.wire import Wire

if TYPE_CHECKING:
    from harness.logwatch import LogWatch
    from harness.site import ServeFixture, Site


def test_plain_http_is_told_so(site: Site) -> None:
    with Wire(site.address) as wire:
        response = wire.ask()
        assert response.status == 400
        assert "this port speaks HTTPS" in response.text
        wire.expect_closed()


def test_plain_http_without_end_is_not_read_to_its_end(
    serve: ServeFixture, options: dict[str, object]
) -> None:
    """Neither is anybody held up by whoever sends it."""
    site = serve(hello, drain_limit=100_000, **options)
    with Wire(site.address) as wire:
        wire.send(b"POST / HTTP/1.1\r\n")
        sent = 0
        while sent < 100_000_000 and wire.send_leniently(bytes(65536)):
            sent += 65536
        assert sent < 100_000_000
    assert site.ask().status == 200


def test_plain_http_with_a_body_gets_its_answer(site: Site) -> None:
    with Wire(site.address) as wire:
        wire.send(b"POST / HTTP/1.1\r\n")
        response = wire.reply()
        assert response.head().status == 400
        wire.send(bytes(100_000))  # what it had yet to send resets nothing
        assert "this port speaks HTTPS" in response.rest().text
        wire.expect_closed()


def test_other_bytes_end_the_connection(site: Site) -> None:
    with Wire(site.address) as wire:
        wire.send(bytes(300))
        wire.read_to_end()
    assert site.ask().status == 200


def test_a_client_without_trust_is_said_in_the_log(site: Site, error_log: LogWatch) -> None:
    with pytest.raises(ssl.SSLError):
        site.connect(tls=client_context(trustme.CA()))
    error_log.wait_for("its TLS handshake failed: tlsv1 alert unknown ca")
    assert site.ask().status == 200


def test_who_only_looks_whether_the_port_is_open_is_no_cause_for_a_word(
    serve: ServeFixture, options: dict[str, object], error_log: LogWatch
) -> None:
    site = serve(hello, **options)
    for sent in (b"", b"\x16\x03\x01"):
        with Wire(site.address) as wire:
            wire.send(sent)
        with Wire(site.address) as wire:
            wire.send(sent)
            wire.reset()
    assert site.ask().status == 200
    assert "handshake" not in error_log.text


def test_a_handshake_has_its_time(serve: ServeFixture, options: dict[str, object]) -> None:
    site = serve(hello, header_timeout=0.3, **options)
    with Wire(site.address) as silent, Wire(site.address) as begun:
        begun.send(b"\x16\x03\x01\x02\x00\x01")
        silent.expect_closed()
        begun.read_to_end()
    assert site.ask().status == 200


def test_handshakes_that_hang_hold_nobody_up(site: Site) -> None:
    hanging = [Wire(site.address) for _ in range(50)]
    try:
        for wire in hanging:
            wire.send(b"\x16\x03\x01")
        begun = time.monotonic()
        assert site.ask().status == 200
        assert time.monotonic() - begun < 5
    finally:
        for wire in hanging:
            wire.close()


def test_a_stop_ends_handshakes(serve: ServeFixture, options: dict[str, object]) -> None:
    site = serve(hello, **options)
    with Wire(site.address) as wire:
        wire.send(b"\x16\x03\x01")
        begun = time.monotonic()
        site.server.stop()
        assert time.monotonic() - begun < 4
        wire.read_to_end()


def test_old_versions_are_refused(serve: ServeFixture, options: dict[str, object]) -> None:
    context = client_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    assert environ_of(asked(serve(Echo(), **options), context))["SSL_PROTOCOL"] == "TLSv1.2"
    newest_only = serve(hello, tls_min_version="1.3", **options)
    with pytest.raises(ssl.SSLError, match="alert protocol version"):
        newest_only.connect(tls=context)


def test_ciphers_of_tls_1_2_can_be_chosen(serve: ServeFixture, options: dict[str, object]) -> None:
    context = client_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    site = serve(Echo(), ciphers="ECDHE+CHACHA20", **options)
    assert "CHACHA20" in environ_of(asked(site, context))["SSL_CIPHER"]
    context.set_ciphers("ECDHE+AESGCM")
    with pytest.raises(ssl.SSLError):
        site.connect(tls=context)


@pytest.mark.no_http2("it is about a connection of HTTP/1")
def test_http_1_1_is_negotiated(serve: ServeFixture, options: dict[str, object]) -> None:
    site = serve(Echo(), http="1.1", **options)
    context = client_context()
    context.set_alpn_protocols(["h2", "http/1.1"])
    with site.connect(tls=context) as wire:
        assert isinstance(wire.socket, ssl.SSLSocket)
        assert wire.socket.selected_alpn_protocol() == "http/1.1"
        assert wire.ask().status == 200
    context.set_alpn_protocols(["ftp"])
    with pytest.raises(ssl.SSLError, match="no application protocol"):
        site.connect(tls=context)


def test_http_2_can_be_negotiated(serve: ServeFixture, options: dict[str, object]) -> None:
    import httpx

    with httpx.Client(http2=True, verify=client_context(), trust_env=False) as client:
        response = client.get(serve(Echo(), http="2", **options).url)
    assert response.http_version == "HTTP/2"
    assert "SSL_PROTOCOL" in response.text
