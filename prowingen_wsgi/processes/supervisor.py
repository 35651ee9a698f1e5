"""Runs the workers: the processes, pipes, sockets and signals behind the rules.

Everything happens in one thread, in turns: wait for a signal, for what a worker reports, or for
time to pass; tell the rules; then let them see what is missing and what is too much.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .. import _native
from ..certificates import ExpiryWarnings
from ..configuration.arguments import UsageError
from ..configuration.config import ConfigError
from ..loader import TargetError
from ..logs import error_log, show_from
from ..originals import os, selectors, signal, time
from ..server import choose_engine
from . import watcher
from .acme_process import AcmeProcess
from .child import Post, serve
from .forking import InChild, fork
from .generation import Generation, Sockets
from .memory_kills import MemoryKills
from .rules import MOST_WORKERS, Rules
from .supervisor_control import SupervisorControl
from .template import Template, TemplateLostError, ended_children
from .worker import Exit, SpawnError, State, Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ..configuration.config import Config
    from ..control.socket_file import ControlSocket
    from ..datagrams import DatagramPort, Seat
    from ..systemd import Notifier
    from .program import Program
    from .signal_pipe import SignalPipe

SIGNALS = (
    signal.SIGCHLD,
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGQUIT,
    signal.SIGHUP,
    signal.SIGUSR1,
    signal.SIGTTIN,
    signal.SIGTTOU,
)
"""What a supervisor wants to be told of by its SignalPipe."""

_SLOTS = 2 * MOST_WORKERS + 1  # slot 0 is nobody's
# How often the scoreboard is looked at.
_LOOK = 0.25
# In seconds: after so long without a look, or half of worker_timeout if that is longer, this
# process was stopped, and workers most likely with it, as by `docker pause` or a virtual machine's
# host: they are not stuck for that.
_PAUSE = 1.0
# In seconds: after what time a watcher that could not be started is tried again.
_WATCH_RETRY = 5.0
# In seconds: what a template that is let go gets.
_TEMPLATE_MARGIN = 5.0


class Supervisor:
    """One supervisor; `run` is its life.

    program: what is served at first; its application is loaded in other processes only.
    read: reads it anew, at each reload; raises ConfigError, TargetError, UsageError.
    """

    def __init__(
        self,
        program: Program,
        read: Callable[[], Program],
        notifier: Notifier,
        signals: SignalPipe,
        control: ControlSocket | None = None,
    ) -> None:
        """Opens the sockets, and starts nothing. Raises ConfigError, ListenError (an OSError).

        control: what it is asked by, besides signals.
        """
        self._notifier = notifier
        self._signals = signals
        self._read = read
        self._sockets = Sockets()
        self._scoreboard = _native.Scoreboard(_SLOTS)
        self._rates = _native.RateTable()
        self._selector = selectors.DefaultSelector()
        self._lifeline_reader, self._lifeline_writer = os.pipe()
        self._templates: dict[Generation, Template] = {}
        self._leaving: dict[int, float] = {}  # processes of templates let go: when they are killed
        self._memory_kills = MemoryKills()
        self._expiry_warnings = ExpiryWarnings()
        self._acme = AcmeProcess(lambda main: fork(main, self._forget_in_child))
        self._watcher = 0
        self._watch_at = float("inf")  # when the watcher is started, of the monotonic clock
        self._looked_at = self._awake_since = time.monotonic()
        _check(program.config)
        self._generations = 1  # read so far
        generation = Generation(1, program, self._sockets)
        self._rules = Rules(generation, self)
        self._control = SupervisorControl(
            control, self._selector, self._rules, self._scoreboard, self._obey, self._reload
        )

    # ---- life

    def run(self) -> tuple[bool, signal.Signals | None]:
        """Supervises until a signal ends it, or the application does not start.

        Returns whether it started, and the signal. Raises InChild in the processes that it forks.
        """
        self._selector.register(self._signals, selectors.EVENT_READ, self._take_signals)
        try:
            config = self._rules.generation.config
            if config.reload:
                self._watch_at = time.monotonic()
            while not self._is_over():
                if time.monotonic() >= self._watch_at:
                    self._watch(config)
                self._rules.keep_up(time.monotonic())
                self._acme.keep_up()
                for generation, template in list(self._templates.items()):
                    self._take_in(generation, template.take_pending())
                self._drop_old_generations()
                self._scoreboard.set_wanted(self._rules.wanted)
                self._steer()
                for key, _ in self._selector.select(_LOOK):
                    key.data()
                self._look_at_workers()
                self._control.turn()
                self._expiry_warnings.look(self._rules.in_force.config)
                self._notifier.keep_alive()
        except InChild:
            raise
        except BaseException:
            for worker in self._rules.workers:
                worker.send(signal.SIGTERM)
            raise
        self._clean_up()
        return not self._rules.failed, self._rules.ended_by

    def dismiss(self) -> None:
        """After `run`, and when all else is undone: tells who waits for the end of it."""
        self._control.end()

    def _watch(self, config: Config) -> None:
        try:
            self._watcher = fork(lambda: watcher.watch(config), self._forget_in_child)
            self._watch_at = float("inf")
        except OSError as error:
            self._watch_at = time.monotonic() + _WATCH_RETRY
            error_log.error("nothing is watched, next try in %g s: %s", _WATCH_RETRY, error)

    def _is_over(self) -> bool:
        if not self._rules.ends or self._rules.workers:
            return False
        for template in self._templates.values():
            self._release(template)
        return not self._leaving

    def _clean_up(self) -> None:
        self._signals.end()
        os.close(self._lifeline_writer)
        self._acme.join()
        if self._watcher:
            with suppress(ProcessLookupError, ChildProcessError):
                os.kill(self._watcher, signal.SIGTERM)
                os.waitpid(self._watcher, 0)
        self._sockets.close()
        self._forget()

    def _forget_in_child(self, *serves: Generation, seats: Iterable[Seat | None] = ()) -> None:
        """Closes what a child must not have: with the supervisor's end of the lifeline in a child,
        nobody would notice the supervisor's, and a socket that only others serve would stay open
        after them."""
        self._forget()
        self._control.forget(keeps_door=any(generation.admins for generation in serves))
        self._sockets.keep([generation.config for generation in serves])
        self._sockets.keep_seats(seats)

    def _forget(self) -> None:
        self._signals.close()
        self._selector.close()
        for worker in self._rules.workers:
            os.close(worker.status)
        for template in self._templates.values():
            template.close()
        with suppress(OSError):
            os.close(self._lifeline_writer)

    # ---- signals

    def _take_signals(self) -> None:
        for number in self._signals.take():
            self._obey(number)

    def _obey(self, number: signal.Signals) -> None:
        if number == signal.SIGCHLD:
            for process, status in ended_children():
                self._process_ended(process, status)
        elif number in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT):
            self._rules.end(number, time.monotonic())
        elif self._rules.ends:
            return
        elif number == signal.SIGHUP:
            self._reload()
        elif number == signal.SIGUSR1:
            self._rules.reopen_logs()
        elif number == signal.SIGTTIN:
            self._rules.want_more(1)
        elif number == signal.SIGTTOU:
            self._rules.want_more(-1)

    # ---- generations

    def _reload(self) -> str:
        """Why nothing has been begun; empty if a reload has."""
        if self._rules.ends:
            return "the server is about to stop"
        error_log.info("reloading")
        self._notifier.reloading()
        try:
            program = self._read()
            _check(program.config)
            fresh = Generation(self._generations + 1, program, self._sockets)
        except (ConfigError, TargetError, UsageError, OSError) as error:
            error_log.error("the reload failed, the workers go on as they are: %s", error)
            self.reload_failed()
            return str(error)
        self._generations = fresh.number
        self._rules.reload(fresh)
        return ""

    def _drop_old_generations(self) -> None:
        used = self._rules.generations
        for generation in set(self._templates) - used:
            self._release(self._templates.pop(generation))
        self._sockets.keep([generation.config for generation in used])

    # ---- the rules' hands

    def start_worker(self, generation: Generation) -> Worker | None:
        try:
            template = self._template_of(generation) if generation.config.preload else None
            if generation.config.preload and template is None:
                return None  # it has to load the application first
            seats = generation.take_seats()
        except OSError as error:
            raise SpawnError(str(error)) from error
        ends: list[int] = []
        try:
            reader, writer = ends = list(os.pipe())
            door = self._control.door_of(generation)
            links = self._control.new_link(generation)
        except OSError as error:
            for end in ends:
                os.close(end)
            generation.give_back(seats)
            raise SpawnError(str(error)) from error
        # What follows is not undone in a `finally`, which a child would pass too.
        worker: Worker
        number = self._free_slot()
        post = Post(number, writer, self._lifeline_reader, self._scoreboard, self._rates, seats)
        post = replace(post, door=door)
        if links is not None:
            post = replace(post, link=links[1].fileno())

        def forget() -> None:
            self._forget_in_child(generation, seats=seats)
            os.close(reader)
            if links is not None:
                links[0].close()
                links[1].detach()

        try:
            os.set_blocking(reader, False)
            # Before there is a process that nobody would hear if this failed.
            self._selector.register(reader, selectors.EVENT_READ, lambda: self._hear(worker))
            if template is not None:
                process = template.spawn(post)
            else:
                process = fork(lambda: serve(post, generation), forget)
        except (OSError, SpawnError) as error:
            with suppress(KeyError):  # it is what has failed
                self._selector.unregister(reader)
            os.close(reader)
            os.close(writer)
            for each in links or ():
                each.close()
            generation.give_back(seats)
            if isinstance(error, TemplateLostError) and template is not None:
                self._release(template)
            raise SpawnError(str(error)) from error
        os.close(writer)
        worker = Worker(number, process, generation, template, reader, time.monotonic(), seats)
        if links is not None:
            links[1].close()
            self._control.worker_started(worker, links[0])
        return worker

    def leave_new_to_others(self, worker: Worker) -> None:
        self._steer(without=worker)

    def _steer(self, without: Worker | None = None) -> None:
        """Has new connections of HTTP/3 given to workers that serve, or will."""
        taking: dict[DatagramPort, list[Seat]] = {}
        for state in (State.ready, State.starting):
            found: dict[DatagramPort, list[Seat]] = {}
            for worker in self._rules.workers:
                if worker.state is state and worker is not without:
                    for port, seat in zip(worker.generation.ports, worker.seats, strict=True):
                        if port is not None and seat is not None:
                            found.setdefault(port, []).append(seat)
            taking = {**found, **taking}
        for port, seats in taking.items():
            port.steer(seats)

    def _free_slot(self) -> int:
        taken = {worker.number for worker in self._rules.workers}
        number = next(number for number in range(1, _SLOTS) if number not in taken)
        self._scoreboard.clear(number)
        return number

    def serving(self, generation: Generation) -> None:
        show_from(generation.config.log_level)
        self._notifier.ready(f"serving by {self._rules.wanted} workers")
        error_log.info(
            "listening on %s (engine %s, %d workers of %d threads, pid %d)",
            ", ".join(generation.urls),
            choose_engine(generation.config),
            self._rules.wanted,
            generation.config.threads,
            os.getpid(),
        )
        if generation.redirects:
            redirects = ", ".join(each.description for each in generation.redirects)
            error_log.info("redirecting %s to HTTPS", redirects)
        if generation.admins:
            admins = ", ".join(each.description for each in generation.admins)
            error_log.info("telling administrators on %s", admins)
        for level, text in generation.certificates:
            error_log.log(level, "%s", text)
        self._expiry_warnings.told()
        self._acme.serve(generation)

    def reload_failed(self) -> None:
        show_from(self._rules.in_force.config.log_level)
        self._notifier.ready("the last reload failed")

    def stopping(self) -> None:
        self._scoreboard.begin_drain()
        self._acme.end()
        self._notifier.stopping()

    def finishing(self) -> None:
        self._sockets.stop_listening()
        for template in self._templates.values():
            template.stop_listening()

    # ---- templates

    def _template_of(self, generation: Generation) -> Template | None:
        """The one that workers can be forked from; None while it loads the application.

        Raises OSError if there can be none."""
        template = self._templates.get(generation)
        if template is None:
            post = Post(0, -1, self._lifeline_reader, self._scoreboard, self._rates)
            post = replace(post, door=self._control.door_of(generation))
            template = Template(generation, post, lambda: self._forget_in_child(generation))
            try:
                self._selector.register(
                    template, selectors.EVENT_READ, lambda: self._hear_template(generation)
                )
            except OSError:
                self._let_go(template)
                raise
            self._templates[generation] = template
        return template if template.is_ready and not template.is_gone else None

    def _hear_template(self, generation: Generation) -> None:
        template = self._templates.get(generation)
        if template is None or template.is_gone:
            return
        try:
            self._take_in(generation, template.messages())
        except (EOFError, OSError):
            self._release(template)  # until SIGCHLD says how it ended

    def _take_in(self, generation: Generation, messages: Iterable[dict[str, Any]]) -> None:
        for message in messages:
            if "ready" in message:
                self._templates[generation].is_ready = True
            elif "unloadable" in message:
                self._templates[generation].failure = message["unloadable"]
            elif "exited" in message:
                self._process_ended(message["exited"], message["status"])

    def _release(self, template: Template) -> None:
        """Lets go of a template: it ends, if it has not yet; its workers go on."""
        if not template.is_gone:
            self._selector.unregister(template)
            self._let_go(template)

    def _let_go(self, template: Template) -> None:
        template.is_gone = True
        self._leaving[template.process] = time.monotonic() + _TEMPLATE_MARGIN
        template.close()

    # ---- what becomes of processes

    def _hear(self, worker: Worker) -> None:
        if worker.state is State.gone or worker.is_silent:
            return  # since the same turn
        with suppress(BlockingIOError):
            if data := os.read(worker.status, 64):
                self._rules.heard(worker, data, time.monotonic())
                return
            self._selector.unregister(worker.status)
            worker.is_silent = True
            if worker.template is not None and worker.template.is_gone:
                self._worker_ended(worker, None)  # nobody is left who could say how

    def _process_ended(self, process: int, status: int) -> None:
        # First what has been said: it or another one may have served before.
        for worker in list(self._rules.workers):
            self._hear(worker)
        for worker in self._rules.workers:
            if worker.process == process:
                self._worker_ended(worker, status)
                return
        if process == self._watcher:
            error_log.error("nothing is watched any more: the watching process has ended")
            self._watcher = 0
        self._acme.ended(process, status)
        for generation, template in list(self._templates.items()):
            if template.process == process:
                self._template_ended(generation, status)
        self._leaving.pop(process, None)

    def _template_ended(self, generation: Generation, status: int) -> None:
        template = self._templates[generation]
        if not template.is_gone:
            self._take_in(generation, template.last_messages())
        del self._templates[generation]
        self._release(template)
        for worker in list(self._rules.workers):
            if worker.template is template and worker.is_silent:
                self._worker_ended(worker, None)
        how = self._exit(status)
        self._control.template_ended(generation, template.failure or how.words)
        self._rules.template_ended(generation, how, time.monotonic())

    def _worker_ended(self, worker: Worker, status: int | None) -> None:
        if not worker.is_silent:
            self._selector.unregister(worker.status)
        os.close(worker.status)
        worker.generation.give_back(worker.seats)
        how = self._exit(status)
        self._control.worker_ended(worker, how)
        if not self._rules.ends:
            self._scoreboard.count_end(worker.ends_by(how))
        self._rules.worker_ended(worker, how, time.monotonic())

    def _exit(self, status: int | None) -> Exit:
        return Exit.of(status, self._memory_kills.have_grown())

    def _look_at_workers(self) -> None:
        now = time.monotonic()
        timeout = self._rules.in_force.config.worker_timeout
        if now - self._looked_at >= max(_PAUSE, timeout / 2):
            self._awake_since = now
        self._looked_at = now
        for worker in list(self._rules.workers):
            if worker.state is State.ready:
                self._look_at(worker)
        for process, deadline in self._leaving.items():
            if time.monotonic() >= deadline:
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
            worker.expire("max_rss", f"it uses {scores['rss_bytes'] >> 20} MiB of memory")
        silent = time.monotonic_ns() - scores["heartbeat_ns"]
        stuck = max(scores["stalled_ns"], silent) / 1e9
        stuck = min(stuck, time.monotonic() - self._awake_since)
        if config.worker_timeout and stuck >= config.worker_timeout:
            self._rules.stuck(worker, stuck, time.monotonic())


def _check(config: Config) -> None:
    """Raises ConfigError for what would only be found out in a worker."""
    choose_engine(config)
    if config.reload:
        watcher.check(config)
