"""The error log: what the server has to say, through Python's `logging`.

Everything goes to the logger `prowingen_wsgi.error`. A program that embeds a server configures
logging as it likes; the command line has a handler of its own. What says nothing of this logger
does not silence it: neither `logging.disable`, nor a `dictConfig` that disables all it is not told
about, as it does unless asked not to. The application's own exceptions would then go nowhere.
"""

from __future__ import annotations

import logging
import traceback
from typing import TYPE_CHECKING

from .originals import time
from .output import StandardErrorHandler, write_error

if TYPE_CHECKING:
    from collections.abc import Callable

error_log = logging.getLogger("prowingen_wsgi.error")


class _NotDisabled:
    @property
    def disabled(self) -> bool:
        return False

    @disabled.setter
    def disabled(self, _value: bool) -> None:
        """What `dictConfig` sets."""

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802  # logging's name
        """As a logger's own, but for `logging.disable`."""
        effective: int = self.getEffectiveLevel()  # type: ignore[attr-defined]
        return level >= effective


def keep_enabled(logger: logging.Logger) -> None:
    """Makes a logger one that its level, filters and handlers can silence, and nothing else.

    Of whatever class it is: the program may have made and configured it before.
    """
    if not isinstance(logger, _NotDisabled):
        logger.__class__ = type("ErrorLog", (_NotDisabled, type(logger)), {})


keep_enabled(error_log)

_FORMAT = "%(asctime)s [%(process)d] %(levelname)s %(message)s"


def log_native_event(level: int, message: str, exception: BaseException | None) -> None:
    """Takes what the native side reports, at one of logging's levels."""
    try:
        error_log.log(level, message, exc_info=exception)
    except Exception:  # noqa: BLE001  # a filter or a factory of records of the application's
        write_error(f"the error log failed: {message}\n{traceback.format_exc()}")


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
    handler = StandardErrorHandler()
    handler.setFormatter(logging.Formatter(_FORMAT))
    package = logging.getLogger("prowingen_wsgi")
    package.handlers[:] = [handler]
    package.setLevel(level.upper())
    # An application that gives the root logger a handler would show every line twice.
    package.propagate = False
