"""The supervisor's rules, against simulated processes.

A simulated worker does what a real one does, in the same order: it loads the application, puts its
handlers in place, accepts, and only then says that it is ready. What it says, and that it has
ended, is heard by the rules later, or in another order. So every crossing of a signal with a start,
a reload, a crash and a stop is tried here, whatever the machine is doing.
"""

from __future__ import annotations

import signal
from enum import IntEnum
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from prowingen_wsgi.processes.rules import LIMIT, READY, Rules
from prowingen_wsgi.processes.worker import Exit, State, Worker

if TYPE_CHECKING:
    from prowingen_wsgi.processes.generation import Generation

GRACE = 10.0
BOOT_FAILURE = Exit("exited with code 3", could_start=False)
CRASH = Exit("was killed by SIGSEGV", could_start=True)

anyone = st.integers(0, 15)


class Stage(IntEnum):
    loading = 0
    handling = 1
    """Handlers are in place; it does not accept yet."""
    serving = 2
    dead = 3


class Process(Worker):
    """A worker, and the process that it stands for."""

    def __init__(self, world: World, number: int, generation: Generation) -> None:
        super().__init__(number, number, generation, None, -1, world.now)
        self.world = world
        self.stage = Stage.loading
        self.requests = 0
        self.told_at = float("inf")
        self.pipe = b""
        self.said_ready = False
        self.reopen_owed = False
        self.leaves_new_to_others = False
        self.end = BOOT_FAILURE

    def send(self, number: signal.Signals) -> None:
        if self.stage is Stage.dead:
            return
        if number == signal.SIGKILL:
            may_have_accepted = self.stage is Stage.serving
            in_time = self.world.now < self.told_at + GRACE
            if may_have_accepted and in_time and not self.world.at_once:
                self.world.faults.append(f"{self} is killed, and {self.requests} requests with it")
            self.die(CRASH)
        elif self.stage is Stage.loading:
            if number != signal.SIGTERM:
                self.world.faults.append(f"{number.name} has its default action, and dumps core")
            self.die(CRASH)
        elif number == signal.SIGQUIT:
            if not self.world.at_once:
                self.world.faults.append(f"{self} is told to close everything at once")
            self.die(CRASH)
        elif number == signal.SIGTERM:
            self.told_at = min(self.told_at, self.world.now)
            if not self.leaves_new_to_others and not self.world.at_once:
                self.world.faults.append(f"{self} is told to finish, and given new connections")
            if self.has_handlers and self.world.serve_too_few():
                self.world.faults.append(f"{self} is told to finish, and is needed")
        elif number == signal.SIGUSR1:
            self.reopen_owed = False

    def die(self, end: Exit) -> None:
        self.stage = Stage.dead
        self.end = end

    @property
    def drains(self) -> bool:
        return self.stage is Stage.serving and self.world.now >= self.told_at

    def go_on(self) -> None:
        """The next thing that a worker does by itself."""
        if self.stage is Stage.loading and cast("Plan", self.generation).broken:
            self.die(BOOT_FAILURE)
        elif self.stage < Stage.serving:
            self.stage = Stage(self.stage + 1)
        elif self.stage is Stage.serving and not self.said_ready:
            self.said_ready = self.world.anyone_was_ready = True
            self.pipe += READY
        elif self.drains and self.requests == 0:
            self.die(Exit("exited with code 0", could_start=True))
        elif self.stage is Stage.serving:
            self.requests = 0


class Plan(SimpleNamespace):
    """A generation. `broken`: its application cannot be loaded."""

    number: int
    broken: bool
    wanted: int

    __hash__ = object.__hash__  # type: ignore[assignment]
    __eq__ = object.__eq__


class World(RuleBasedStateMachine):
    rules_class: type[Rules] = Rules

    def __init__(self) -> None:
        super().__init__()
        self.now = 100.0
        self.at_once = False
        self.anyone_was_ready = False
        self.spawn_fails = False
        self.faults: list[str] = []
        self.processes: list[Process] = []
        self.numbers = 0
        self.plans = 0
        # What the administrator means, whatever the rules make of it: so many workers of each plan,
        # by the newest plan if it starts, and by the last that has started otherwise.
        self.asked: dict[Generation, int] = {}
        self.started: set[Generation] = set()
        self.newest: Generation
        self.in_force: Generation | None = None

    # ---- the rules' hands

    def start_worker(self, generation: Generation) -> Worker | None:
        if self.spawn_fails:
            return None
        self.numbers += 1
        process = Process(self, self.numbers, generation)
        self.processes.append(process)
        return process

    def leave_new_to_others(self, worker: Worker) -> None:
        cast("Process", worker).leaves_new_to_others = True

    def serving(self, generation: Generation) -> None:
        assert generation is self.workforce.generation

    def reload_failed(self) -> None:
        assert self.anyone_was_ready
        assert self.in_force is not None
        self.newest = self.in_force

    def stopping(self) -> None:
        assert self.workforce.ends

    def finishing(self) -> None:
        assert self.workforce.ends
        assert not [each for each in self.workforce.workers if each.state is State.ready]

    # ---- an administrator

    def plan(self, workers: int, *, broken: bool) -> Generation:
        self.plans += 1
        config = SimpleNamespace(
            graceful_timeout=GRACE,
            drain_delay=self.delay,
            reload=False,
            max_requests=9,
            workers=workers,
        )
        plan = Plan(number=self.plans, config=config, wanted=workers, proven=False, broken=broken)
        return cast("Generation", plan)

    def asked_for(self) -> int:
        return self.asked[self.in_force or self.newest]

    def serve_too_few(self) -> bool:
        serving = [each for each in self.workforce.workers if each.state is State.ready]
        return not self.workforce.ends and len(serving) < self.asked_for()

    def note_start(self, plan: Generation) -> None:
        if plan in self.started or self.workforce.ends:
            return
        overtaken = self.newest not in self.started and (
            self.in_force is None or plan.number > self.in_force.number
        )
        self.started.add(plan)
        if plan is self.newest or overtaken:
            self.in_force = plan

    @initialize(
        wanted=st.integers(1, 3),
        broken=st.just(False) | st.booleans(),
        delay=st.sampled_from([0.0, GRACE / 2]),
    )
    def begin(self, wanted: int, broken: bool, delay: float = 0.0) -> None:
        self.delay = delay
        self.newest = self.plan(wanted, broken=broken)
        self.asked[self.newest] = wanted
        self.workforce = self.rules_class(self.newest, self)
        self.turn()

    def running(self) -> bool:
        return not self.workforce.ends

    @precondition(running)
    @rule(broken=st.just(False) | st.booleans(), wanted=st.none() | st.integers(1, 3))
    def reload(self, broken: bool, wanted: int | None) -> None:
        before = self.newest
        workers = wanted or int(before.config.workers)
        self.newest = self.plan(workers, broken=broken)
        same = workers == before.config.workers
        self.asked[self.newest] = self.asked[before] if same else workers
        self.workforce.reload(self.newest)

    @precondition(running)
    @rule(change=st.sampled_from([1, -1]))
    def change_wanted(self, change: int) -> None:
        if max(self.asked.values()) + change > 4:
            return
        for plan, count in self.asked.items():
            self.asked[plan] = max(count + change, 1)
        self.workforce.want_more(change)

    @precondition(running)
    @rule()
    def rotate_logs(self) -> None:
        for process in self.processes:
            process.reopen_owed = True
        self.workforce.reopen_logs()

    @rule(number=st.sampled_from([signal.SIGTERM, signal.SIGINT, signal.SIGQUIT]), sure=anyone)
    def stop(self, number: signal.Signals, sure: int) -> None:
        if sure:
            return  # or most runs would be short
        self.at_once = self.at_once or self.workforce.ends or number == signal.SIGQUIT
        self.workforce.end(number, self.now)

    # ---- the processes

    def any_process(self) -> bool:
        return bool(self.processes)

    def process(self, which: int) -> Process:
        return self.processes[which % len(self.processes)]

    @precondition(any_process)
    @rule(which=anyone, steps=st.integers(1, 4))
    def go_on(self, which: int, steps: int) -> None:
        for _ in range(steps):
            self.process(which).go_on()

    @precondition(any_process)
    @rule(which=anyone)
    def accept(self, which: int) -> None:
        process = self.process(which)
        if process.stage is Stage.serving and not process.drains:
            process.requests += 1

    @precondition(any_process)
    @rule(which=anyone)
    def take_the_last_request(self, which: int) -> None:
        process = self.process(which)
        if process.stage is Stage.serving:
            process.pipe += LIMIT

    @precondition(any_process)
    @rule(which=anyone, end=st.sampled_from([CRASH, BOOT_FAILURE]))
    def crash(self, which: int, end: Exit) -> None:
        process = self.process(which)
        if process.stage is not Stage.dead and (end is CRASH or process.stage is Stage.loading):
            process.die(end)

    # ---- what the supervisor gets to know, and when

    @precondition(any_process)
    @rule(which=anyone)
    def hear(self, which: int) -> None:
        process = self.process(which)
        if process.pipe:
            said, process.pipe = process.pipe, b""
            if READY in said:
                self.note_start(process.generation)
            self.workforce.heard(process, said, self.now)

    @precondition(any_process)
    @rule(which=anyone)
    def reap(self, which: int) -> None:
        process = self.process(which)
        if process.stage is not Stage.dead:
            return
        for each in range(len(self.processes)):
            self.hear(each)
        self.processes.remove(process)
        failed = self.workforce.failed
        self.workforce.worker_ended(process, process.end, self.now)
        assert failed or not self.workforce.failed or not self.anyone_was_ready, "it could start"

    @rule(seconds=st.sampled_from([0.0, 0.1, 1.0, GRACE / 2, GRACE]))
    def turn(self, seconds: float = 0.0) -> None:
        self.now += seconds
        self.workforce.keep_up(self.now)
        assert set(self.workforce.workers) == set(self.processes)

    @rule(fails=st.booleans())
    def run_out_of_processes(self, fails: bool) -> None:
        self.spawn_fails = fails

    # ---- what holds

    @invariant()
    def no_request_is_lost(self) -> None:
        assert self.faults == []

    @invariant()
    def the_administrator_is_obeyed(self) -> None:
        if hasattr(self, "workforce") and not self.workforce.ends:
            assert self.workforce.generation is self.newest
            assert self.workforce.wanted == self.asked_for(), "another number is wanted"

    def settle(self) -> None:
        """Everybody gets to do what is to be done."""
        self.spawn_fails = False
        for _ in range(60):
            for _ in range(5):
                for process in self.processes:
                    process.go_on()
            for process in list(self.processes):
                self.hear(self.processes.index(process))
            for process in list(self.processes):
                self.reap(self.processes.index(process))
            self.turn(1.0)

    def teardown(self) -> None:
        if not hasattr(self, "workforce"):
            return
        self.settle()
        assert self.faults == []
        if not self.workforce.ends:
            states = [worker.state for worker in self.workforce.workers]
            assert states == [State.ready] * self.asked_for()
            assert {each.generation for each in self.workforce.workers} == {self.in_force}
            assert not any(process.reopen_owed for process in self.processes)
            self.workforce.end(signal.SIGTERM, self.now)
            self.settle()
        assert self.faults == []
        assert self.workforce.workers == []


World.TestCase.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
TestSupervision = World.TestCase


def find(rules: type[Rules], fault: str) -> None:
    class Faulty(World):
        rules_class = rules

    found = settings(
        max_examples=400, phases=[Phase.generate], derandomize=True, database=None, deadline=None
    )
    with pytest.raises(AssertionError, match=fault):
        run_state_machine_as_test(Faulty, settings=found)


def test_the_simulation_finds_who_kills_a_worker_that_is_not_heard_to_be_ready() -> None:
    class Hasty(Rules):
        def _retire(self, worker: Worker, now: float) -> None:
            if worker.state is State.starting:
                worker.kill(signal.SIGKILL)
            else:
                super()._retire(worker, now)

    find(Hasty, "is killed, and")


def test_the_simulation_finds_who_ends_workers_for_a_reload_that_may_fail() -> None:
    class Hasty(Rules):
        @property
        def wanted(self) -> int:
            return self.generation.wanted

    find(Hasty, "is told to finish, and is needed|another number is wanted")
