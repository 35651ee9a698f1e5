"""The socket that an application is given in place of an upgraded connection.

A real one, with a descriptor: one end of a pair whose other end the server has, which moves what is
written to it to the client, and the other way. So it is plain whatever the connection is.
"""

from __future__ import annotations

import contextlib
import functools
import socket  # the application's: under gevent or eventlet its sockets have to be theirs
from typing import TYPE_CHECKING, Any

from .originals import os, thread

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["make_socket"]

Address = tuple[Any, ...] | str


class _Connection:
    """What its copies have in common.

    hold: called before it is first used, and not at all if it is not: most who are given one look
        at it never.
    """

    def __init__(self, peer: Address, name: Address, hold: Callable[[], object]) -> None:
        self.peer = peer
        self.name = name
        self.hold = hold
        self._copies = 1
        self._counting = thread.allocate_lock()
        self.process = os.getpid()

    def copied(self) -> None:
        with self._counting:
            self._copies += 1

    def is_last(self) -> bool:
        """One copy of it is closed: whether no other is open in this process."""
        if self.process != os.getpid():
            return False
        with self._counting:
            self._copies -= 1
            return self._copies == 0


def make_socket(descriptor: int, peer: Address, name: Address, upgrade: Any) -> socket.socket:
    """A blocking socket that owns the descriptor, and says that its ends are those of the client's
    connection: `peer` and `name`, as `getpeername` and `getsockname` return them.

    upgrade: `hold` of it is called before anything is read or written.
    """
    try:
        made: Any = _unused_class_of(socket.socket)(fileno=descriptor)
    except BaseException:
        os.close(descriptor)
        raise
    made._connection = _Connection(peer, name, upgrade.hold)
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
                self._connection.copied()
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


# By whichever of these a library begins; `fileno` is what selectors and os.read() need.
_USES = (
    *("send", "sendall", "sendmsg", "sendfile", "makefile", "fileno", "detach", "dup"),
    *("recv", "recv_into", "recvfrom", "recvfrom_into", "recvmsg", "recvmsg_into"),
)


@functools.cache
def _unused_class_of(base: Any) -> Any:
    """That of one that is not used yet, whose class changes with the first use: so that no use
    costs more than the socket's own."""
    used = _class_of(base)

    class UnusedSocket(used):  # type: ignore[misc, valid-type]
        __doc__ = used.__doc__

    def first(name: str) -> Any:
        @functools.wraps(getattr(used, name))
        def use(self: Any, *arguments: Any, **named: Any) -> Any:
            if self._connection is not None:
                self._connection.hold()
            self.__class__ = used
            return getattr(self, name)(*arguments, **named)

        return use

    for name in _USES:
        if hasattr(used, name):
            setattr(UnusedSocket, name, first(name))
    return UnusedSocket
