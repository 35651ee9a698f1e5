"""The opening handshake of prowingen_wsgi.websocket.accept (RFC 6455 section 4.2)."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from prowingen_wsgi import websocket

from harness.apps import Environ, StartResponse, hello
from harness.echoing import PATIENCE, Echo, in_both_styles, is_settled, open_to
from harness.switching import head_of
from harness.waiting import eventually
from harness.websocket_wire import (
    handshake,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.logwatch import LogWatch
    from harness.site import ServeFixture

pytestmark = pytest.mark.http3


@in_both_styles
@pytest.mark.no_http2("has none of this there")
def test_handshake_is_that_of_the_rfc(serve: ServeFixture, style: str) -> None:
    wanted: dict[str, Any] = {
        "subprotocols": ("chat.v2", "chat.v1"),
        "headers": [("Set-Cookie", "a=b"), ("X-Own", "1")],
    }
    with serve(Echo(style, **wanted)).connect() as wire:
        key = "dGhlIHNhbXBsZSBub25jZQ=="
        wire.send(
            handshake(
                "/",
                f"Sec-WebSocket-Key: {key}",
                "Sec-WebSocket-Protocol: x, chat.v1",
                "Sec-WebSocket-Protocol: chat.v2",
                without="Sec-WebSocket-Key",
            )
        )
        status, fields = head_of(wire)
        assert status == "HTTP/1.1 101 Switching Protocols"
        assert fields["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        assert fields["upgrade"] == "websocket"
        assert fields["connection"].lower() == "upgrade"
        assert fields["sec-websocket-protocol"] == "chat.v2", "the application's first"
        assert fields["set-cookie"] == "a=b"
        assert fields["x-own"] == "1"
        assert not {"content-length", "transfer-encoding", "content-type"} & set(fields)


@in_both_styles
@pytest.mark.parametrize(
    ("fields", "without", "status"),
    [
        (("Sec-WebSocket-Version: 8",), "Sec-WebSocket-Version", 426),
        ((), "Sec-WebSocket-Version", 426),
        (("Origin: https://elsewhere.example",), "", 403),
        (("Origin: null",), "", 403),
        (("Origin: http://localhost.elsewhere.example",), "", 403),
    ],
)
def test_handshake_that_is_none_is_answered(
    serve: ServeFixture,
    style: str,
    fields: tuple[str, ...],
    without: str,
    status: int,
    error_log: LogWatch,
) -> None:
    echo = Echo(style, origins="same")
    site = serve(echo)
    with site.connect() as wire:
        wire.send(handshake("/", *fields, without=without))
        response = wire.response()
        assert response.status == status
        if status == 426 and not site.has_streams:
            assert response.get("sec-websocket-version") == "13"
            assert response.get("upgrade") == "websocket"
        wire.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert wire.response().status == 200, "the connection is as it was"
    assert "ERROR" not in error_log.text
    assert site.server.stats()["websockets_accepted"] == 0


@pytest.mark.no_http2("has no key")
@pytest.mark.parametrize("keys", [(), ("short",), ("dGhlIHNhbXBsZSBub25jZQ==",) * 2])
def test_a_key_is_one_and_whole(serve: ServeFixture, keys: tuple[str, ...]) -> None:
    with serve(Echo("evented")).connect() as wire:
        fields = [f"Sec-WebSocket-Key: {key}" for key in keys]
        wire.send(handshake("/", *fields, without="Sec-WebSocket-Key"))
        assert wire.response().status == 400


@pytest.mark.parametrize(
    ("origins", "origin"),
    [
        ("same", "{scheme}://localhost"),
        ("*", "https://elsewhere.example"),
        (["https://elsewhere.example"], "https://elsewhere.example"),
        (["https://elsewhere.example"], None),
    ],
)
def test_origins(serve: ServeFixture, origins: Any, origin: str | None) -> None:
    site = serve(Echo("evented", origins=origins))
    scheme = "http" if site.tls is None else "https"
    fields = () if origin is None else (f"Origin: {origin.format(scheme=scheme)}",)
    assert open_to(site, *fields).ask("hi") == "hi"


def test_another_request_has_none(serve: ServeFixture) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        assert not websocket.is_websocket(environ)
        with pytest.raises(websocket.HandshakeError) as caught:
            websocket.accept(environ)
        assert caught.value.status == 426
        return hello(environ, start_response)

    assert serve(app).ask("/").status == 200


def test_wrong_arguments_are_told_and_nothing_is_sent(serve: ServeFixture) -> None:
    wrong: list[tuple[dict[str, Any], type[Exception]]] = [
        ({"origins": "example.com"}, ValueError),
        ({"on_full": "drop"}, ValueError),
        ({"max_message": 0}, ValueError),
        ({"ping_interval": -1}, ValueError),
        ({"on_message": "x"}, TypeError),
        ({"headers": [("a b", "c")]}, ValueError),
        ({"headers": [("a", 1)]}, TypeError),
        ({"subprotocols": (1,)}, TypeError),
        ({"subprotocols": "chat"}, TypeError),
        ({"headers": [("Sec-WebSocket-Accept", "x")]}, ValueError),
        ({"headers": [("upgrade", "x")]}, ValueError),
    ]

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        for arguments, error in wrong:
            with pytest.raises(error):
                websocket.accept(environ, **arguments)
        return hello(environ, start_response)

    site = serve(app)
    with site.connect() as wire:
        wire.send(handshake())
        assert wire.response().status == (400 if site.has_streams else 200)


def test_windows_are_of_9_to_15_bits() -> None:
    for bits in (8, 16):
        with pytest.raises(ValueError, match="server_window"):
            websocket.Compression(server_window=bits)


def test_a_request_is_accepted_once_and_not_after_its_answer(serve: ServeFixture) -> None:
    kept: list[Environ] = []
    told = threading.Event()

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if kept:
            with pytest.raises(ValueError, match="after the application returned"):
                websocket.accept(kept[0])
            told.set()
            return hello(environ, start_response)
        kept.append(environ)
        websocket.accept(environ, on_message=lambda ws, message: ws.send(message))
        with pytest.raises(RuntimeError, match="already"):
            websocket.accept(environ)
        return []

    site = serve(app)
    assert open_to(site).ask("x") == "x"
    assert site.ask("/").status == 200
    assert told.is_set()


def test_a_page_that_is_none_is_told_that_it_is_a_websocket(
    serve: ServeFixture, error_log: LogWatch
) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        del start_response
        websocket.accept(environ)
        return []

    response = serve(app).ask("/")
    assert response.status == 426
    assert "ERROR" not in error_log.text


def test_another_protocol_is_not_taken_for_it(serve: ServeFixture) -> None:
    with serve(Echo("evented", origins="*")).connect() as wire:
        wire.send(handshake("/", "Upgrade: echo", without="Upgrade"))
        assert wire.response().text == "hello"


@in_both_styles
def test_of_several_threads_one_accepts(serve: ServeFixture, style: str) -> None:
    """While its worker is replaced others run."""

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        del start_response
        go = threading.Barrier(4)
        wanted: dict[str, Any] = {}
        if style == "evented":
            wanted["on_message"] = lambda ws, message: ws.send(message)

        def accept() -> None:
            go.wait(PATIENCE)
            try:
                accepted.append(websocket.accept(environ, origins="*", **wanted))
            except (RuntimeError, ValueError) as error:
                refused.append(error)

        threads = [threading.Thread(target=accept) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if style == "blocking":
            for message in accepted[-1]:
                accepted[-1].send(message)
        return []

    accepted: list[websocket.WebSocket] = []
    refused: list[Exception] = []
    site = serve(app, threads=2)
    for n in range(1, 21):
        ws = open_to(site)
        assert ws.ask("x") == "x"
        ws.close()
        assert ws.closed() == (1000, "")
        assert eventually(lambda n=n: (len(accepted), len(refused)) == (n, 3 * n))  # type: ignore[misc]
    assert is_settled(site)


def test_a_thread_that_accepts_as_the_call_ends_harms_nobody(serve: ServeFixture) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        def accept() -> None:
            begun.set()
            try:
                websocket.accept(environ, origins="*")
            except (RuntimeError, ValueError, ConnectionError) as error:
                refused.append(error)

        begun = threading.Event()
        thread = threading.Thread(target=accept)
        thread.start()
        threads.append(thread)
        begun.wait(PATIENCE)
        return hello(environ, start_response)

    threads: list[threading.Thread] = []
    refused: list[Exception] = []
    site = serve(app, threads=2)
    for _ in range(200):
        wire = site.connect()
        wire.send(handshake())
        wire.close()
    assert eventually(lambda: site.server.stats()["requests_taken"] > 0)
    for thread in threads:
        thread.join(PATIENCE)
    assert is_settled(site)
