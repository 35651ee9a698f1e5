r"""A way to whoever answers the control socket, for processes with an administrators' address.

    worker: socketpair() --one end, as a descriptor--> | door | --> Endpoint, as a connection
              '--its own end: a line of the protocol ----------------> and its answer

What comes through it was asked for by HTTP, natively, without this process's or a worker's GIL. It
is trusted as the workers are, and no more: an application's code runs in them, and could say what
it likes. So without a token of an administrator's, which makes them pass on more, it is good for a
look at the stacks only.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from ..forks import keep_from_children, leave_to_children
from ..originals import os, socket
from .link import KEEPS_MESSAGES
from .protocol import NotDone

if TYPE_CHECKING:
    from collections.abc import Callable

    from .protocol import Request

MOST_CONVERSATIONS = 8

# A byte, with one descriptor.
_MESSAGE_SIZE = 1
_MOST_DESCRIPTORS = 4
# Programs that the application starts in another thread meanwhile do not inherit what comes.
_CLOSE_ON_EXEC: int = getattr(socket, "MSG_CMSG_CLOEXEC", 0)  # macOS has none


class Door:
    """Both ends, in the process that answers; a source of its Endpoint's, see there.

    may_control: whether more may be asked for than the stacks, by now.
    """

    most = MOST_CONVERSATIONS
    ends_with_peer = True  # what has asked has no half-closed sides

    def __init__(self, may_control: Callable[[], bool]) -> None:
        """Raises OSError."""
        self._may_control = may_control
        self._maker = os.getpid()
        kind = socket.SOCK_SEQPACKET if KEEPS_MESSAGES else socket.SOCK_STREAM
        # The outer end stays open here: else the inner one would be readable while nobody has it.
        self._inside, self._outside = socket.socketpair(socket.AF_UNIX, kind)
        self._inside.setblocking(False)
        self._outside.setblocking(False)
        for each in (self._inside, self._outside):
            keep_from_children(each.fileno(), each.close)

    @property
    def outside(self) -> int:
        """The end that is given to processes that serve: this process's number for it."""
        return self._outside.fileno()

    def fileno(self) -> int:
        return self._inside.fileno()

    def accept(self) -> socket.socket:
        """Raises ConnectionAbortedError, besides, for a message without one."""
        # Not `recv_fds`, which passes no flags on.
        found = array("i")
        room = socket.CMSG_LEN(_MOST_DESCRIPTORS * found.itemsize)
        _, ancillary, _, _ = self._inside.recvmsg(_MESSAGE_SIZE, room, _CLOSE_ON_EXEC)
        for level, kind, content in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                found.frombytes(content[: len(content) - len(content) % found.itemsize])
        connection = _connection(found)
        if connection is None:
            raise ConnectionAbortedError("nothing to talk by has come through the door")
        return connection

    def stranger(self, _connection: socket.socket) -> int | None:
        return None

    def refusal(self, request: Request) -> NotDone | None:
        if request.command == "stacks" or self._may_control():
            return None
        return NotDone("without admin_token_file an address shows the stacks alone", code="denied")

    def keep_outside(self) -> None:
        """In a child that is to serve: it has that end, and nothing else of this."""
        self._close(self._inside)
        leave_to_children(self._outside.fileno())  # whoever serves sees to it
        self._outside.detach()

    def forget(self) -> None:
        for each in (self._inside, self._outside):
            self._close(each)

    def close(self) -> None:
        if os.getpid() == self._maker:
            self.forget()

    def _close(self, end: socket.socket) -> None:
        if end.fileno() >= 0:
            leave_to_children(end.fileno())
            end.close()


def _connection(descriptors: array[int]) -> socket.socket | None:
    """Of a message that is none of ours, nothing stays open."""
    connection = None
    for each in descriptors:
        try:
            fresh = socket.socket(fileno=each)
        except OSError:  # it is no socket
            os.close(each)
            continue
        if connection is not None or (fresh.family, fresh.type) != _KIND:
            fresh.close()
            continue
        fresh.setblocking(False)
        if not _CLOSE_ON_EXEC:
            os.set_inheritable(each, False)
        connection = fresh
    return connection


_KIND = (socket.AF_UNIX, socket.SOCK_STREAM)
