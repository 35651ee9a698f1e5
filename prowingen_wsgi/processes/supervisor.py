"""Keeps the workers: as many as are wanted, of the newest generation that starts.

Everything happens in one thread, in turns: wait for a signal, for what a worker reports, or for
time to pass; note what that means for the workers; then see what is missing and what is too much.
So a reload, a crash, a limit reached and a change of the number of workers are all one rule:

    missing:  workers of the current generation that start or serve, fewer than wanted -> start some
    too many: workers that serve, more than wanted -> retire the oldest generation's first

A worker that is to be replaced does not count as present, but serves until its replacement does.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from .. import _native
from ..configuration.arguments import UsageError
from ..configuration.config import ConfigError
from ..configuration.machine import worker_count
from ..loader import TargetError
from ..logs import error_log
from ..server import choose_engine
from . import watcher
from .backoff import Backoff
from .child import BOOT_FAILED, LIMIT, Post, serve
from .forking import InChild, fork
from .generation import Generation, Sockets
from .memory_kills import MemoryKills
from .template import SpawnError, Template, ended_children
from .worker import Event, State, Worker, describe_exit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ..configuration.config import Config
    from ..systemd import Notifier
    from .program import Program

# Workers that can be alive at once: twice as many as can be wanted, for replacements, and slot 0
# for nobody.
_SLOTS = 2 * 1024 + 64
# How often the scoreboard is looked at.
_LOOK = 0.25
# In seconds: what a worker gets beyond `graceful_timeout`, a template that is let go, and a worker
# that was told to go at once.
_RETIRE_MARGIN = 5.0
_TEMPLATE_MARGIN = 5.0
_KILL_MARGIN = 2.0
# How long a stuck worker may take to write its stacks.
_STACKS_TIME = 3.0
_BOOT_FAILED_STATUS = BOOT_FAILED << 8

_SIGNALS = (
    signal.SIGCHLD,
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGQUIT,
    signal.SIGHUP,
    signal.SIGUSR1,
    signal.SIGTTIN,
    signal.SIGTTOU,
)


class Supervisor:
    """One supervisor; `run` is its life.

    program: what is served at first; its application is loaded in other processes only.
    read: reads it anew, at each reload; raises ConfigError, TargetError, UsageError.
    """

    def __init__(self, program: Program, read: Callable[[], Program], notifier: Notifier) -> None:
        """Opens the sockets, and starts nothing. Raises ConfigError, ListenError (an OSError)."""
        self._notifier = notifier
        self._read = read
        self._sockets = Sockets()
        self._scoreboard = _native.Scoreboard(_SLOTS)
        self._selector = selectors.DefaultSelector()
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._lifeline_reader, self._lifeline_writer = os.pipe()
        self._workers: list[Worker] = []
        self._templates: dict[Generation, Template] = {}
        self._leaving: dict[int, float] = {}  # processes of templates let go: when they are killed
        self._backoff = Backoff()
        self._memory_kills = MemoryKills()
        self._previous: Generation | None = None
        self._waits_for_change = False
        self._ended_by: signal.Signals | None = None
        self._failed = False
        self._watcher = 0
        _check(program.config)
        self._generation = Generation(1, program, self._sockets)
        self._wanted = worker_count(program.config)

    # ---- life

    def run(self) -> tuple[bool, signal.Signals | None]:
        """Supervises until a signal ends it, or the application does not start.

        Returns whether it started, and the signal. Raises InChild in the processes that it forks.
        """
        self._wake_writer.setblocking(False)
        signal.set_wakeup_fd(self._wake_writer.fileno(), warn_on_full_buffer=False)
        for number in _SIGNALS:
            signal.signal(number, lambda *_: None)
        self._selector.register(self._wake_reader, selectors.EVENT_READ, self._take_signals)
        try:
            if self._generation.config.reload:
                config = self._generation.config
                self._watcher = fork(lambda: watcher.watch(config), self._forget)
            while not self._is_over():
                self._keep_up()
                for key, _ in self._selector.select(_LOOK):
                    key.data()
                self._look_at_workers()
                self._notifier.keep_alive()
        except InChild:
            raise
        except BaseException:
            for worker in self._alive():
                worker.kill(signal.SIGKILL)
            raise
        self._clean_up()
        return not self._failed, self._ended_by

    def _is_over(self) -> bool:
        if not self._ends or self._alive():
            return False
        for template in self._templates.values():
            self._release(template)
        return not self._leaving

    @property
    def _ends(self) -> bool:
        return self._failed or self._ended_by is not None

    def _clean_up(self) -> None:
        signal.set_wakeup_fd(-1)
        os.close(self._lifeline_writer)
        if self._watcher:
            with suppress(ProcessLookupError, ChildProcessError):
                os.kill(self._watcher, signal.SIGTERM)
                os.waitpid(self._watcher, 0)
        self._sockets.close()
        self._forget()

    def _forget(self) -> None:
        """Closes what a child must not have: with the supervisor's end of the lifeline in a child,
        nobody would notice the supervisor's."""
        self._wake_reader.close()
        self._wake_writer.close()
        self._selector.close()
        for worker in self._workers:
            os.close(worker.status)
        for template in self._templates.values():
            template.close()
        with suppress(OSError):
            os.close(self._lifeline_writer)

    def _alive(self, *states: State) -> list[Worker]:
        return [each for each in self._workers if not states or each.state in states]

    # ---- signals

    def _take_signals(self) -> None:
        for number in self._wake_reader.recv(4096):
            self._obey(signal.Signals(number))

    def _obey(self, number: signal.Signals) -> None:
        if number == signal.SIGCHLD:
            for process, status in ended_children():
                self._process_ended(process, status)
        elif number in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT):
            self._end(number)
        elif self._ends:
            return
        elif number == signal.SIGHUP:
            self._reload()
        elif number == signal.SIGUSR1:
            for worker in self._alive(State.ready, State.retiring):
                worker.send(signal.SIGUSR1)
        elif number == signal.SIGTTIN:
            self._want(self._wanted + 1)
        elif number == signal.SIGTTOU:
            self._want(self._wanted - 1)

    def _want(self, count: int) -> None:
        self._wanted = min(max(count, 1), _SLOTS // 2)
        error_log.info("workers wanted: %d", self._wanted)

    def _end(self, number: signal.Signals) -> None:
        now = time.monotonic()
        at_once = number == signal.SIGQUIT or self._ends
        self._ended_by = self._ended_by or number
        graceful = self._generation.config.graceful_timeout
        self._notifier.stopping()
        if at_once:
            error_log.info("%s: closing everything at once", number.name)
        else:
            error_log.info(
                "%s: workers finish what they do, for at most %g s; a second signal ends them",
                number.name,
                graceful,
            )
        for worker in self._alive():
            if worker.state is State.starting:  # it has no handlers yet, and would dump core
                worker.kill(signal.SIGKILL)
            elif at_once:
                worker.kill(signal.SIGQUIT, now + _KILL_MARGIN)
            elif worker.state is State.ready:
                worker.retire(now + graceful + _RETIRE_MARGIN)

    # ---- generations

    def _reload(self) -> None:
        error_log.info("reloading")
        self._notifier.reloading()
        try:
            program = self._read()
            _check(program.config)
            fresh = Generation(self._generation.number + 1, program, self._sockets)
        except (ConfigError, TargetError, UsageError, OSError) as error:
            error_log.error("the reload failed, the workers go on as they are: %s", error)
            self._notifier.ready("the last reload failed")
            return
        if self._generation.proven:
            self._previous = self._generation
        if program.config.workers != self._generation.config.workers:
            self._wanted = worker_count(program.config)
        self._generation = fresh
        self._waits_for_change = False
        self._backoff.reset()

    def _generation_failed(self) -> None:
        """The application of the newest generation does not start."""
        if self._previous is not None:
            error_log.error("the reload failed, the workers go on as they are")
            self._notifier.ready("the last reload failed")
            self._generation, self._previous = self._previous, None
        elif self._generation.config.reload:
            error_log.error("waiting for a change")
            self._waits_for_change = True
        else:
            self._failed = True
            self._end(signal.SIGQUIT)

    def _drop_old_generations(self) -> None:
        used = {worker.generation for worker in self._workers} | {self._generation}
        if self._previous is not None:
            used.add(self._previous)
        for generation in set(self._templates) - used:
            self._release(self._templates.pop(generation))
        self._sockets.keep([generation.config for generation in used])

    # ---- what is missing, what is too much

    def _keep_up(self) -> None:
        if self._ends:
            return
        for worker in self._alive(State.starting):
            if worker.generation is not self._generation:
                worker.kill(signal.SIGKILL)
        present = [
            worker
            for worker in self._alive(State.starting, State.ready)
            if worker.generation is self._generation and not worker.expires
        ]
        missing = self._wanted - len(present)
        if missing > 0 and not self._waits_for_change and time.monotonic() >= self._backoff.until:
            for _ in range(min(missing, self._may_start())):
                if not self._start_worker():
                    break
        serving = self._alive(State.ready)
        surplus = len(serving) - self._wanted
        if surplus > 0:
            for worker in sorted(serving, key=self._keeps_longest)[:surplus]:
                self._retire(worker)
        self._drop_old_generations()

    def _may_start(self) -> int:
        """During a reload one at a time: the old ones serve meanwhile, and have the machine."""
        old = [w for w in self._alive(State.ready) if w.generation is not self._generation]
        return 1 - len(self._alive(State.starting)) if old else _SLOTS

    def _keeps_longest(self, worker: Worker) -> tuple[int, bool, int]:
        return worker.generation.number, not worker.expires, -worker.number

    def _start_worker(self) -> bool:
        """False: not now."""
        generation = self._generation
        template = self._template_of(generation) if generation.config.preload else None
        if generation.config.preload and template is None:
            return False  # it has to load the application first
        number = self._free_slot()
        reader, writer = os.pipe()
        post = Post(number, writer, self._lifeline_reader, self._scoreboard)

        def forget() -> None:
            self._forget()
            os.close(reader)

        try:
            if template is not None:
                process = template.spawn(post)
            else:
                process = fork(lambda: serve(post, generation), forget)
        except (OSError, SpawnError) as error:
            wait = self._backoff.failed(time.monotonic(), 0, could_start=False)
            error_log.error("cannot start a worker, next try in %.1f s: %s", wait, error)
            os.close(reader)
            os.close(writer)
            return False
        os.close(writer)  # not in a `finally`, which a child would pass too
        worker = Worker(number, process, generation, template, reader, time.monotonic())
        self._workers.append(worker)
        self._selector.register(reader, selectors.EVENT_READ, lambda: self._hear(worker))
        if template is not None:
            self._take_in(generation, template.take_pending())
        return True

    def _free_slot(self) -> int:
        taken = {worker.number for worker in self._workers}
        number = next(number for number in range(1, _SLOTS) if number not in taken)
        self._scoreboard.clear(number)
        return number

    def _retire(self, worker: Worker) -> None:
        if worker.expires:
            error_log.info("%s is replaced: %s", worker, worker.expires)
        graceful = worker.generation.config.graceful_timeout
        worker.retire(time.monotonic() + graceful + _RETIRE_MARGIN)

    # ---- templates

    def _template_of(self, generation: Generation) -> Template | None:
        """The one that workers can be forked from; None while it loads the application."""
        template = self._templates.get(generation)
        if template is None:
            post = Post(0, -1, self._lifeline_reader, self._scoreboard)
            template = Template(generation, post, self._forget)
            self._templates[generation] = template
            self._selector.register(
                template, selectors.EVENT_READ, lambda: self._hear_template(generation)
            )
        return template if template.is_ready and not template.is_gone else None

    def _hear_template(self, generation: Generation) -> None:
        template = self._templates.get(generation)
        if template is None or template.is_gone:
            return
        try:
            self._take_in(generation, template.messages())
        except (EOFError, OSError):
            self._release(template)  # until SIGCHLD says how it ended

    def _take_in(self, generation: Generation, messages: Iterable[dict[str, int]]) -> None:
        for message in messages:
            if "ready" in message:
                self._templates[generation].is_ready = True
            elif "exited" in message:
                self._process_ended(message["exited"], message["status"])

    def _release(self, template: Template) -> None:
        """Lets go of a template: it ends, if it has not yet; its workers go on."""
        if not template.is_gone:
            template.is_gone = True
            self._leaving[template.process] = time.monotonic() + _TEMPLATE_MARGIN
            self._selector.unregister(template)
            template.close()

    # ---- what becomes of workers

    def _hear(self, worker: Worker) -> None:
        if worker.state is State.gone:
            return  # it went in the same turn
        data = os.read(worker.status, 64)
        if not data:
            self._selector.unregister(worker.status)
            worker.is_silent = True
            if worker.template is not None and worker.template.is_gone:
                self._worker_ended(worker, None)  # nobody is left who could say how
            return
        if LIMIT in data and not worker.expires:
            worker.expires = f"it has taken {worker.generation.config.max_requests} requests"
        if worker.state is State.starting:
            worker.became_ready(time.monotonic())
            self._worker_is_ready(worker)

    def _worker_is_ready(self, worker: Worker) -> None:
        error_log.info("%s is ready", worker)
        generation = worker.generation
        if generation.proven:
            return
        generation.proven = True
        self._previous = None
        self._notifier.ready(f"serving by {self._wanted} workers")
        error_log.info(
            "listening on %s (engine %s, %d workers of %d threads, pid %d)",
            ", ".join(generation.urls),
            choose_engine(generation.config),
            self._wanted,
            generation.config.threads,
            os.getpid(),
        )

    def _process_ended(self, process: int, status: int) -> None:
        for worker in self._workers:
            if worker.process == process:
                self._worker_ended(worker, status)
                return
        if process == self._watcher:
            error_log.error("nothing is watched any more: the watching process has ended")
            self._watcher = 0
        for generation, template in list(self._templates.items()):
            if template.process == process:
                self._template_ended(generation, status)
        self._leaving.pop(process, None)

    def _template_ended(self, generation: Generation, status: int) -> None:
        template = self._templates.pop(generation)
        self._release(template)
        for worker in self._alive():
            if worker.template is template and worker.is_silent:
                self._worker_ended(worker, None)
        if self._ends:
            return
        if status != _BOOT_FAILED_STATUS:
            what = describe_exit(status, self._memory_kills.have_grown())
            error_log.error("what has loaded the application %s", what)
        if generation is self._generation and not generation.proven:
            self._generation_failed()
        else:
            started = status != _BOOT_FAILED_STATUS
            self._backoff.failed(time.monotonic(), 0, could_start=started)

    def _worker_ended(self, worker: Worker, status: int | None) -> None:
        now = time.monotonic()
        with suppress(KeyError):
            self._selector.unregister(worker.status)
        os.close(worker.status)
        self._workers.remove(worker)
        before, served = worker.state, worker.served(now)
        worker.advance(Event.exit)
        if before in (State.retiring, State.killed) or self._ends:
            error_log.info("%s has ended", worker)
            return
        if status != _BOOT_FAILED_STATUS:
            what = describe_exit(status, self._memory_kills.have_grown())
            error_log.error("%s %s", worker, what)
        if worker.generation is self._generation and not worker.generation.proven:
            self._generation_failed()
            return
        wait = self._backoff.failed(now, served, could_start=status != _BOOT_FAILED_STATUS)
        if wait:
            error_log.error("the next worker is started in %.1f s", wait)

    def _look_at_workers(self) -> None:
        now = time.monotonic()
        for worker in self._alive():
            if worker.state in (State.retiring, State.killed) and now >= worker.deadline:
                error_log.warning("%s has not ended in time: it is killed", worker)
                worker.kill(signal.SIGKILL)
            elif worker.state is State.ready:
                self._look_at(worker)
        for process, deadline in self._leaving.items():
            if now >= deadline:
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)

    def _look_at(self, worker: Worker) -> None:
        config = worker.generation.config
        if not (config.max_rss or config.worker_timeout):
            return
        scores = self._scoreboard.read(worker.number)
        if not scores["heartbeat_ns"]:
            return
        if config.max_rss and scores["rss_bytes"] > config.max_rss and not worker.expires:
            worker.expires = f"it uses {scores['rss_bytes'] >> 20} MiB of memory"
        silent = time.monotonic_ns() - scores["heartbeat_ns"]
        stuck = max(scores["stalled_ns"], silent) / 1e9
        if config.worker_timeout and stuck >= config.worker_timeout:
            error_log.error(
                "%s has been stuck for %.1f s: it is killed, and shows its stacks", worker, stuck
            )
            worker.kill(signal.SIGABRT, time.monotonic() + _STACKS_TIME)


def _check(config: Config) -> None:
    """Raises ConfigError for what would only be found out in a worker."""
    choose_engine(config)
    if config.reload:
        watcher.check(config)
