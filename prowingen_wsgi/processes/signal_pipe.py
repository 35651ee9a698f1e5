"""Signals as bytes of a pipe, for a loop that waits for descriptors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..originals import signal, socket

if TYPE_CHECKING:
    from collections.abc import Iterable

_READ_SIZE = 4096


class SignalPipe:
    """Takes these signals from when it is made: until somebody reads, they wait in the pipe.

    fileno(): readable when some have come.
    """

    def __init__(self, numbers: Iterable[signal.Signals]) -> None:
        self._reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        handled = list(numbers)
        for number in handled:
            signal.signal(number, lambda *_: None)
        # Who started this process may have blocked them, for all that it starts.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, handled)

    def fileno(self) -> int:
        return self._reader.fileno()

    def take(self) -> list[signal.Signals]:
        """Those that have come, in this order; waits for one."""
        return [signal.Signals(number) for number in self._reader.recv(_READ_SIZE)]

    def end(self) -> None:
        """They are passed over from now on."""
        signal.set_wakeup_fd(-1)
        self.close()

    def close(self) -> None:
        """In a child, whose signals are its own already."""
        self._reader.close()
        self._writer.close()
