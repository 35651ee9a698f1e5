"""The stacks of all workers, each asked in the way that it can still answer.

asked ------its thread answers------> known
  |  \\--a second has passed--> signalled --its handler has written--> known
  '--it loads the application yet-->  |
                                      '-- a second more ------------> silent
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..control.link import KEEPS_MESSAGES, STACKS_SIGNAL
from ..control.stacks import parsed
from ..originals import os, time
from .worker import State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..control.link import Link
    from .worker import Worker

# In seconds: what a worker's thread gets to answer in, its signal handler, and how long that may be
# silent in the middle of what it writes.
_ANSWER_TIME = 1.0
_DUMP_TIME = 1.0
_DUMP_QUIET = 0.2

_NO_GIL = (
    "none of its threads got the GIL within a second, so that C code keeps it: a signal has "
    "written these stacks, without the requests"
)
_LOADS = "it still loads the application: a signal has written these stacks"
_SILENT = "neither a thread nor the signal handler of it answers: it is stopped, or in the kernel"
_UNHEARD = "nothing can be asked of it yet, or any more"


class StacksRound:
    """One round of asking. `results`: one for each worker, once `is_done`."""

    def __init__(self, workers: Sequence[tuple[Worker, Link | None]]) -> None:
        self._began = time.monotonic()
        self._looks = [_Look(worker, link) for worker, link in workers]

    @property
    def is_done(self) -> bool:
        return all(each.result is not None for each in self._looks)

    @property
    def is_under_way(self) -> bool:
        """Another who asks now may wait for it, too; who has begun it may have hung up since."""
        return not self.is_done and time.monotonic() - self._began < _ANSWER_TIME

    @property
    def results(self) -> list[dict[str, Any]]:
        return [each.result for each in self._looks if each.result is not None]

    def turn(self) -> None:
        """As time passes, and as links are heard."""
        for each in self._looks:
            if each.result is None:
                each.turn(time.monotonic())


class _Look:
    """At one worker. `result` is None until it is known."""

    def __init__(self, worker: Worker, link: Link | None) -> None:
        self._worker = worker
        self._link = link
        self.result: dict[str, Any] | None = None
        self._signalled = False
        if link is None or link.is_over:
            self._end([], _UNHEARD)
            return
        self._loads = not worker.has_handlers
        self._until = time.monotonic() + (0 if self._loads else _ANSWER_TIME)
        self._asked = link.ask(do="stacks")

    def turn(self, now: float) -> None:
        assert self._link is not None
        if self._asked.is_done:
            self._end([each["thread"] for each in self._asked.messages], "")
        elif self._link.is_over:
            self._end([], _UNHEARD)
        elif self._signalled:
            dump = self._link.dump(_DUMP_QUIET if now < self._until else 0)
            if dump is not None:
                self._end(parsed(dump), _LOADS if self._loads else _NO_GIL)
            elif now >= self._until:
                self._end([], _SILENT)
        elif now >= self._until:
            self._signal(now)

    def _signal(self, now: float) -> None:
        assert self._link is not None
        if not (KEEPS_MESSAGES and self._link.says_hello):
            return self._end([], _UNHEARD if self._loads else _SILENT)
        self._signalled = True
        self._until = now + _DUMP_TIME
        self._link.begin_dump()
        with suppress(ProcessLookupError):  # its end is on its way to us
            os.kill(self._worker.process, STACKS_SIGNAL)
        return None

    def _end(self, threads: list[dict[str, Any]], note: str) -> None:
        if self._link is not None and not self._link.is_over:
            self._link.forget(self._asked)
        self.result = {
            "worker": self._worker.number,
            "pid": self._worker.process,
            "state": State(self._worker.state).value,
            "note": note,
            "threads": threads,
        }
