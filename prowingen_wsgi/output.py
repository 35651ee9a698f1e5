"""What the server itself writes to standard output and standard error.

Its own lines go to the descriptor: `sys.stderr` is the application's to replace, and one that wraps
its buffer in another stream closes that buffer with it. What the application has written lies in
those streams' buffers, and is flushed before the process ends without the interpreter's clean-up.
"""

from __future__ import annotations

import logging
import sys
from contextlib import suppress

from .originals import os

_STDOUT, _STDERR = 1, 2


def write_error(text: str) -> None:
    """Writes to standard error, in one piece as far as the kernel lets it. Raises OSError."""
    _write(_STDERR, text)


def write_output(text: str) -> None:
    """Writes to standard output, after what the application has printed. Raises OSError."""
    flush_standard_streams()
    with suppress(Exception):  # another stream, if the application has replaced this one
        sys.__stdout__.flush()  # type: ignore[union-attr]
    _write(_STDOUT, text)


def _write(descriptor: int, text: str) -> None:
    data = text.encode(errors="backslashreplace")
    while data:
        data = data[os.write(descriptor, data) :]


def print_error(message: str) -> None:
    """One line, or more, of the command's; lost if nobody reads them."""
    with suppress(OSError):
        write_error(f"prowingen: {message}\n")


def flush_standard_streams() -> None:
    """Whatever they are by now."""
    for stream in (sys.stdout, sys.stderr):
        # Its reader is gone, it is closed, or it is no stream at all.
        with suppress(Exception):
            stream.flush()


class StandardErrorHandler(logging.Handler):
    """Shows records on standard error.

    It needs no lock, which gevent or eventlet would replace by one of theirs, and a child that was
    forked in the middle of a line might find taken.
    """

    def handle(self, record: logging.LogRecord) -> bool:
        shown: object = self.filter(record)  # from Python 3.12 on perhaps another record
        if shown:
            self.emit(shown if isinstance(shown, logging.LogRecord) else record)
        return bool(shown)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            write_error(self.format(record) + "\n")
        except Exception:  # noqa: BLE001  # a record whose arguments do not fit, a full disk
            self.handleError(record)
