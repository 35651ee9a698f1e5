"""What the server and the application have to say, on its way to gunicorn's error log."""

from __future__ import annotations

import io
import logging
import sys
from typing import Any

from ..logs import error_log, keep_enabled, lock_natively, make_native

_LEVELS = (
    (logging.CRITICAL, "critical"),
    (logging.ERROR, "error"),
    (logging.WARNING, "warning"),
    (logging.INFO, "info"),
)


class _ToGunicorn(logging.Handler):
    """Hands records to a logger of gunicorn's, which may count them for statsd too."""

    def __init__(self, log: Any) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        level = next((name for least, name in _LEVELS if record.levelno >= least), "debug")
        getattr(self._log, level)(record.getMessage(), exc_info=record.exc_info)


def route_errors(log: Any) -> None:
    """Makes gunicorn's logger the only place that the server's messages go to.

    The server's threads write its access log too, which must stand that as well.
    """
    error_log.handlers[:] = [_ToGunicorn(log)]
    error_log.propagate = False
    error_log.setLevel(logging.DEBUG)  # gunicorn's has a level of its own
    target = getattr(log, "error_log", None)
    if isinstance(target, logging.Logger):
        keep_enabled(target)
    requests = getattr(log, "access_log", None)
    if isinstance(requests, logging.Logger):
        make_native(requests)


class ErrorStream(io.TextIOBase):
    """wsgi.errors (PEP 3333): writes to the streams of gunicorn's error log, wherever that goes.

    They are looked up for each write, since a log that is reopened has another one.
    """

    def __init__(self) -> None:
        # Not for each write: to get a logger takes a lock of logging's, which may be patched.
        self._logger = logging.getLogger("gunicorn.error")

    def write(self, text: str) -> int:
        written = False
        for handler in self._logger.handlers:
            lock_natively(handler)
            handler.acquire()  # else a log that is reopened may be closed just now
            try:
                stream = getattr(handler, "stream", None)
                if stream is not None:
                    _put(stream, text)
                    written = True
            finally:
                handler.release()
        if not written:
            _put(sys.stderr, text)
        return len(text)

    def writable(self) -> bool:
        return True


def _put(stream: Any, text: str) -> None:
    stream.write(text)
    stream.flush()
