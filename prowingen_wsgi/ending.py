"""How the command's process ends."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from typing import NoReturn


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
