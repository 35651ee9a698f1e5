"""The socket that an application is given in place of an upgraded connection.

A real one, with a descriptor: one end of a pair whose other end the server has, which moves what is
written to it to the client, and the other way. So it is plain whatever the connection is.
"""

from __future__ import annotations

import contextlib
import functools
import socket  # the application's: under gevent or eventlet its sockets have to be theirs
from typing import Any

from .originals import os

__all__ = ["make_socket"]

Address = tuple[Any, ...] | str


class _Connection:
    """What its copies have in common."""

    def __init__(self, peer: Address, name: Address) -> None:
        self.peer = peer
        self.name = name
        self.copies = 1
        self.process = os.getpid()

    def is_last(self) -> bool:
        """One copy of it is closed: whether no other is open in this process."""
        self.copies -= 1
        return self.copies == 0 and self.process == os.getpid()


def make_socket(descriptor: int, peer: Address, name: Address) -> socket.socket:
    """A blocking socket that owns the descriptor, and says that its ends are those of the client's
    connection: `peer` and `name`, as `getpeername` and `getsockname` return them."""
    try:
        made: Any = _class_of(socket.socket)(fileno=descriptor)
    except BaseException:
        os.close(descriptor)
        raise
    made._connection = _Connection(peer, name)
    made.settimeout(None)  # whatever socket.setdefaulttimeout() was told
    return made  # type: ignore[no-any-return]


@functools.cache
def _class_of(base: Any) -> Any:
    class UpgradedSocket(base):  # type: ignore[misc]
        """The client's connection, as far as another protocol is spoken on it."""

        _connection: _Connection | None = None

        def getpeername(self) -> Address:
            return "" if self._connection is None else self._connection.peer

        def getsockname(self) -> Address:
            return "" if self._connection is None else self._connection.name

        def dup(self) -> socket.socket:
            copy: Any = super().dup()
            if self._connection is not None:
                self._connection.copies += 1
                copy._connection = self._connection
            return copy  # type: ignore[no-any-return]

        def _real_close(self, *arguments: Any) -> None:
            # A child that was forked meanwhile has copies, by which it would go on for the client.
            connection, self._connection = self._connection, None
            if connection is not None and connection.is_last():
                with contextlib.suppress(OSError):
                    self.shutdown(socket.SHUT_RDWR)
            super()._real_close(*arguments)

        def __del__(self) -> None:
            # Most applications never look at it: there is nothing in that to be warned of.
            self.close()

    return UpgradedSocket
