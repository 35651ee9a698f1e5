"""Signals as items of a queue, for a thread that waits for them.

A signal handler runs in the main thread between any two bytecodes, also while that thread holds
a lock: so it only puts an item into a `SimpleQueue`, whose `put` is reentrant by contract, and
never touches a `threading.Event`, whose lock it could find taken by the thread it interrupted.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from .originals import Empty, SimpleQueue, signal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import FrameType

QUIT_SIGNAL = signal.SIGQUIT
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, QUIT_SIGNAL)
REOPEN_SIGNAL = signal.SIGUSR1


class SignalQueue:
    def __init__(self) -> None:
        self._items: SimpleQueue[signal.Signals | None] = SimpleQueue()

    @contextmanager
    def installed(self, handled: Iterable[signal.Signals]) -> Iterator[None]:
        """Handles these signals by queueing them. Does nothing but in the main thread."""
        try:
            originals = {number: signal.signal(number, self._handle) for number in handled}
        except ValueError:  # which is how Python says that it is not the main thread
            yield
            return
        try:
            yield
        finally:
            for number, original in originals.items():
                # None: a handler that was not installed from Python, and cannot be from here.
                signal.signal(number, signal.SIG_DFL if original is None else original)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        self._items.put(signal.Signals(number))

    def wake(self) -> None:
        """Makes a `next` return None. Any thread, also in a signal handler."""
        self._items.put(None)

    def next(self) -> signal.Signals | None:
        """Waits for a signal or for `wake`; handlers run meanwhile."""
        return self._items.get()

    def pending(self) -> Iterator[signal.Signals]:
        """Takes the signals that have arrived, without waiting."""
        while True:
            try:
                item = self._items.get_nowait()
            except Empty:
                return
            if item is not None:
                yield item
