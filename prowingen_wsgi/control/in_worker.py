"""The worker's end of a link: a thread that waits for questions, without the GIL until one comes.

Before that thread runs, while the application is loaded, a signal's handler is there already that
writes the stacks to the link: an import that hangs can be looked at, too.
"""

from __future__ import annotations

import faulthandler
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from .. import logs
from ..forks import keep_from_children
from ..originals import signal, socket
from ..threads import Thread
from .link import KEEPS_MESSAGES, MESSAGE_SIZE, STACKS_SIGNAL
from .stacks import collected

if TYPE_CHECKING:
    from .. import _native


class WorkerLink:
    """In a worker process; for as long as that lives.

    descriptor: the worker's end, taken over; -1: there is no control socket, and so no link.
    """

    def __init__(self, descriptor: int) -> None:
        self._socket = None if descriptor < 0 else socket.socket(fileno=descriptor)
        if self._socket is None:
            return
        keep_from_children(descriptor, self._socket.close)
        if KEEPS_MESSAGES:
            # What it is again when the interpreter ends, and takes the handler back.
            signal.signal(STACKS_SIGNAL, signal.SIG_IGN)
            faulthandler.register(STACKS_SIGNAL, file=descriptor, all_threads=True)
            self._say({"hello": True})

    def serve(self, native: _native.Server) -> None:
        """Answers from now on; before the native side starts. Raises RuntimeError if there can be
        no further thread."""
        if self._socket is not None:
            native.keep_requests()
            Thread("prowingen-control", lambda: self._answer(native)).start()

    def tell_failure(self, why: str) -> None:
        """That it cannot start."""
        self._say({"failed": why})

    def _answer(self, native: _native.Server) -> None:
        assert self._socket is not None
        heard = b""
        while True:
            try:
                data = self._socket.recv(MESSAGE_SIZE)
            except OSError:
                return
            if not data:  # the supervisor has gone, or lets this worker go
                return
            *lines, heard = (heard + data).split(b"\n")
            for line in lines:
                self._obey(json.loads(line), native)

    def _obey(self, question: dict[str, Any], native: _native.Server) -> None:
        number = question["id"]
        if question["do"] == "stacks":
            for each in collected(native.requests()):
                self._say({"id": number, "thread": each})
        elif question["do"] == "log-level":
            logs.tell_level(question["level"])
        self._say({"id": number, "done": True})

    def _say(self, message: dict[str, Any]) -> None:
        if self._socket is not None:
            with suppress(OSError):  # nobody is there who wants to know
                self._socket.sendall(json.dumps(message).encode() + b"\n")
