"""An application of WebSockets that sends back what comes, in either style, and clients of it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from prowingen_wsgi import websocket

from harness.apps import Environ, StartResponse, hello
from harness.waiting import eventually
from harness.websocket_wire import WebSocketWire

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.site import Site

PATIENCE = 10.0

in_both_styles = pytest.mark.parametrize("style", ["blocking", "evented"])


class Echo:
    """Sends back what comes, in either style."""

    def __init__(self, style: str, **wanted: Any) -> None:
        self.style = style
        self.wanted = {"origins": "*", **wanted}
        self.closed: list[tuple[int, str]] = []
        self.over = threading.Event()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if not websocket.is_websocket(environ):
            return hello(environ, start_response)
        if self.style == "evented":
            websocket.accept(
                environ, on_message=self.on_message, on_close=self.on_close, **self.wanted
            )
        else:
            self.converse(websocket.accept(environ, **self.wanted))
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"no answer any more"]

    def on_message(self, ws: websocket.WebSocket, message: str | bytes) -> None:
        ws.send(message)

    def on_close(self, ws: websocket.WebSocket, code: int, reason: str) -> None:
        assert (code, reason) == (ws.close_code, ws.close_reason)
        self.closed.append((code, reason))
        self.over.set()

    def converse(self, ws: websocket.WebSocket) -> None:
        for message in ws:
            ws.send(message)
        assert ws.close_code is not None
        self.closed.append((ws.close_code, ws.close_reason or ""))
        self.over.set()


def open_to(site: Site, *fields: str) -> WebSocketWire:
    return WebSocketWire(site.connect(), "/", *fields)


def is_settled(site: Site) -> bool:
    def settled() -> bool:
        stats = site.server.stats()
        return not stats["websockets_open"] and not stats["workers_away"]

    return eventually(settled)
