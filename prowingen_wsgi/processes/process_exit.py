"""How the command's process ends."""

from __future__ import annotations

from typing import NoReturn

from ..logs import error_log
from ..originals import os, signal
from ..output import flush_standard_streams
from ..threads import non_daemon_threads


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
        flush_standard_streams()
        os._exit(0)

    def _die(self) -> None:
        flush_standard_streams()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
