"""What a supervisor and a worker say to each other, and stacks in both their forms."""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from prowingen_wsgi.control.link import KEEPS_MESSAGES, Link, pair
from prowingen_wsgi.control.stacks import MOST_FRAMES, collected, parsed
from prowingen_wsgi.processes import stacks_round
from prowingen_wsgi.processes.stacks_round import StacksRound
from prowingen_wsgi.processes.worker import State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prowingen_wsgi.processes.worker import Worker

DUMP = """\
Thread 0x00007f1200000700 (most recent call first):
  File "/app/hello.py", line 12 in slow
  File "/app/hello.py", line ??? in <module>
  ...

Current thread 0x00007f1300000740 [a name] (most recent call first):
  File "/usr/lib/with "quotes".py", line 3 in wait
what nobody knows
"""

needs_messages = pytest.mark.skipif(not KEEPS_MESSAGES, reason="there are no such sockets")


class Ends:
    def __init__(self) -> None:
        self.now = 0.0
        ours, self.theirs = pair()
        self.link = Link(ours, lambda: self.now)

    def say(self, *messages: dict[str, Any]) -> None:
        for each in messages:
            self.theirs.send(json.dumps(each).encode() + b"\n")

    def asked(self) -> dict[str, Any]:
        question: dict[str, Any] = json.loads(self.theirs.recv(4096))
        return question


@pytest.fixture
def ends() -> Iterator[Ends]:
    ends = Ends()
    yield ends
    ends.link.close()
    ends.theirs.close()


def test_an_answer_belongs_to_its_question(ends: Ends) -> None:
    first, second = ends.link.ask(do="stacks"), ends.link.ask(do="log-level", level="debug")
    one, two = ends.asked(), ends.asked()
    assert (one["do"], two["do"], two["level"]) == ("stacks", "log-level", "debug")
    ends.say({"id": two["id"], "done": True}, {"id": one["id"], "thread": {"a": 1}})
    assert ends.link.hear()
    assert (first.is_done, second.is_done) == (False, True)
    ends.say({"id": one["id"], "done": True}, {"id": one["id"], "thread": {"late": 1}})
    assert ends.link.hear()
    assert first.is_done
    assert first.messages == [{"thread": {"a": 1}}]


def test_what_nobody_waits_for_any_more_is_passed_over(ends: Ends) -> None:
    asked = ends.link.ask(do="stacks")
    ends.link.forget(asked)
    number = ends.asked()["id"]
    ends.say({"id": number, "done": True}, {"hello": True}, {"failed": "why"})
    assert ends.link.hear()
    assert not asked.is_done
    assert (ends.link.says_hello, ends.link.failure) == (True, "why")


def test_the_end_of_a_worker_is_heard_after_what_it_has_said(ends: Ends) -> None:
    ends.say({"failed": "no module"})
    ends.theirs.close()
    assert not ends.link.hear()
    assert ends.link.failure == "no module"
    ends.link.close()
    assert not ends.link.ask(do="stacks").is_done, "nobody is asked, and nothing raised"


def test_a_worker_that_reads_nothing_is_not_waited_for(ends: Ends) -> None:
    for _ in range(10_000):
        ends.link.ask(do="stacks")


@needs_messages
def test_a_dump_and_messages_do_not_mix(ends: Ends) -> None:
    asked = ends.link.ask(do="stacks")
    number = ends.asked()["id"]
    ends.link.begin_dump()
    for piece in (DUMP[:20], DUMP[20:200]):
        ends.theirs.send(piece.encode())
    ends.say({"id": number, "done": True})
    ends.theirs.send(DUMP[200:].encode())
    assert ends.link.hear()
    assert asked.is_done
    assert ends.link.dump(0.2) is None, "it may not be all yet"
    ends.now += 0.2
    assert ends.link.dump(0.2) == DUMP


def test_a_dump_is_read_as_tracebacks_are() -> None:
    first, second = parsed(DUMP)
    assert [frame["function"] for frame in first["frames"]] == ["<module>", "slow"]
    assert [frame["line"] for frame in first["frames"]] == [0, 12]
    assert first["is_cut"]
    assert first["thread"] == "thread 0x7f1200000700"
    assert first["ident"] == 0x7F1200000700
    assert second["thread"] == "a name"
    assert second["frames"][0]["file"] == '/usr/lib/with "quotes".py'
    assert parsed("nothing\nof it") == []


def test_threads_are_found_with_their_requests() -> None:
    entered, leave = threading.Event(), threading.Event()

    def deep(left: int) -> None:
        if left:
            return deep(left - 1)
        entered.set()
        assert leave.wait(20)
        return None

    thread = threading.Thread(target=deep, args=(2 * MOST_FRAMES,), name="deep one")
    thread.start()
    try:
        assert entered.wait(20)
        assert thread.ident is not None
        threads = collected([(thread.ident, "GET /deep HTTP/1.1", 1.5), (1, "GET /gone", 2.0)])
    finally:
        leave.set()
        thread.join()
    first = threads[0]
    assert (first["thread"], first["request"], first["seconds"]) == (
        *("deep one", "GET /deep HTTP/1.1"),
        1.5,
    )
    assert first["ident"] == thread.ident
    assert len(first["frames"]) == MOST_FRAMES
    assert first["is_cut"], "the innermost ones are shown"
    assert any("leave.wait(20)" in frame["source"] for frame in first["frames"])
    assert threading.current_thread().name not in [each["thread"] for each in threads]
    assert json.dumps(threads)


def a_worker(*, loads: bool = False) -> Worker:
    state = State.starting if loads else State.ready
    worker = SimpleNamespace(number=3, process=4711, has_handlers=not loads, state=state)
    return cast("Worker", worker)


class Signals:
    """In place of `os` and `time`: a signal has the worker write its dump."""

    def __init__(self, ends: Ends, dump: bytes) -> None:
        self.sent: list[int] = []
        self._ends = ends
        self._dump = dump

    def kill(self, process: int, _number: int) -> None:
        self.sent.append(process)
        if self._dump:
            self._ends.theirs.send(self._dump)

    def monotonic(self) -> float:
        return self._ends.now


@pytest.fixture
def signals(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], Signals]:
    def make(dump: bytes) -> Signals:
        signals = Signals(ends, dump)
        monkeypatch.setattr(stacks_round, "os", signals)
        monkeypatch.setattr(stacks_round, "time", signals)
        return signals

    return make


def turns(ends: Ends, round_: StacksRound, *times: float) -> None:
    for each in times:
        ends.now = each
        ends.link.hear()
        round_.turn()


def test_a_worker_that_answers_gets_no_signal(
    ends: Ends, signals: Callable[[bytes], Signals]
) -> None:
    sent = signals(DUMP.encode())
    looks = StacksRound([(a_worker(), ends.link)])
    number = ends.asked()["id"]
    ends.say({"id": number, "thread": {"thread": "a"}}, {"id": number, "done": True})
    turns(ends, looks, 0.9)
    assert looks.is_done
    assert looks.results[0]["threads"] == [{"thread": "a"}]
    assert (sent.sent, looks.results[0]["note"]) == ([], "")


def test_who_asks_later_gets_no_old_round(ends: Ends, signals: Callable[[bytes], Signals]) -> None:
    signals(b"")
    looks = StacksRound([(a_worker(), ends.link)])
    assert looks.is_under_way
    ends.now = 1.0  # whoever began it has hung up
    assert not looks.is_under_way
    assert not looks.is_done


@needs_messages
def test_a_worker_without_its_gil_is_sent_a_signal(
    ends: Ends, signals: Callable[[bytes], Signals]
) -> None:
    sent = signals(DUMP.encode())
    ends.say({"hello": True})
    ends.link.hear()
    looks = StacksRound([(a_worker(), ends.link)])
    turns(ends, looks, 0.9)
    assert sent.sent == []
    turns(ends, looks, 1.0, 1.1)
    assert sent.sent == [4711]
    assert not looks.is_done, "it may not be all yet"
    turns(ends, looks, 1.4)
    (found,) = looks.results
    assert len(found["threads"]) == 2
    assert "C code keeps it" in found["note"]


def test_a_worker_that_does_nothing_is_given_up(
    ends: Ends, signals: Callable[[bytes], Signals]
) -> None:
    signals(b"")
    ends.say({"hello": True})
    ends.link.hear()
    looks = StacksRound([(a_worker(), ends.link)])
    turns(ends, looks, 1.0, 1.5, 2.0)
    (found,) = looks.results
    assert found["threads"] == []
    assert "it is stopped" in found["note"]


def test_a_worker_without_a_handler_yet_is_sent_no_signal(
    ends: Ends, signals: Callable[[bytes], Signals]
) -> None:
    sent = signals(DUMP.encode())  # whose default action would end it
    looks = StacksRound([(a_worker(loads=True), ends.link), (a_worker(), None)])
    turns(ends, looks, 0.0)
    assert looks.is_done
    assert sent.sent == []


@needs_messages
def test_a_worker_that_loads_is_sent_one_at_once(
    ends: Ends, signals: Callable[[bytes], Signals]
) -> None:
    sent = signals(DUMP.encode())
    ends.say({"hello": True})
    ends.link.hear()
    looks = StacksRound([(a_worker(loads=True), ends.link)])
    turns(ends, looks, 0.0, 0.1, 0.4)
    assert sent.sent == [4711]
    assert "still loads" in looks.results[0]["note"]


def test_the_ends_are_nonblocking_and_not_inherited() -> None:
    ours, theirs = pair()
    assert not os.get_inheritable(ours.fileno())
    assert not os.get_inheritable(theirs.fileno())
    if sys.platform == "linux":
        assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE) == socket.SOCK_SEQPACKET
    ours.close()
    theirs.close()
