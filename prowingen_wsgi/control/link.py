"""What a supervisor and one of its workers say to each other for the control socket.

    supervisor --- {"id": 1, "do": "stacks"} ---------------------> worker
               <-- {"id": 1, "thread": {...}}  {"id": 1, "done": true}
               <-- {"hello": true}, {"failed": "why it could not start"}
               <-- text of faulthandler's, which its signal has written

A pair of sockets that keep messages whole (SOCK_SEQPACKET): what faulthandler writes, in the
handler of a signal, in small pieces and at any moment, never ends up within a message of JSON.
Where there are no such sockets (macOS) they are streams, and no signal is sent.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from ..originals import signal, socket, time

if TYPE_CHECKING:
    from collections.abc import Callable

KEEPS_MESSAGES = sys.platform == "linux"
"""Whether a dump by a signal can be told from what else is said."""

# One that neither the C library, Python, debuggers nor other servers are known to use.
STACKS_SIGNAL: int = signal.SIGRTMAX - 3 if KEEPS_MESSAGES else 0
"""Has a process write its stacks to its link, whoever has the GIL."""

MESSAGE_SIZE = 1 << 18
_MOST_DUMP = 1 << 20
_READS_A_TURN = 512


def pair() -> tuple[socket.socket, socket.socket]:
    """The supervisor's end and the worker's. Raises OSError."""
    kind = socket.SOCK_SEQPACKET if KEEPS_MESSAGES else socket.SOCK_STREAM
    ours, theirs = socket.socketpair(socket.AF_UNIX, kind)
    ours.setblocking(False)
    return ours, theirs


class Asked:
    """What has come for one question. `messages`: without their ids."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.is_done = False


class Link:
    """The supervisor's end, which never waits.

    says_hello: the worker's signal handler is there.
    failure: why it could not start; empty if it has not said so.
    is_over: the worker has closed its end, or is about to have ended; nothing more comes.
    """

    def __init__(self, ours: socket.socket, clock: Callable[[], float] = time.monotonic) -> None:
        self._socket = ours
        self._clock = clock
        self._asked: dict[int, Asked] = {}
        self._last = 0
        self._heard = b""
        self._dump = bytearray()
        self._dump_at = 0.0
        self.is_over = False
        self.says_hello = False
        self.failure = ""

    def fileno(self) -> int:
        return self._socket.fileno()

    def ask(self, **question: object) -> Asked:
        """Is never done if the worker is gone, or has much to read yet."""
        asked = Asked()
        self._last += 1
        try:
            self._socket.send(json.dumps({"id": self._last, **question}).encode() + b"\n")
        except OSError:
            return asked
        self._asked[self._last] = asked
        return asked

    def forget(self, asked: Asked) -> None:
        """Nobody waits for it any more."""
        self._asked = {key: each for key, each in self._asked.items() if each is not asked}

    def hear(self) -> bool:
        """Takes what has come. False: that was all, and nothing more comes."""
        for _ in range(_READS_A_TURN):
            try:
                data = self._socket.recv(MESSAGE_SIZE)
            except BlockingIOError:
                return True
            except OSError:
                data = b""
            if not data:
                return False
            self._take(data)
        return True

    def begin_dump(self) -> None:
        """What a signal has the worker write is kept from now on."""
        self._dump.clear()
        self._dump_at = self._clock()

    def dump(self, quiet: float) -> str | None:
        """What it has written, if nothing has been added to that for so many seconds."""
        if not self._dump or self._clock() - self._dump_at < quiet:
            return None
        return self._dump.decode(errors="replace")

    def close(self) -> None:
        self.is_over = True
        self._socket.close()

    def _take(self, data: bytes) -> None:
        if KEEPS_MESSAGES and not data.startswith(b'{"'):
            self._dump += data[: _MOST_DUMP - len(self._dump)]
            self._dump_at = self._clock()
            return
        *lines, self._heard = (self._heard + data).split(b"\n")
        for line in lines:
            message = json.loads(line)
            self.says_hello = self.says_hello or "hello" in message
            self.failure = message.get("failed", self.failure)
            asked = self._asked.get(message.pop("id", 0))
            if asked is not None and "done" in message:
                asked.is_done = True
                self.forget(asked)
            elif asked is not None:
                asked.messages.append(message)
