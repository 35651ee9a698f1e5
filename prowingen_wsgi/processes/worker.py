r"""What the supervisor knows of one worker.

        .-------------retire----------------.
        |                                   v
    starting --ready--> ready --retire--> retiring
        |                 |                 |
        |                kill              kill
        |                 v                 v
        '-----kill------> killed <----------'
    any --exit--> gone

`retiring` has been told to finish its requests, `killed` to go at once. A worker may serve before
it is heard to be ready, so `starting` does not say that it has no requests.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from ..originals import os, signal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..datagrams import Seat
    from .generation import Generation
    from .template import Template


class State(Enum):
    starting = "starting"
    ready = "ready"
    retiring = "retiring"
    killed = "killed"
    gone = "gone"


class Event(Enum):
    ready = "ready"
    retire = "retire"
    kill = "kill"
    exit = "exit"


_TRANSITIONS = {
    (State.starting, Event.ready): State.ready,
    (State.starting, Event.retire): State.retiring,
    (State.starting, Event.kill): State.killed,
    (State.starting, Event.exit): State.gone,
    (State.ready, Event.retire): State.retiring,
    (State.ready, Event.kill): State.killed,
    (State.ready, Event.exit): State.gone,
    (State.retiring, Event.kill): State.killed,
    (State.retiring, Event.exit): State.gone,
    (State.killed, Event.kill): State.killed,
    (State.killed, Event.exit): State.gone,
}


class Worker:
    """One worker process.

    number: its slot on the scoreboard, which another gets after it.
    template: what it was forked from, if not from the supervisor; learns how it ends.
    status: the reading end of the pipe that it reports by.
    seats: its sockets of UDP, for each of its generation's ports.
    expires: why it is to be replaced; empty if it is not.
    has_handlers: it has said that it serves, and so handles signals; before that, those that it is
        sent have their default actions.
    reopens: it is to open its logs anew once it handles signals.
    is_silent: it has closed its end of the pipe, so it is about to end.
    deadline: when it is killed if it is still there; of the monotonic clock.
    """

    def __init__(
        self,
        number: int,
        process: int,
        generation: Generation,
        template: Template | None,
        status: int,
        now: float,
        seats: Sequence[Seat | None] = (),
    ) -> None:
        self.number = number
        self.process = process
        self.generation = generation
        self.template = template
        self.status = status
        self.seats = seats
        self.state = State.starting
        self.expires = ""
        self._expires_by = ""
        self._killed_by: signal.Signals | None = None
        self.has_handlers = False
        self.reopens = False
        self.is_silent = False
        self.deadline = float("inf")
        self._ready_at = now

    def __str__(self) -> str:
        return f"worker {self.number} (pid {self.process})"

    def advance(self, event: Event) -> None:
        self.state = _TRANSITIONS[self.state, event]

    def became_ready(self, now: float) -> None:
        self.advance(Event.ready)
        self._ready_at = now

    def expire(self, cause: str, why: str) -> None:
        """It is to be replaced. cause: as metrics name it."""
        self._expires_by, self.expires = cause, why

    def ends_by(self, how: Exit) -> str:
        """Of one that has ended while the server goes on: what metrics name as the cause."""
        if self.state is State.killed:
            return "stuck" if self._killed_by == signal.SIGABRT else "overdue"
        if self.state is State.retiring:
            return self._expires_by or "replaced"
        return "crash" if how.could_start else "failed_to_start"

    def reopen_logs(self) -> None:
        self.reopens = not self.has_handlers
        if self.has_handlers:
            self.send(signal.SIGUSR1)

    def retire(self, deadline: float) -> None:
        """Tells it to finish its requests."""
        self.advance(Event.retire)
        self.deadline = deadline
        self.send(signal.SIGTERM)

    def hurry(self, deadline: float) -> None:
        """Tells it to close everything at once."""
        # Without handlers SIGQUIT would dump core; SIGTERM ends it as well.
        self.kill(signal.SIGQUIT if self.has_handlers else signal.SIGTERM, deadline)

    def kill(self, number: signal.Signals, deadline: float = float("inf")) -> None:
        """Ends it at once, by a signal that it might still survive until the deadline."""
        self.advance(Event.kill)
        self._killed_by = self._killed_by or number
        self.deadline = deadline
        self.send(number)

    def send(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):  # then its end is on its way to us
            os.kill(self.process, number)

    def served(self, now: float) -> float:
        """Seconds for which it has served."""
        return 0.0 if self.state is State.starting else now - self._ready_at


class SpawnError(Exception):
    """No further process could be started; one line."""


BOOT_FAILED = 3
"""The exit code of a worker that could not start; it has said why."""


@dataclass(frozen=True)
class Exit:
    """How a process ended.

    words: that say it.
    could_start: nothing says that it cannot start at all.
    """

    words: str
    could_start: bool

    @classmethod
    def of(cls, status: int | None, out_of_memory: bool) -> Exit:
        """`status` is that of waitpid(2), if it is known."""
        if status is None:
            return cls("has ended", could_start=True)
        code = os.waitstatus_to_exitcode(status)
        if code >= 0:
            return cls(f"exited with code {code}", could_start=code != BOOT_FAILED)
        name = signal.Signals(-code).name
        if -code == signal.SIGKILL and out_of_memory:
            name += ": the kernel ran out of memory"
        dumped = ", core dumped" if os.WCOREDUMP(status) else ""
        return cls(f"was killed by {name}{dumped}", could_start=True)
