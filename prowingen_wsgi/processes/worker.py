r"""What the supervisor knows of one worker.

    starting --ready--> ready --retire--> retiring
        |                 |                  |
        |                kill               kill
        |                 v                  v
        +-----kill------> killed <----------'
    any --exit--> gone

`retiring` has been told to finish its requests, `killed` to go at once.
"""

from __future__ import annotations

from contextlib import suppress
from enum import Enum
from typing import TYPE_CHECKING

from ..originals import os, signal

if TYPE_CHECKING:
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
    expires: why it is to be replaced; empty if it is not.
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
    ) -> None:
        self.number = number
        self.process = process
        self.generation = generation
        self.template = template
        self.status = status
        self.state = State.starting
        self.expires = ""
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

    def retire(self, deadline: float) -> None:
        """Tells it to finish its requests."""
        self.advance(Event.retire)
        self.deadline = deadline
        self.send(signal.SIGTERM)

    def kill(self, number: signal.Signals, deadline: float = float("inf")) -> None:
        """Ends it at once, by a signal that it might still survive until the deadline."""
        self.advance(Event.kill)
        self.deadline = deadline
        self.send(number)

    def send(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):  # then its end is on its way to us
            os.kill(self.process, number)

    def served(self, now: float) -> float:
        """Seconds for which it has served."""
        return 0.0 if self.state is State.starting else now - self._ready_at


def describe_exit(status: int | None, out_of_memory: bool) -> str:
    """How a process ended, in words. `status` is that of waitpid(2), if it is known."""
    if status is None:
        return "has ended"
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"exited with code {code}"
    name = signal.Signals(-code).name
    if -code == signal.SIGKILL:
        if out_of_memory:
            return f"was killed by {name}: the kernel ran out of memory"
        return f"was killed by {name}"
    dumped = ", core dumped" if os.WCOREDUMP(status) else ""
    return f"was killed by {name}{dumped}"
