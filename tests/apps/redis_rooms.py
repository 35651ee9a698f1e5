"""Rooms by path of what may be several processes, over the Redis that ROOMS_REDIS names."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from prowingen_wsgi import websocket
from prowingen_wsgi.contrib.redis_rooms import RedisRooms

if TYPE_CHECKING:
    from collections.abc import Iterable

Environ = dict[str, Any]


class Application:
    """Says who is there when a member is in its room; then all get what one of them says."""

    def __init__(self, rooms: RedisRooms) -> None:
        self.rooms = rooms

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        room = self.rooms.room(environ["PATH_INFO"])

        def on_open(ws: websocket.WebSocket) -> None:
            room.add(ws)
            if environ["QUERY_STRING"] != "alone":
                self.rooms.ready()
            ws.send(str(os.getpid()))

        websocket.accept(
            environ,
            origins="*",
            on_open=on_open,
            on_message=lambda _, message: room.broadcast(message),
            on_close=lambda ws, *_: room.discard(ws),
        )
        return []


app = Application(RedisRooms(os.environ["ROOMS_REDIS"])) if "ROOMS_REDIS" in os.environ else None
