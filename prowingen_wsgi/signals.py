"""Signals as items of a queue, for a thread that waits for them.

A signal handler runs in the main thread between any two bytecodes, also while that thread holds
a lock: so it only puts an item into a `SimpleQueue`, whose `put` is reentrant by contract, and
never touches a `threading.Event`, whose lock it could find taken by the thread it interrupted.
"""

from __future__ import annotations

import queue
import signal
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import FrameType

QUIT_SIGNAL = signal.SIGQUIT
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, QUIT_SIGNAL)
REOPEN_SIGNAL = signal.SIGUSR1

_LOOK = 0.2


class SignalQueue:
    def __init__(self) -> None:
        self._items: queue.SimpleQueue[signal.Signals | None] = queue.SimpleQueue()

    @contextmanager
    def installed(
        self, handled: Iterable[signal.Signals], *, for_good: bool = False
    ) -> Iterator[None]:
        """Handles these signals by queueing them. Does nothing but in the main thread.

        for_good: also afterwards, where nobody takes them out of the queue.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        originals = {number: signal.signal(number, self._handle) for number in handled}
        try:
            yield
        finally:
            for number, original in originals.items() if not for_good else ():
                # None: a handler that was not installed from Python, and cannot be from here.
                signal.signal(number, signal.SIG_DFL if original is None else original)

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
            with suppress(queue.Empty):
                return self._items.get(timeout=_LOOK)

    def pending(self) -> Iterator[signal.Signals]:
        """Takes the signals that have arrived, without waiting."""
        while True:
            try:
                item = self._items.get_nowait()
            except queue.Empty:
                return
            if item is not None:
                yield item
