"""Rooms of several processes, over Redis: what one of them broadcasts reaches the members in all.

    from prowingen_wsgi.contrib.redis_rooms import RedisRooms

    rooms = RedisRooms("redis://localhost:6379/0")
    chat = rooms.room("chat")       # a websocket.Room, of the processes that have one of that name

A process's own members get a message at once, whether or not Redis is there. Those of others get it
by the channel `<prefix>:room:<name>`, which a process listens to while the room has members there.
redis_link.py has how, redis_wire.py what is on the wire.

Nothing is begun before a process has a first member or a first message: `rooms` may be made where
the application is imported, and that before the processes are forked (`--preload`).
"""

from __future__ import annotations

import weakref
from contextlib import suppress
from typing import TYPE_CHECKING

from ..originals import os
from ..threads import Lock
from ..websocket_room import Room
from .redis_link import Link
from .redis_wire import connector

if TYPE_CHECKING:
    from collections.abc import Callable

    import redis

    from .._native import WebSocket

__all__ = ["RedisRoom", "RedisRooms"]


class RedisRooms:
    """The rooms of one Redis, by their names. Any thread may call any method.

    server: a URL (redis://, rediss://, unix://), with `options` as `redis.Redis.from_url` has them;
        or what returns a new `redis.Redis` each time, such as one of a Sentinel.
    prefix: what the names of all channels begin with.
    max_queue: octets that may wait to be sent to Redis; beyond them messages reach this process's
        members alone.

    Raises ImportError without the package redis, ValueError for a URL that is none.
    """

    def __init__(
        self,
        server: str | Callable[[], redis.Redis] = "redis://localhost:6379/0",
        *,
        prefix: str = "prowingen",
        max_queue: int = 16 * 1024 * 1024,
        **options: object,
    ) -> None:
        self._connect = connector(server, options)
        self._prefix = prefix
        self._max_queue = max_queue
        self._rooms: weakref.WeakValueDictionary[str, RedisRoom] = weakref.WeakValueDictionary()
        self._lock = Lock()  # of what follows, and of the rooms
        self._link: Link | None = None  # this process's
        self._closed = False
        _of_this_process.add(self)

    def room(self, name: str) -> RedisRoom:
        """The one of that name, as long as it has members or somebody keeps it."""
        with self._lock:
            room = self._rooms.get(name)
            if room is None:
                room = self._rooms[name] = RedisRoom(self, name)
            return room

    def ready(self, timeout: float = 10.0) -> None:
        """Waits until Redis has confirmed that this process listens to all rooms that have members,
        and is heard. What others broadcast from then on arrives.

        Raises TimeoutError, and RuntimeError when it is closed.
        """
        link = self._open_link()
        if link is None:
            raise RuntimeError("the rooms are closed")
        link.wait_until_ready(timeout)

    def close(self, timeout: float = 5.0) -> None:
        """Sends what waits, and leaves Redis: from now on a room is this process's. Idempotent.

        timeout: seconds that it may take; what is left then is not sent.
        """
        with self._lock:
            self._closed = True
            link, self._link = self._link, None
        if link is not None:
            link.close(timeout)

    def _open_link(self) -> Link | None:
        """This process's, begun if it is the first time; None: closed."""
        with self._lock:
            if self._link is None and not self._closed:
                self._link = Link(self._connect, self._prefix, self._max_queue)
                self._link.start()
            return self._link

    def _forget_link(self) -> None:
        """In a child that was forked: the link is the parent's, as are its threads."""
        self._lock = Lock()
        for room in list(self._rooms.values()):
            room._begin_anew()
        link, self._link = self._link, None
        if link is not None:
            link.abandon()


class RedisRoom(Room):
    """A room whose members are in several processes. What is said of `Room` is true of it; its
    length, its members and who is left out are this process's."""

    def __init__(self, rooms: RedisRooms, name: str) -> None:
        super().__init__(self._publish)
        self._all = rooms
        self.name = name

    def add(self, websocket: WebSocket) -> None:
        super().add(websocket)
        if link := self._all._open_link():
            link.joined(self)

    def discard(self, websocket: WebSocket) -> None:
        super().discard(websocket)
        self._look_who_is_left()

    def deliver(self, data: str | bytes) -> None:
        super().deliver(data)
        self._look_who_is_left()

    def _publish(self, data: str | bytes) -> None:
        self.deliver(data)
        if link := self._all._open_link():
            link.publish(self.name, data)

    def _look_who_is_left(self) -> None:
        link = self._all._link
        if link is not None and not len(self):
            link.left(self)


_of_this_process: weakref.WeakSet[RedisRooms] = weakref.WeakSet()


def _forget_links() -> None:
    for rooms in list(_of_this_process):
        with suppress(Exception):  # of a fork amid whatever its parent did
            rooms._forget_link()


os.register_at_fork(after_in_child=_forget_links)
