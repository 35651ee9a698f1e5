"""Signals as items of a queue, for a thread that waits for them.

A signal handler runs in the main thread between any two bytecodes, also while that thread holds
a lock: so it only puts an item into a `SimpleQueue`, whose `put` is reentrant by contract, and
never touches a `threading.Event`, whose lock it could find taken by the thread it interrupted.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from .originals import Empty, SimpleQueue, os, signal, thread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import FrameType

QUIT_SIGNAL = signal.SIGQUIT
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, QUIT_SIGNAL)
REOPEN_SIGNAL = signal.SIGUSR1

_LOOK = 0.2

_Handlers = dict[signal.Signals, Any]

if TYPE_CHECKING:
    _Handler = Callable[[int, FrameType | None], None]


class SignalQueue:
    """Its handlers are this process's alone: a child that the application forks has those before.

    Nobody would take a signal there, and SIGTERM could not end the child.
    """

    def __init__(self) -> None:
        self._items: SimpleQueue[signal.Signals | None] = SimpleQueue()

    @contextmanager
    def installed(
        self, handled: Iterable[signal.Signals], *, for_good: bool = False
    ) -> Iterator[None]:
        """Handles these signals by queueing them. Does nothing but in the main thread.

        for_good: also afterwards, where nobody takes them out of the queue.
        """
        try:
            originals = {number: signal.signal(number, self._handle) for number in handled}
        except ValueError:  # which is how Python says that it is not the main thread
            yield
            return
        _installed.append((self._handle, originals))
        # The application may have blocked them, or who started this process.
        mask = signal.pthread_sigmask(signal.SIG_UNBLOCK, originals)
        try:
            yield
        finally:
            # Not in a forked child, where they are back.
            if not for_good and (self._handle, originals) in _installed:
                _installed.remove((self._handle, originals))
                signal.pthread_sigmask(signal.SIG_SETMASK, mask)
                for number, original in originals.items():
                    _put_back(number, original)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        self._items.put(signal.Signals(number))

    def wake(self) -> None:
        """Makes a `next` return None. Any thread, also in a signal handler."""
        self._items.put(None)

    def next(self) -> signal.Signals | None:
        """Waits for a signal or for `wake`; handlers run meanwhile."""
        while True:
            # The kernel may give a signal to another thread, as to one of a process that was
            # stopped, or together with the next one. Python runs its handler in this one, which
            # that does not wake.
            with suppress(Empty):
                return self._items.get(timeout=_LOOK)

    def pending(self) -> Iterator[signal.Signals]:
        """Takes the signals that have arrived, without waiting."""
        while True:
            try:
                item = self._items.get_nowait()
            except Empty:
                return
            if item is not None:
                yield item


def pass_over(found: _Handlers) -> None:
    """Has these signals do nothing in this process from now on.

    found: the handlers that its children have, which the application forks. Programs that it starts
        have the default actions, which SIG_IGN would take from them.
    """
    for number in found:
        signal.signal(number, _do_nothing)
    _installed.append((_do_nothing, found))


def _do_nothing(_number: int, _frame: FrameType | None) -> None:
    """A handler."""


def _put_back(number: signal.Signals, original: Any) -> None:
    # None: a handler that was not installed from Python, and cannot be from here.
    signal.signal(number, signal.SIG_DFL if original is None else original)


# Handlers that are installed, with those before; the last one on top.
_installed: list[tuple[_Handler, _Handlers]] = []


class _Mask(thread._local):
    before: set[signal.Signals | int] | None = None


_mask = _Mask()


def _before_fork() -> None:
    """Has a signal to a child wait until the child has the handlers that it is meant for."""
    if _installed:
        handled = {number for _, originals in _installed for number in originals}
        _mask.before = signal.pthread_sigmask(signal.SIG_BLOCK, handled)


def _after_fork() -> None:
    mask, _mask.before = _mask.before, None
    if mask is not None:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _after_fork_in_child() -> None:
    while _installed:
        latest, originals = _installed.pop()
        for number, original in originals.items():
            if signal.getsignal(number) == latest:  # what another has set meanwhile stays
                _put_back(number, original)
    _after_fork()


os.register_at_fork(
    before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork_in_child
)
