"""The control socket's commands in a supervisor, as one more thing that its loop does.

`status`, `workers` and `ready` need the scoreboard alone. `stacks` and `log-level` ask the workers,
and wait for none: a worker whose thread gets no GIL within a second is sent a signal instead, whose
handler writes its stacks without the GIL. Only then: while other threads run Python, what such a
handler reads of theirs may change under it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import __version__, logs
from ..control.commands import Commands, log_withdrawal, probe_paths
from ..control.door import Door
from ..control.endpoint import Endpoint
from ..control.in_flight import of_process
from ..control.link import Link, pair
from ..control.protocol import CONFIGURED, NotDone
from ..logs import error_log
from ..originals import os, selectors, signal, time
from .stacks_round import StacksRound
from .worker import State
from .worker_figures import summed, worker_figures

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .. import _native
    from ..control.protocol import Answer
    from ..control.socket_file import ControlSocket
    from ..originals import socket
    from .generation import Generation
    from .rules import Rules
    from .worker import Exit, Worker

# In seconds: for how long it is waited for workers that are told something.
_ANSWER_TIME = 1.0
_STATES = [each.value for each in State if each is not State.gone]
_RELOAD_FAILED = "the reload failed, the workers go on as they are"


class SupervisorControl(Commands):
    """What a supervisor has of a control socket and a door; without them it does nothing.

    signal, reload: what the supervisor does at a signal, and at SIGHUP, of which the second returns
        why nothing was begun, or "".
    """

    def __init__(
        self,
        listening: ControlSocket | None,
        selector: selectors.BaseSelector,
        rules: Rules,
        scoreboard: _native.Scoreboard,
        obey: Callable[[signal.Signals], None],
        reload: Callable[[], str],
    ) -> None:
        self._selector = selector
        self._rules = rules
        self._scoreboard = scoreboard
        self._obey = obey
        self._reload_now = reload
        self._links: dict[Worker, Link] = {}
        self._failures: list[tuple[Generation, dict[str, Any]]] = []
        self._withdrawn = False
        self._began = time.monotonic()
        self._round: StacksRound | None = None
        self._endpoint = Endpoint(selector, self)
        self._has_socket = listening is not None
        self._door: Door | None = None
        if listening is not None:
            self._endpoint.add(listening)

    # ---- the supervisor's loop

    def turn(self) -> None:
        """After each wait of the loop."""
        self._endpoint.turn()

    def forget(self, *, keeps_door: bool = False) -> None:
        """In a child: all of this is the supervisor's, but for the door's outer end."""
        if self._door is not None and keeps_door:
            self._door.keep_outside()
        self._endpoint.forget()
        for link in self._links.values():
            link.close()

    def end(self) -> None:
        """The server has ended."""
        self._endpoint.end()

    # ---- workers

    def door_of(self, generation: Generation) -> int:
        """The end of the door that a process of that generation is given; -1: none. Raises
        OSError."""
        if not generation.admins:
            return -1
        if self._door is None:
            self._door = Door(self._may_control)
            self._endpoint.add(self._door)
        return self._door.outside

    def _may_control(self) -> bool:
        return any(generation.admin_token for generation in self._rules.generations)

    def new_link(self, generation: Generation) -> tuple[Link, socket.socket] | None:
        """The two ends of a link for a worker that is about to start. Raises OSError."""
        if not (self._has_socket or generation.admins):
            return None
        ours, theirs = pair()
        return Link(ours), theirs

    def worker_started(self, worker: Worker, link: Link) -> None:
        """Its end is the worker's by now."""
        self._links[worker] = link
        try:
            self._selector.register(link, selectors.EVENT_READ, lambda: self._hear(worker))
        except OSError as error:
            error_log.warning("%s cannot be heard by the control socket: %s", worker, error)
            self._links.pop(worker).close()

    def worker_ended(self, worker: Worker, how: Exit) -> None:
        """Before the rules are told: its state is what it was."""
        link = self._links.get(worker)
        if link is not None:
            if not link.is_over:
                self._hear(worker)  # it may have said why
            if not link.is_over:
                self._selector.unregister(link)
                link.close()
            del self._links[worker]
        if worker.state is State.starting:
            why = (link.failure if link is not None else "") or how.words
            event = {"worker": worker.number, "pid": worker.process, "is": "failed", "why": why}
            self._failed(worker.generation, event)

    def template_ended(self, generation: Generation, why: str) -> None:
        """What loads the application with `preload`."""
        self._failed(generation, {"is": "failed", "why": why, "worker": 0})

    def _failed(self, generation: Generation, event: dict[str, Any]) -> None:
        self._failures = [*self._failures[-99:], (generation, event)]

    def _hear(self, worker: Worker) -> None:
        link = self._links.get(worker)
        if link is not None and not link.is_over and not link.hear():
            self._selector.unregister(link)
            link.close()

    # ---- commands

    def _status(self) -> Answer:
        yield from ()
        rules = self._rules
        workers = self._figures()
        config = rules.in_force.config
        why = self._why_not_ready(workers)
        counts = [each.state.value for each in rules.workers]
        return {
            "version": __version__,
            "pid": os.getpid(),
            "serves_by": "workers",
            "state": self._state(),
            "ready": not why,
            "why_not_ready": why,
            "withdrawn": self._withdrawn,
            "seconds_up": round(time.monotonic() - self._began, 1),
            "addresses": rules.in_force.urls,
            "generation": rules.in_force.number,
            "log_level": logs.shown_level(),
            "workers_wanted": rules.wanted,
            "threads": config.threads,
            "workers": {
                each.value: counts.count(each.value) for each in State if each is not State.gone
            },
            "last_failed_start": self._failures[-1][1] if self._failures else None,
            **summed(workers),
        }

    def _figures(self) -> list[dict[str, Any]]:
        return [
            worker_figures(each, self._scoreboard.read(each.number)) for each in self._rules.workers
        ]

    def _state(self) -> str:
        if self._rules.ends:
            return "stopping"
        if not self._rules.in_force.proven:
            return "starting"
        is_new = self._rules.in_force is self._rules.generation
        old = any(
            each.state is State.ready and each.generation is not self._rules.generation
            for each in self._rules.workers
        )
        return "reloading" if old or not is_new else "serving"

    def _why_not_ready(self, workers: list[dict[str, Any]]) -> str:
        """As probes are told: of several workers one that is ready is enough."""
        if self._rules.ends:
            return "it is about to stop"
        if self._withdrawn:
            return "an administrator says so"
        if any(each["ready"] for each in workers):
            return ""
        serving = [each["why_not_ready"] for each in workers if each["state"] == "ready"]
        return serving[0] if serving else "no worker serves yet"

    def _workers(self) -> Answer:
        yield from ()
        workers = sorted(self._figures(), key=lambda each: int(each["worker"]))
        return {"workers": workers, "workers_wanted": self._rules.wanted}

    def _requests(self) -> Answer:
        """Natively, as processes write them ten times a second while they are asked to."""
        asked_ns = time.monotonic_ns()
        while True:
            self._scoreboard.watch()
            told = [(w, self._scoreboard.doing(w.number, asked_ns)) for w in self._rules.workers]
            late = time.monotonic_ns() - asked_ns > _ANSWER_TIME * 1e9
            if late or all(doing is not None or not w.has_handlers for w, doing in told):
                break
            yield None
        rows = [
            of_process(w.number, w.process, doing, "" if doing is not None else _untold(w))
            for w, doing in sorted(told, key=lambda each: each[0].number)
        ]
        return {"workers": rows}

    def _stacks(self) -> Answer:
        # Who asks meanwhile gets what the first one does.
        mine = self._round
        if mine is None or not mine.is_under_way:
            mine = self._round = StacksRound(
                [(worker, self._links.get(worker)) for worker in self._rules.workers]
            )
        while not mine.is_done:
            mine.turn()
            yield None
        return {"workers": mine.results}

    def _reload(self, arguments: Mapping[str, Any]) -> Answer:
        rules = self._rules
        if rules.ends:
            raise NotDone("the server is about to stop", code="refused")
        if why := self._reload_now():
            raise NotDone(f"{_RELOAD_FAILED}: {why}", code="failed")
        fresh = rules.generation
        begun = {"is": "begun", "generation": fresh.number}
        if not arguments["wait"]:
            return begun
        yield begun
        until = time.monotonic() + arguments["timeout"]
        told: list[dict[str, Any]] = []
        while True:
            ready = [w for w in rules.workers if w.generation is fresh and w.state is State.ready]
            events = [{"worker": w.number, "pid": w.process, "is": "ready"} for w in ready]
            events += [event for generation, event in self._failures if generation is fresh]
            for event in events:
                if event not in told:
                    told.append(event)
                    yield event
            failures = [event for event in told if event["is"] == "failed"]
            last = _words(failures[-1]) if failures else "its application does not start"
            if rules.generation is not fresh:
                if rules.generation.number > fresh.number:
                    raise NotDone("another reload has overtaken this one", code="refused")
                raise NotDone(f"{_RELOAD_FAILED}: {last}", code="failed")
            if rules.waits_for_change:
                raise NotDone(f"no worker serves until a file changes: {last}", code="failed")
            if rules.ends:
                raise NotDone("the server is about to stop", code="refused")
            if len(ready) >= fresh.wanted and self._state() == "serving":
                return {"is": "done", "generation": fresh.number, "workers": len(ready)}
            if time.monotonic() >= until:
                so_far = f"{len(ready)} of {fresh.wanted} workers serve, and it goes on"
                also = f"; {last}" if failures else ""
                raise NotDone(f"after {arguments['timeout']:g} s {so_far}{also}", code="failed")
            yield None

    def _signal(self, number: signal.Signals) -> None:
        self._obey(number)

    def _log_level(self, level: str) -> Answer:
        told = "" if level == CONFIGURED else level
        logs.tell_level(told)
        links = [(worker, link) for worker, link in self._links.items() if not link.is_over]
        # One that starts takes it from its link once it serves.
        asked = [(worker, link.ask(do="log-level", level=told)) for worker, link in links]
        until = time.monotonic() + _ANSWER_TIME
        while late := [w.number for w, each in asked if w.has_handlers and not each.is_done]:
            if time.monotonic() >= until:
                break
            yield None
        return {"level": logs.shown_level(), "workers_to_follow": late}

    def _ready(self, ready: bool) -> Answer:
        yield from ()
        self._withdrawn = not ready
        self._scoreboard.withdraw(self._withdrawn)
        log_withdrawal(self._withdrawn)
        probes = probe_paths(self._rules.in_force.config)
        return {"withdrawn": self._withdrawn, "probes": probes}


def _untold(worker: Worker) -> str:
    return "it says nothing: it is stopped, or ends" if worker.has_handlers else "it starts"


def _words(failure: Mapping[str, Any]) -> str:
    if not failure["worker"]:
        return f"what loads the application: {failure['why']}"
    return f"worker {failure['worker']} (pid {failure['pid']}): {failure['why']}"
