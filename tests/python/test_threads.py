"""The server's own threads, as others see them."""

from __future__ import annotations

import os
import sys
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from prowingen_wsgi.threads import Gate, Latch, Thread, current

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def ended(body: Callable[[], object], *, traced: bool = False) -> Thread:
    thread = Thread("of the test", body, traced=traced)
    thread.start()
    thread.join(5)
    assert not thread.is_alive()
    return thread


@pytest.fixture
def waiting() -> Iterator[tuple[Thread, Latch]]:
    """A thread that runs until the latch is opened."""
    latch = Latch()
    thread = Thread("of the test", latch.wait)
    thread.start()
    yield thread, latch
    latch.open()
    thread.join(5)


def test_threading_knows_it_by_its_name_while_it_runs(waiting: tuple[Thread, Latch]) -> None:
    thread, latch = waiting
    record = next(each for each in threading.enumerate() if each.name == "of the test")
    assert record.daemon
    assert record.ident == thread.ident in sys._current_frames()
    assert record.is_alive()
    record.join(0.001)
    assert record.is_alive()
    latch.open()
    record.join(5)
    assert not record.is_alive()
    assert record not in threading.enumerate()


@pytest.mark.parametrize("opens", [True, False], ids=["opened", "shut"])
def test_it_waits_at_its_gate(opens: bool) -> None:
    gate = Gate()
    ran: list[bool] = []
    thread = Thread("of the test", lambda: ran.append(True), gate)
    thread.start()
    thread.join(0.01)
    assert thread.is_alive()
    assert ran == []
    if opens:
        gate.open()
    gate.shut()
    thread.join(5)
    assert not thread.is_alive()
    assert ran == [True] * opens


def test_it_is_the_current_thread_in_itself() -> None:
    names: list[str] = []
    ended(lambda: names.append(threading.current_thread().name))
    assert names == ["of the test"]


def test_a_thread_that_gets_its_number_is_not_taken_for_it() -> None:
    numbers: set[int] = set()
    for _ in range(20):
        numbers.add(ended(lambda: None).ident)
    assert not numbers & {thread.ident for thread in threading.enumerate()}


def test_it_has_locals_of_its_own() -> None:
    local = threading.local()
    local.value = "of the main thread"
    found: list[bool] = []
    ended(lambda: found.append(hasattr(local, "value")))
    assert found == [False]


def test_a_tracer_of_all_threads_traces_what_runs_the_application(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    traced: list[str] = []

    def trace(frame: Any, event: str, _argument: object) -> None:
        if event == "call":
            traced.append(frame.f_code.co_name)

    profiled: list[str] = []

    def profile(frame: Any, event: str, _argument: object) -> None:
        if event == "call":
            profiled.append(frame.f_code.co_name)

    monkeypatch.setattr(threading, "_trace_hook", trace)
    monkeypatch.setattr(threading, "_profile_hook", profile)

    def of_the_application() -> None:
        pass

    ended(of_the_application)
    assert traced == profiled == []
    ended(of_the_application, traced=True)
    assert "of_the_application" in traced
    assert "of_the_application" in profiled


@pytest.mark.parametrize("hook", ["_trace_hook", "_profile_hook"])
@pytest.mark.parametrize("error", [TimeoutError, KeyboardInterrupt])
def test_it_begins_and_ends_though_a_tracer_raises(
    monkeypatch: pytest.MonkeyPatch, hook: str, error: type[BaseException]
) -> None:
    """From its first event on, or from one on that comes in the body, which is native."""
    raises = [True]

    def trace(*_event: object) -> None:
        if raises:
            raise error

    monkeypatch.setattr(threading, hook, trace)
    done: list[str] = []
    threads = [ended(partial(done.append, "body"), traced=True)]
    raises.clear()
    threads += [ended(partial(raises.append, True), traced=True)]
    assert done == ["body"]
    assert raises == [True]
    assert not {each.ident for each in threads} & {each.ident for each in threading.enumerate()}


def test_it_runs_though_threading_has_been_taken_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    names: list[str] = []

    def body() -> None:
        names.append(threading.current_thread().name)

    with monkeypatch.context() as broken:
        broken.setattr(threading, "Thread", None)
        ended(body)
    with monkeypatch.context() as broken:
        broken.delattr(threading, "_DummyThread")
        ended(lambda: names.append("without a record"))
    with monkeypatch.context() as broken:
        broken.setattr(threading, "current_thread", None)
        ended(lambda: names.append("without its name"))
    with monkeypatch.context() as broken:
        broken.setattr(threading, "current_thread", sys.exit)
        ended(lambda: names.append("though it wants to exit"))
    assert names[:3] == ["of the test", "without a record", "without its name"]
    assert names[3:] == ["though it wants to exit"]


def test_its_children_know_it_though_thread_is_another_class(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Own(threading.Thread):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)

    codes: list[int] = []

    def fork() -> None:
        # What fails in a child's hooks is printed there, and no more.
        child = os.fork()
        if not child:
            names = [thread.name for thread in threading.enumerate()]
            known = names == ["of the test"] and threading.main_thread().name == "of the test"
            os._exit(0 if known else 1)
        codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

    monkeypatch.setattr(threading, "Thread", Own)
    ended(fork)
    assert codes == [0]


def test_an_open_latch_is_open_to_all_who_ask_at_once() -> None:
    latch = Latch()
    latch.open()
    refused: list[int] = []
    interval = sys.getswitchinterval()

    def poll() -> None:
        for _ in range(20_000):
            if not latch.wait(0):
                refused.append(current())
                return

    threads = [Thread(f"of the test {number}", poll) for number in range(3)]
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
    finally:
        sys.setswitchinterval(interval)
    assert refused == []


def test_a_latch_lets_everybody_pass_once_it_is_open() -> None:
    latch = Latch()
    assert not latch.wait(0)
    assert not latch.wait(0.001)
    assert not latch.wait(-1)
    passed: list[int] = []

    def pass_through() -> None:
        latch.wait()
        passed.append(current())

    threads = [Thread(f"of the test {number}", pass_through) for number in range(8)]
    for thread in threads:
        thread.start()
    latch.open()
    latch.open()
    for thread in threads:
        thread.join(5)
    assert sorted(passed) == sorted(thread.ident for thread in threads)
    assert latch.wait()
