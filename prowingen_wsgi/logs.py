"""The error log: what the server has to say, through Python's `logging`.

Everything goes to the logger `prowingen_wsgi.error`. A program that embeds a server configures
logging as it likes; the command line has a handler of its own.
"""

from __future__ import annotations

import logging
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

error_log = logging.getLogger("prowingen_wsgi.error")

_FORMAT = "%(asctime)s [%(process)d] %(levelname)s %(message)s"


def log_native_event(level: int, message: str, exception: BaseException | None) -> None:
    """Takes what the native side reports, at one of logging's levels."""
    error_log.log(level, message, exc_info=exception)


class GuardedAccessLog:
    """Passes lines to a callable of the user's, whose exceptions must not end the log's thread.

    A callable that fails on one line is likely to fail on the next: it is reported once a minute.
    """

    _REPORT_INTERVAL = 60.0

    def __init__(self, take_line: Callable[[str], object]) -> None:
        self._take_line = take_line
        self._lost = 0
        self._next_report = 0.0

    def __call__(self, line: str) -> None:
        try:
            self._take_line(line)
        except Exception:  # noqa: BLE001  # whatever a callable of the user's raises
            self._lost += 1
            now = time.monotonic()
            if now >= self._next_report:
                self._next_report = now + self._REPORT_INTERVAL
                error_log.exception(
                    "the access log's callable failed; lines lost so far: %d", self._lost
                )


def show_on_stderr(level: str) -> None:
    """Sets the error log up for a command: one handler, on standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter(_FORMAT))
    package = logging.getLogger("prowingen_wsgi")
    package.handlers[:] = [handler]
    package.setLevel(level.upper())
    # An application that gives the root logger a handler would show every line twice.
    package.propagate = False


def keep_after_application_set_up() -> None:
    """Turns the log on again if the application's logging set-up has turned it off.

    `logging.config.dictConfig` disables every logger it is not told about, unless asked not to:
    the application's own exceptions would then go nowhere.
    """
    for name in ("prowingen_wsgi", "prowingen_wsgi.error"):
        logging.getLogger(name).disabled = False
