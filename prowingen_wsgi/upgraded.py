"""The socket that an application is given in place of an upgraded connection.

A real one, with a descriptor: one end of a pair whose other end the server has, which moves what is
written to it to the client, and the other way. So it is plain whatever the connection is.
"""

from __future__ import annotations

import functools
import socket  # the application's: under gevent or eventlet its sockets have to be theirs
from typing import Any

__all__ = ["make_socket"]

Address = tuple[Any, ...] | str


def make_socket(descriptor: int, peer: Address, name: Address) -> socket.socket:
    """A blocking socket that owns the descriptor, and says that its ends are those of the client's
    connection: `peer` and `name`, as `getpeername` and `getsockname` return them."""
    made: socket.socket = _class_of(socket.socket)(fileno=descriptor)
    made.settimeout(None)  # whatever socket.setdefaulttimeout() was told
    made._ends = (peer, name)  # type: ignore[attr-defined]
    return made


@functools.cache
def _class_of(base: Any) -> Any:
    class UpgradedSocket(base):  # type: ignore[misc]
        """The client's connection, as far as another protocol is spoken on it."""

        _ends: tuple[Address, Address] = ("", "")

        def getpeername(self) -> Address:
            return self._ends[0]

        def getsockname(self) -> Address:
            return self._ends[1]

        def dup(self) -> socket.socket:
            copy: Any = super().dup()
            copy._ends = self._ends
            return copy  # type: ignore[no-any-return]

        def __del__(self) -> None:
            # Most applications never look at it: there is nothing in that to be warned of.
            self.close()

    return UpgradedSocket
