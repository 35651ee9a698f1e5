"""WebSockets that are sent the same: made a frame and compressed once, and sent natively."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._native import broadcast
from .originals import thread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ._native import WebSocket


class Room:
    """A set of WebSockets, for any thread. Those that are closed leave it at the next broadcast.

    publish: called with what is broadcast, in place of sending it here alone: it tells the other
        processes, this one among them, each of which calls `deliver` with it. Without one a room
        is this process's.
    """

    def __init__(self, publish: Callable[[str | bytes], object] | None = None) -> None:
        self._publish = publish
        self._lock = thread.allocate_lock()
        self._members: set[WebSocket] = set()

    def add(self, websocket: WebSocket) -> None:
        with self._lock:
            self._members.add(websocket)

    def discard(self, websocket: WebSocket) -> None:
        """Nothing if it is not in it."""
        with self._lock:
            self._members.discard(websocket)

    def _begin_anew(self) -> None:
        """In a child that was forked: the members are the parent's."""
        self._lock = thread.allocate_lock()
        self._members = set()

    def __len__(self) -> int:
        return len(self._members)

    def __contains__(self, websocket: object) -> bool:
        return websocket in self._members

    def __iter__(self) -> Iterator[WebSocket]:
        """Those that are in it now."""
        with self._lock:
            return iter(tuple(self._members))

    def broadcast(self, data: str | bytes) -> None:
        """Sends a message to all that are in it, of every process if there is a `publish`.

        Waits for none of them: who takes so little that `max_queue` is full is closed.
        """
        if self._publish is None:
            self.deliver(data)
        else:
            self._publish(data)

    def deliver(self, data: str | bytes) -> None:
        """Sends a message to those of this process."""
        with self._lock:
            members = tuple(self._members)
        gone = broadcast(members, data)
        if gone:
            with self._lock:
                self._members.difference_update(gone)
