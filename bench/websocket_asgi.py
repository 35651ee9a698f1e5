"""The rows of WebSockets as an ASGI application; `bench.websocket_apps` says what they ask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.apps import HELLO
from bench.websocket_news import GO, NEWS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Receive = Callable[[], Awaitable[dict[str, Any]]]
    Send = Callable[[dict[str, Any]], Awaitable[None]]

HEAD = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(HELLO))],
}
BODY = {"type": "http.response.body", "body": HELLO}
members: set[Send] = set()


async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        await send(HEAD)
        await send(BODY)
    elif scope["type"] == "websocket":
        await receive()
        if scope["path"] == "/room":
            members.add(send)
        await send({"type": "websocket.accept"})
        try:
            await (_talk(receive, send) if scope["path"] == "/room" else _echo(receive, send))
        finally:
            members.discard(send)


async def _echo(receive: Receive, send: Send) -> None:
    while (event := await receive())["type"] == "websocket.receive":
        text = event.get("text")
        if text is None:
            await send({"type": "websocket.send", "bytes": event["bytes"]})
        else:
            await send({"type": "websocket.send", "text": text})


async def _talk(receive: Receive, send: Send) -> None:
    while (event := await receive())["type"] == "websocket.receive":
        if event.get("text") == GO:
            news = {"type": "websocket.send", "text": NEWS}
            # One after the other: none of them has to wait for its client, and a task for each
            # would cost more than its send.
            for member in tuple(members):
                await member(news)
        else:
            await send({"type": "websocket.send", "text": event["text"]})
