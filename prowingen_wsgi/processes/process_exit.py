"""How the command's process ends."""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import suppress
from typing import NoReturn

from ..logs import error_log


def non_daemon_threads() -> list[str]:
    """Names of the application's threads that the interpreter waits for at its exit."""
    main = threading.main_thread()
    return [each.name for each in threading.enumerate() if each is not main and not each.daemon]


def warn_of_remaining_threads() -> None:
    """Says why a process that has stopped serving goes on."""
    if names := non_daemon_threads():
        error_log.warning(
            "this process ends when these threads of the application do, which are no daemons: %s",
            ", ".join(names),
        )


class ProcessExit:
    """Ends the process by SIGINT if that is what ended the server.

    A shell that waits for a command stops its script only if the command died of the signal.
    """

    def __init__(self) -> None:
        self.interrupted = False

    def at_interpreter_exit(self) -> None:
        """At the interpreter's exit."""
        if self.interrupted:
            self._die()

    def exit_now(self) -> NoReturn:
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
