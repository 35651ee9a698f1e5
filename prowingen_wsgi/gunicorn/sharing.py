"""What the workers of one arbiter share: figures in memory, how often each client has asked, a pipe
that ends with the arbiter, and the key of TLS sessions' tickets.

The arbiter makes them before its first fork and the workers inherit them. By the figures, workers
take even shares of the connections. By the pipe, a worker whose application holds the GIL for ever,
and who can therefore do nothing in Python, still leaves when the arbiter is gone.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .. import _native
from ..originals import os

if TYPE_CHECKING:
    from collections.abc import Iterator

# Workers at once: far more than one machine runs, with as many again for replacements.
_SLOTS = 2 * 1024


@dataclass(frozen=True)
class Place:
    """A worker's place among the others: its slot on the scoreboard and its end of the pipe."""

    scoreboard: _native.Scoreboard
    rates: _native.RateTable
    slot: int
    lifeline: int
    arbiters_end: int
    ticket_key: bytes = field(repr=False)

    def enter(self) -> None:
        """In the worker: lets go of the end of the pipe that is the arbiter's alone."""
        os.close(self.arbiters_end)


class Company:
    """The workers of this process, if it is an arbiter."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self._scoreboard = _native.Scoreboard(_SLOTS)
        self._rates = _native.RateTable()
        self._reader, self._writer = os.pipe()
        self._ticket_key = _native.new_ticket_key()
        self._taken: set[int] = set()

    def join(self, worker: object) -> Place:
        """A place for a worker that is about to be forked; free again when it is forgotten.

        Raises RuntimeError if all are taken.
        """
        slot = next(self._free(), None)
        if slot is None:
            raise RuntimeError(f"more than {_SLOTS} workers")
        self._scoreboard.clear(slot)
        self._taken.add(slot)
        weakref.finalize(worker, self._taken.discard, slot).atexit = False
        return Place(
            self._scoreboard, self._rates, slot, self._reader, self._writer, self._ticket_key
        )

    def _free(self) -> Iterator[int]:
        return (slot for slot in range(_SLOTS) if slot not in self._taken)


_company: Company | None = None


def company() -> Company:
    """The one of this process."""
    global _company
    if _company is None or _company.process != os.getpid():
        _company = Company()
    return _company
