"""WebSockets that echo, and requests beside them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from prowingen_wsgi import websocket

if TYPE_CHECKING:
    from collections.abc import Iterable


def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    if websocket.is_websocket(environ):
        websocket.accept(environ, on_message=lambda ws, message: ws.send(message))
        return []
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
