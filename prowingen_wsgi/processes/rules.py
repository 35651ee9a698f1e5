"""Who is started, retired or killed, and when: events in, orders out.

No process, file or clock is touched here: the supervisor tells what has happened and at what time,
and is the hands that orders are given to. So a reload, a crash, a limit reached and a change of the
number of workers are all one rule:

    missing:  workers of the current generation that start or serve, too few for it -> start some
    too many: workers that serve, more than wanted -> retire the oldest generation's first

A worker that is to be replaced does not count as present, but serves until its replacement does.
How many are too much is the new configuration's to say once a worker has started by it.

A worker accepts connections before it is heard to be ready. So whoever is not needed any more,
whatever is known of it, is told by SIGTERM to finish, and has its time before SIGKILL. One that
still loads the application has no handlers, and ends by that at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ..logs import error_log
from ..originals import signal
from .backoff import Backoff
from .worker import Event, SpawnError, State, Worker

if TYPE_CHECKING:
    from .generation import Generation
    from .worker import Exit

READY, LIMIT, STUCK = b"R", b"L", b"S"
"""What a worker says: it serves; it has taken `max_requests`; too many of its threads are stuck."""

MOST_WORKERS = 1024 + 32
"""As many can be wanted; twice as many can be alive at once, for replacements."""

# In seconds: what a worker gets beyond `graceful_timeout`, and one that was told to go at once.
_RETIRE_MARGIN = 5.0
_KILL_MARGIN = 2.0
# How long a stuck worker may take to write its stacks.
_STACKS_TIME = 3.0


class Hands(Protocol):
    """Who carries out what the rules decide; signals to workers go through `Worker.send`."""

    def start_worker(self, generation: Generation) -> Worker | None:
        """A new one; None: not yet. Raises SpawnError."""

    def leave_new_to_others(self, worker: Worker) -> None:
        """It is about to be told to finish: no new connection is given to it any more, where the
        kernel is told by whom they are taken."""

    def serving(self, generation: Generation) -> None:
        """A worker of it is ready, the first one."""

    def reload_failed(self) -> None:
        """The generation before goes on."""

    def stopping(self) -> None:
        """The server ends; told once for each signal that says so."""

    def finishing(self) -> None:
        """Workers have been told to take nothing new. May be told again."""


class Rules:
    """The rules, and what they are about.

    workers: those that have not ended.
    generation: the one that is wanted.
    ended_by: the signal that ends the server; `failed`: its application does not start.
    """

    def __init__(self, generation: Generation, hands: Hands) -> None:
        self.workers: list[Worker] = []
        self.generation = generation
        self.ended_by: signal.Signals | None = None
        self.failed = False
        self._hands = hands
        self._backoff = Backoff()
        self._previous: Generation | None = None
        self._waits_for_change = False
        self._retires_at = float("inf")  # when all are told to finish, of those that serve on

    @property
    def ends(self) -> bool:
        return self.failed or self.ended_by is not None

    @property
    def waits_for_change(self) -> bool:
        """No worker is started until the next reload."""
        return self._waits_for_change

    @property
    def in_force(self) -> Generation:
        """The generation that is wanted once it has started; until then the one before, if any."""
        return self._previous or self.generation

    @property
    def wanted(self) -> int:
        """So many workers are to serve."""
        return self.in_force.wanted

    @property
    def generations(self) -> set[Generation]:
        """Those that are still needed."""
        used = {worker.generation for worker in self.workers} | {self.generation}
        return used if self._previous is None else used | {self._previous}

    def _alive(self, *states: State) -> list[Worker]:
        return [each for each in self.workers if not states or each.state in states]

    # ---- what is missing, what is too much

    def keep_up(self, now: float) -> None:
        """After any event, and as time passes."""
        for worker in self._alive(State.retiring, State.killed):
            if now >= worker.deadline:
                error_log.warning("%s has not ended in time: it is killed", worker)
                worker.kill(signal.SIGKILL)
        if self.ends:
            if now >= self._retires_at:
                self._finish(now)
            return
        for worker in self._alive(State.starting):
            if worker.generation is not self.generation:
                self._retire(worker, now)
        present = [
            worker
            for worker in self._alive(State.starting, State.ready)
            if worker.generation is self.generation and not worker.expires
        ]
        missing = self.generation.wanted - len(present)
        if missing > 0 and not self._waits_for_change and now >= self._backoff.until:
            for _ in range(min(missing, self._may_start())):
                if not self._start_worker(now):
                    break
        serving = self._alive(State.ready)
        surplus = len(serving) - self.wanted
        if surplus > 0:
            for worker in sorted(serving, key=self._keeps_longest)[:surplus]:
                self._retire(worker, now)

    def _keeps_longest(self, worker: Worker) -> tuple[bool, int, bool, int]:
        # After a reload that failed the current generation is not the newest.
        current = worker.generation is self.generation
        return current, worker.generation.number, not worker.expires, -worker.number

    def _may_start(self) -> int:
        """During a reload one at a time: the old ones serve meanwhile, and have the machine."""
        old = [w for w in self._alive(State.ready) if w.generation is not self.generation]
        return 1 - len(self._alive(State.starting)) if old else 2 * MOST_WORKERS

    def _start_worker(self, now: float) -> bool:
        """False: not now."""
        try:
            worker = self._hands.start_worker(self.generation)
        except SpawnError as error:
            wait = self._backoff.failed(now, 0, could_start=False)
            error_log.error("cannot start a worker, next try in %.1f s: %s", wait, error)
            return False
        if worker is not None:
            self.workers.append(worker)
        return worker is not None

    def _retire(self, worker: Worker, now: float) -> None:
        if worker.expires and not self.ends:
            error_log.info("%s is replaced: %s", worker, worker.expires)
        self._hands.leave_new_to_others(worker)
        worker.retire(now + worker.generation.config.graceful_timeout + _RETIRE_MARGIN)

    # ---- what an administrator wants

    def want_more(self, change: int) -> None:
        """Or fewer; whichever generation is the one that goes on."""
        for generation in self.generations:
            generation.wanted = min(max(generation.wanted + change, 1), MOST_WORKERS)
        error_log.info("workers wanted: %d", self.wanted)

    def reopen_logs(self) -> None:
        for worker in self._alive(State.starting, State.ready, State.retiring):
            worker.reopen_logs()

    def end(self, number: signal.Signals, now: float) -> None:
        """By SIGQUIT, or any other a second time: at once."""
        at_once = number == signal.SIGQUIT or self.ends
        self.ended_by = self.ended_by or number
        self._hands.stopping()
        if at_once:
            error_log.info("%s: closing everything at once", number.name)
            for worker in self._alive():
                worker.hurry(now + _KILL_MARGIN)
            self._hands.finishing()
        elif delay := self.generation.config.drain_delay:
            error_log.info("%s: serving on for %g s, and not ready any more", number.name, delay)
            self._retires_at = now + delay
        else:
            self._finish(now)

    def _finish(self, now: float) -> None:
        assert self.ended_by is not None
        self._retires_at = float("inf")
        error_log.info(
            "%s: workers finish what they do, for at most %g s; a second signal ends them",
            self.ended_by.name,
            self.generation.config.graceful_timeout,
        )
        self._retire_all(now)
        self._hands.finishing()

    def _retire_all(self, now: float) -> None:
        for worker in self._alive(State.starting, State.ready):
            self._retire(worker, now)

    def reload(self, fresh: Generation) -> None:
        if self.generation.proven:
            self._previous = self.generation
        if fresh.config.workers == self.generation.config.workers:
            fresh.wanted = self.generation.wanted  # which may have been changed since
        self.generation = fresh
        self._waits_for_change = False
        self._backoff.reset()

    # ---- what becomes of workers

    def heard(self, worker: Worker, data: bytes, now: float) -> None:
        """What a worker has said."""
        if LIMIT in data and not worker.expires:
            limit = worker.generation.config.max_requests
            worker.expire("max_requests", f"it has taken {limit} requests")
        if STUCK in data and not worker.expires:
            worker.expire("max_stuck", "more of its threads are stuck than max_stuck")
        if READY not in data:
            return
        worker.has_handlers = True
        if worker.reopens:
            worker.reopen_logs()
        if worker.state is State.starting:
            worker.became_ready(now)
            error_log.info("%s is ready", worker)
        if not worker.generation.proven and not self.ends:
            self._proven(worker.generation)

    def _proven(self, generation: Generation) -> None:
        generation.proven = True
        if generation is self.generation:
            self._previous = None
            self._hands.serving(generation)
        elif not self.generation.proven and (
            self._previous is None or self._previous.number < generation.number
        ):
            self._previous = generation  # overtaken by a reload, whose application may not start

    def stuck(self, worker: Worker, seconds: float, now: float) -> None:
        error_log.error(
            "%s has been stuck for %.1f s: it is killed, and shows its stacks", worker, seconds
        )
        worker.kill(signal.SIGABRT, now + _STACKS_TIME)

    def worker_ended(self, worker: Worker, how: Exit, now: float) -> None:
        """After all that it had said has been heard: it may have served, and then crashed."""
        self.workers.remove(worker)
        before, served = worker.state, worker.served(now)
        worker.advance(Event.exit)
        if before in (State.retiring, State.killed) or self.ends:
            error_log.info("%s has ended", worker)
            return
        if how.could_start:  # else it has said itself what is wrong
            error_log.error("%s %s", worker, how.words)
        if worker.generation is self.generation and not worker.generation.proven:
            self._generation_failed(now)
            return
        wait = self._backoff.failed(now, served, could_start=how.could_start)
        if wait:
            error_log.error("the next worker is started in %.1f s", wait)

    def template_ended(self, generation: Generation, how: Exit, now: float) -> None:
        """What workers of a generation are forked from, with preload."""
        if self.ends:
            return
        if how.could_start:
            error_log.error("what has loaded the application %s", how.words)
        if generation is self.generation and not generation.proven:
            self._generation_failed(now)
        else:
            self._backoff.failed(now, 0, could_start=how.could_start)

    def _generation_failed(self, now: float) -> None:
        """The application of the newest generation does not start."""
        if self._previous is not None:
            error_log.error("the reload failed, the workers go on as they are")
            self.generation, self._previous = self._previous, None
            self._hands.reload_failed()
        elif self.generation.config.reload:
            error_log.error("waiting for a change")
            self._waits_for_change = True
        else:
            self.failed = True
            self._hands.stopping()
            self._retire_all(now)
