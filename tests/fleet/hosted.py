"""The application of the hosts: an answer says who has given it, and of which version."""

from __future__ import annotations

import json
import os
import threading
import time
from typing import TYPE_CHECKING

from prowingen_wsgi import websocket

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

HOST, VERSION = (os.environ.get(f"FLEET_{name}", "") for name in ("HOST", "VERSION"))
SLOW = 0.7  # seconds
PIECES, GAP = 4, 0.15  # seconds


def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    path = environ["PATH_INFO"]
    if websocket.is_websocket(environ):
        websocket.accept(environ, on_message=lambda ws, message: ws.send(message))
        return []
    if path == "/slow":
        time.sleep(SLOW)
    elif path == "/stuck":
        threading.Event().wait()
    body = environ["wsgi.input"].read()
    start_response(
        "200 OK",
        [("Content-Type", "text/plain"), ("X-Host", HOST), ("X-Version", VERSION)],
    )
    if path == "/stream":
        return stream()
    if path == "/environ":
        names = ("REMOTE_ADDR", "wsgi.url_scheme", "HTTP_HOST", "REQUEST_METHOD")
        return [json.dumps({name: environ.get(name) for name in names}).encode()]
    return [str(len(body)).encode()]


def stream() -> Iterator[bytes]:
    for number in range(PIECES):
        yield f"piece {number}\n".encode()
        time.sleep(GAP)
