"""How the command's process ends."""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import suppress
from typing import NoReturn

from .logs import error_log


def staying_threads() -> list[str]:
    """Names of the application's threads that the interpreter waits for at its exit."""
    main = threading.main_thread()
    return [each.name for each in threading.enumerate() if each is not main and not each.daemon]


def tell_what_stays() -> None:
    """Says why a process that has stopped serving goes on."""
    if names := staying_threads():
        error_log.warning(
            "this process ends when these threads of the application do, which are no daemons: %s",
            ", ".join(names),
        )


class LastWord:
    """Ends the process by SIGINT if that is what ended the server.

    A shell that waits for a command stops its script only if the command died of the signal.
    """

    def __init__(self) -> None:
        self.interrupted = False

    def speak(self) -> None:
        """At the interpreter's exit."""
        if self.interrupted:
            self._die()

    def now(self) -> NoReturn:
        """Ends the process without the interpreter's clean-up.

        That would unwind threads which are still in the application, through native frames.
        """
        if self.interrupted:
            self._die()
        self._flush()
        os._exit(0)

    def _die(self) -> None:
        self._flush()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)

    def _flush(self) -> None:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):  # its reader is gone, or it is closed
                stream.flush()
