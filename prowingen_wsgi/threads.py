"""The server's own threads: native ones, whatever the application has made of `threading`.

Under gevent or eventlet a `threading.Thread` is a greenlet: the work loop in one would keep the
native thread that all of them share. So these are begun below `threading`, and are to it what any
thread is that others have begun: it keeps a record of each, by which the application, a debugger
and what shows stacks know it.
"""

from __future__ import annotations

import sys
import threading  # the application's view of threads, in which the server's own are entered
from contextlib import suppress
from types import FunctionType
from typing import TYPE_CHECKING, Any

from .originals import os, thread

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "WORKER_PREFIX",
    "Gate",
    "Latch",
    "Lock",
    "RLock",
    "Thread",
    "current",
    "green_threads",
    "import_for_hubs",
    "let_interpreter_end",
    "names",
    "non_daemon_threads",
]

Lock = thread.allocate_lock
RLock = thread.RLock
current = thread.get_ident
"""The number of the thread that asks; native, also in a greenlet."""
WORKER_PREFIX = "prowingen-worker-"
"""What the names of those begin with that call the application."""


class Latch:
    """Opened once, for everybody who waits or will wait: a `threading.Event` that is never cleared.

    Any thread may call any method; a signal handler may `open` it.
    """

    def __init__(self) -> None:
        self._gate = Lock()
        self._gate.acquire()
        self._opener = Lock()  # taken by who opens it, for ever
        # Said before the gate opens: another who waits may be passing through it just then.
        self._is_open = False

    def open(self) -> None:
        """Idempotent."""
        if self._opener.acquire(blocking=False):
            self._is_open = True
            self._gate.release()

    def wait(self, timeout: float | None = None) -> bool:
        """Waits until it is open, for at most so many seconds. False: it is not."""
        seconds = -1 if timeout is None else min(max(timeout, 0.0), thread.TIMEOUT_MAX)
        if self._is_open:
            return True
        if not self._gate.acquire(timeout=seconds):
            return self._is_open
        self._gate.release()  # for the next who waits
        return True


class Gate:
    """Opened or shut once, for everybody who waits or will wait; what comes later is too late."""

    def __init__(self) -> None:
        self._settled = Latch()
        self._is_open = False

    def open(self) -> None:
        self._is_open = True
        self._settled.open()

    def shut(self) -> None:
        self._settled.open()

    def wait(self) -> bool:
        """Whether it has been opened."""
        self._settled.wait()
        return self._is_open


# Of the threads below that are alive, by their numbers: under another name, or none, where
# `threading` is patched.
_names: dict[int, str] = {}


class Thread:
    """A native daemon thread: an application that never returns in it cannot keep the process.

    gate: what the thread waits at before its body; none by default.
    traced: tracers of the application are to see what it does, since that is the application's.
        They may raise wherever Python code is, and so in the server's own.
    """

    def __init__(
        self,
        name: str,
        body: Callable[[], object],
        gate: Gate | None = None,
        *,
        traced: bool = False,
    ) -> None:
        self.name = name
        self.daemon = True
        self._body = body
        self._gate = gate
        self._traced = traced
        self._began = False
        self._entered = Latch()
        self._ended = Latch()
        self._ident = 0

    def start(self) -> None:
        """Returns once `threading` knows of it. Raises RuntimeError if there can be no more."""
        thread.start_new_thread(self._live, ())
        self._began = True
        self._entered.wait()

    @property
    def ident(self) -> int:
        """Its number, by which `sys._current_frames` knows it; 0 before the start."""
        return self._ident

    def is_alive(self) -> bool:
        return self._began and not self._ended.wait(0)

    def is_current(self) -> bool:
        """Whether it is this thread that asks."""
        return self.is_alive() and self._ident == current()

    def join(self, timeout: float | None = None) -> None:
        """Waits until it has ended, for at most so many seconds."""
        if self._began:
            self._ended.wait(timeout)

    def _live(self) -> None:
        self._ident = current()
        _names[self._ident] = self.name
        leave = None
        try:
            # It is the application's by now, and what that has made of it may fail in any way.
            with suppress(BaseException):
                leave = self._enter()
            self._entered.open()
            if self._gate is not None and not self._gate.wait():
                return
            if self._traced:
                # Not by suppress(): from here on a tracer may raise in any function in Python.
                try:  # noqa: SIM105
                    _trace()
                except BaseException:  # noqa: BLE001
                    pass
            self._body()
        finally:
            # So that nothing keeps what follows from its end. A profiler is asked even here.
            try:  # noqa: SIM105
                sys.setprofile(None)
            except BaseException:  # noqa: BLE001  # having raised it is no longer one
                pass
            sys.settrace(None)
            with suppress(BaseException):
                if leave is not None:
                    leave()
            _names.pop(self._ident, None)
            self._ended.open()

    def _enter(self) -> Callable[[], object]:
        """Has `threading` note this thread under its name. Returns what undoes that."""
        records = threading._active  # type: ignore[attr-defined]
        try:
            record = threading.current_thread()
        except Exception:  # noqa: BLE001  # it is made of classes that are to be had in `threading`
            record = _foreign_thread()
        record.name = self.name
        # A record of a thread that `threading` has not begun cannot tell when that ends.
        record.is_alive = self.is_alive  # type: ignore[method-assign]
        record.join = self.join  # type: ignore[method-assign]
        # Else the next thread that is given this number would be taken for this one.
        return lambda: records.pop(record.ident, None)


def _foreign_thread() -> threading.Thread:
    """What `threading` records of this thread, whatever class is called `Thread` there by now.

    Nothing less will do: with each fork it calls private methods of all its records.
    """
    kind: Any = threading._DummyThread
    begin = kind.__init__
    record: threading.Thread = kind.__new__(kind)
    FunctionType(begin.__code__, {**begin.__globals__, "Thread": kind.__base__})(record)
    return record


def _trace() -> None:
    """Does in this thread what debuggers and coverage ask `threading` to do in each."""
    trace, profile = threading.gettrace(), threading.getprofile()
    if profile:
        sys.setprofile(profile)
    if trace:
        sys.settrace(trace)


def _become_main_thread() -> None:
    """In a child that one of these threads has forked, and whose main thread it is.

    Python before 3.11.8 and 3.12.2 shuts such a child down by a lock that only threads have which
    `threading` has begun, or the first one (python/cpython#102512).
    """
    main: Any = threading.main_thread()
    if main.ident == current() and getattr(main, "_tstate_lock", main) is None:
        main._set_tstate_lock()


os.register_at_fork(after_in_child=_become_main_thread)


def green_threads() -> str:
    """The library that has `threading` make greenlets, and locks for them; empty: none has."""
    gevent, eventlet = map(sys.modules.get, ("gevent.monkey", "eventlet.patcher"))
    if gevent is not None and gevent.is_module_patched("threading"):
        return "gevent"
    if eventlet is not None and eventlet.is_monkey_patched("thread"):
        return "eventlet"
    return ""


def import_for_hubs() -> None:
    """Has gevent import what it needs for the first hub of each thread, while there is one thread.

    With `threading` patched, the locks of imports are for the greenlets of one thread: of several
    that imported the same module, all at once in their first wait, some waited for ever.
    """
    config = getattr(sys.modules.get("gevent"), "config", None)
    for name in ("loop", "resolver", "threadpool", "format_context"):
        with suppress(Exception):  # a setting that is wrong is the application's to hear of
            getattr(config, name)


def let_interpreter_end() -> None:
    """In the main thread, before the interpreter's end: has eventlet know it for the main one.

    The end waits for all other threads that `threading` records. For eventlet the main thread is
    the one that called `monkey_patch()`: if a request's did, nobody but it could let go of its
    lock, and the main thread waited for itself.
    """
    if green_threads() != "eventlet" or threading.main_thread().ident != current():
        return
    with suppress(Exception):  # none of this is eventlet's to promise
        shut_down: Any = threading._shutdown  # type: ignore[attr-defined]
        shut_down.__globals__["_main_thread"]._ident = threading.get_ident()


def names() -> dict[int, str]:
    """The names of the server's own threads and of all that `threading` knows, by their numbers;
    without its lock, which an application may keep taken."""
    records = threading._active  # type: ignore[attr-defined]
    return {number: each.name for number, each in list(records.items())} | _names


def non_daemon_threads() -> list[str]:
    """Names of the application's threads that the interpreter waits for at its exit."""
    # By the name of its class: with eventlet's threading there are two records of the main thread.
    return [
        each.name
        for each in threading.enumerate()
        if type(each).__name__ != "_MainThread" and not each.daemon
    ]
