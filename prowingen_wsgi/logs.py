"""The error log: what the server has to say, through Python's `logging`.

Everything goes to the logger `prowingen_wsgi.error`. A program that embeds a server configures
logging as it likes; the command line has a handler of its own. What says nothing of this logger
does not silence it: neither `logging.disable`, nor a `dictConfig` that disables all it is not told
about, as it does unless asked not to. The application's own exceptions would then go nowhere. Nor
does what the application puts into logging, and fails, end the server or cost it a thread.

A handler is as good as its lock. One that gevent or eventlet has made is for the greenlets of one
thread, and the server's threads are native: of those that wait for it some would wait for ever. So
all handlers that there are when a server starts are given native locks, and what the server itself
logs through whenever a record comes to it.
"""

from __future__ import annotations

import logging
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from .originals import time
from .output import StandardErrorHandler, print_error
from .threads import RLock

if TYPE_CHECKING:
    from collections.abc import Callable

error_log = logging.getLogger("prowingen_wsgi.error")

# Where the locks come from that are made of what `_thread` has become; its own are of `_thread`.
# Any other may have a purpose of its own, such as one that several processes share.
_OF_PATCHES = {"threading", "gevent", "eventlet"}


class _NativeLock(RLock):  # type: ignore[misc]  # final only in its stub
    """A native lock in place of a former one, which a thread may have at this moment."""

    def __init__(self, former: Any) -> None:
        super().__init__()
        self.former = former

    def release(self) -> None:
        """Of whichever of the two this thread has taken."""
        if self._is_owned():  # type: ignore[attr-defined]
            super().release()
        else:
            self.former.release()


def lock_natively(handler: logging.Handler) -> None:
    """Gives a handler a native lock if it has one that an application's patches made."""
    _replace_lock(handler, "lock")
    target = getattr(handler, "target", None)  # as `logging.handlers.MemoryHandler` has
    if isinstance(target, logging.Handler) and target is not handler:
        lock_natively(target)


def _replace_lock(owner: object, name: str) -> None:
    places = vars(owner)
    lock = places.get(name)
    if type(lock).__module__.partition(".")[0] in _OF_PATCHES:
        # Threads that come here at the same time must not give it several.
        native = places.setdefault(f"_prowingen{name}", _NativeLock(lock))
        native.former = lock
        places[name] = native


def lock_logging_natively() -> None:
    """Does that for all handlers so far, which views log through, and for logging's own lock."""
    _replace_lock(logging, "_lock")
    for reference in list(logging._handlerList):  # type: ignore[attr-defined]
        handler = reference()
        if handler is not None:
            lock_natively(handler)


class _NativelyLocked:
    """A logger that native threads may use: none of them waits for a lock of a patch."""

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802  # logging's name
        """As a logger's own, which remembers the answers under a lock of logging's."""
        logger: Any = self
        return (
            not logger.disabled
            and level > logger.manager.disable
            and level >= logger.getEffectiveLevel()
        )

    def callHandlers(self, record: logging.LogRecord) -> None:  # noqa: N802  # logging's name
        logger: Any = self
        while logger:
            for handler in logger.handlers:
                lock_natively(handler)
            logger = logger.propagate and logger.parent
        if logging.lastResort:
            lock_natively(logging.lastResort)
        super().callHandlers(record)  # type: ignore[misc]


class _NotDisabled(_NativelyLocked):
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

    def _log(
        self,
        level: int,
        message: object,
        arguments: Any,
        exc_info: Any = None,
        extra: Any = None,
        stack_info: bool = False,
        stacklevel: int = 1,
    ) -> None:
        """Where every line of a logger's is made."""
        try:
            super()._log(  # type: ignore[misc]
                level, message, arguments, exc_info, extra, stack_info, stacklevel + 1
            )
        except Exception:  # noqa: BLE001  # a filter or a factory of records of the application's
            _show_lost(message, arguments, exc_info)


def _show_lost(message: object, arguments: Any, exc_info: Any) -> None:
    """Says on standard error what cannot be logged, and why; from an exception's handler."""
    with suppress(Exception):  # what is in the line may fail too
        message = str(message) % arguments if arguments else message
    reason = traceback.format_exc()
    if isinstance(exc_info, BaseException):
        reason = "".join(traceback.format_exception(exc_info)) + reason
    print_error(f"the error log failed: {message}\n{reason.rstrip()}")


def keep_enabled(logger: logging.Logger) -> None:
    """Makes a logger one that its level, filters and handlers can silence, and nothing else.

    Of whatever class it is: the program may have made and configured it before.
    """
    _make(logger, _NotDisabled)


def make_native(logger: logging.Logger) -> None:
    """Makes a logger one that the server's threads can use, whatever has been patched."""
    _make(logger, _NativelyLocked)


def _make(logger: logging.Logger, kind: type) -> None:
    if not isinstance(logger, kind):
        logger.__class__ = type(kind.__name__.strip("_"), (kind, type(logger)), {})


keep_enabled(error_log)

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
    handler = StandardErrorHandler()
    handler.setFormatter(logging.Formatter(_FORMAT))
    package = logging.getLogger("prowingen_wsgi")
    package.handlers[:] = [handler]
    # An application that gives the root logger a handler would show every line twice.
    package.propagate = False
    show_from(level)


# The level that the configuration says, and the one that an administrator has told this process by
# the control socket, which goes before it; "": none.
_configured = "info"
_told = ""


def show_from(level: str) -> None:
    """Shows messages of this level, an option's value, and those that are more severe."""
    global _configured
    _configured = level
    _show()


def tell_level(level: str) -> None:
    """The same by an administrator: whatever configuration is read later, until told otherwise.

    level: "" for what the configuration says.
    """
    global _told
    _told = level
    _show()


def told_level() -> str:
    """What an administrator has told this process, or whichever it was forked from; or ""."""
    return _told


def shown_level() -> str:
    """The level that is in force."""
    return _told or _configured


def _show() -> None:
    logging.getLogger("prowingen_wsgi").setLevel(shown_level().upper())
