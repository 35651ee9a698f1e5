"""What the rows of WebSockets ask of this server: by callbacks, and with a thread for each.

Three paths, here as in every other server's application: `/echo` sends back what comes; `/room`
does so too, but for "go" sends NEWS to all that have come in; any other is hello world. Nobody
compresses, and nobody refuses a message of a row for its length.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.apps import hello
from bench.websocket_news import GO, MAX_MESSAGE, NEWS
from prowingen_wsgi import websocket

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from prowingen_wsgi.websocket import WebSocket

ROOM = websocket.Room()


def send_back(ws: WebSocket, message: str | bytes) -> None:
    ws.send(message)


def tell_all(ws: WebSocket, message: str | bytes) -> None:
    if message == GO:
        ROOM.broadcast(NEWS)
    else:
        ws.send(message)


def evented(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    path = environ["PATH_INFO"]
    if path == "/echo":
        _accept(environ, send_back)
    elif path == "/room":
        ROOM.add(_accept(environ, tell_all))
    else:
        return hello(environ, start_response)
    return []


def blocking(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    if environ["PATH_INFO"] != "/echo":
        return hello(environ, start_response)
    ws = _accept(environ, None)
    for message in ws:
        ws.send(message)
    return []


def _accept(
    environ: WSGIEnvironment, on_message: Callable[[WebSocket, str | bytes], None] | None
) -> WebSocket:
    return websocket.accept(
        environ,
        on_message=on_message,
        origins="*",
        max_message=MAX_MESSAGE,
        on_full="wait",
        compression=False,
    )
