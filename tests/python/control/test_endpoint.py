"""Conversations in the turns of a loop: what peers may do, and for how long."""

from __future__ import annotations

import json
import logging
import os
import socket
from typing import TYPE_CHECKING, Any

import pytest

from prowingen_wsgi import originals
from prowingen_wsgi.control import endpoint
from prowingen_wsgi.control.endpoint import Endpoint
from prowingen_wsgi.control.protocol import MOST_REQUEST, NotDone
from prowingen_wsgi.control.socket_file import MOST_CONVERSATIONS, ControlSocket

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from prowingen_wsgi.control.protocol import Answer, Request

STATUS = b'{"v": 1, "command": "status"}\n'
RELOAD = b'{"v": 1, "command": "reload"}\n'
STACKS = b'{"v": 1, "command": "stacks"}\n'


class Clock:
    """In place of `time`."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


class Loop:
    """A server's loop, turn by turn. `reload` waits until `outcome` is there."""

    def __init__(self, path: Path) -> None:
        self.selector = originals.selectors.DefaultSelector()
        self.outcome: dict[str, Any] | None = None
        self.closed: list[str] = []
        self.path = path
        self.endpoint = Endpoint(self.selector, self)
        self.endpoint.add(ControlSocket(str(path)))

    def begin(self, request: Request) -> Answer:
        return self._answer(request)

    def _answer(self, request: Request) -> Answer:
        try:
            if request.command == "stacks":
                return {"much": "x" * 4_000_000}
            if request.command == "stop":
                raise NotDone("not now", code="refused")
            if request.command == "workers":
                raise ZeroDivisionError
            while request.command == "reload" and self.outcome is None:
                yield None
            if self.outcome is not None:
                yield {"is": "first"}
                yield {"is": "second"}
            return {"of": request.command}
        finally:
            self.closed.append(request.command)

    def turn(self, times: int = 3) -> None:
        for _ in range(times):
            for key, _ in self.selector.select(0):
                key.data()
            self.endpoint.turn()

    def connect(self, *said: bytes) -> socket.socket:
        peer = socket.socket(socket.AF_UNIX)
        peer.settimeout(5)
        peer.connect(str(self.path))
        for each in said:
            peer.sendall(each)
        return peer

    def ask(self, said: bytes) -> list[dict[str, Any]]:
        with self.connect(said) as peer:
            self.turn()
            return answers(peer)


def answers(peer: socket.socket) -> list[dict[str, Any]]:
    """All lines until the server hangs up, without the version."""
    heard = b""
    while data := peer.recv(1 << 16):
        heard += data
    lines = [json.loads(line) for line in heard.splitlines()]
    assert all(line.pop("v") == 1 for line in lines)
    return lines


def error_of(said: list[dict[str, Any]]) -> str:
    (line,) = said
    assert line["ok"] is False
    assert len(line["error"]["message"]) > 5
    return str(line["error"]["code"])


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(endpoint, "time", clock)
    return clock


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[Loop]:
    loop = Loop(tmp_path / "s")
    yield loop
    loop.endpoint.end()
    loop.selector.close()
    assert not loop.path.exists()


def test_a_request_is_answered_and_the_server_hangs_up(loop: Loop) -> None:
    assert loop.ask(STATUS) == [{"ok": True, "result": {"of": "status"}}]
    assert loop.endpoint.next_turn() is None, "it sleeps until somebody comes"


def test_a_request_may_come_in_pieces(loop: Loop) -> None:
    with loop.connect(STATUS[:5]) as peer:
        loop.turn()
        peer.sendall(STATUS[5:])
        loop.turn()
        assert answers(peer) == [{"ok": True, "result": {"of": "status"}}]


def test_who_has_nothing_more_to_say_is_answered_too(loop: Loop) -> None:
    with loop.connect(RELOAD) as peer:
        peer.shutdown(socket.SHUT_WR)
        loop.turn()
        loop.outcome = {}
        loop.turn()
        assert [line.get("event", line.get("result")) for line in answers(peer)] == [
            {"is": "first"},
            {"is": "second"},
            {"of": "reload"},
        ]


def test_what_waits_for_its_outcome_keeps_nobody_else_waiting(loop: Loop) -> None:
    with loop.connect(RELOAD) as peer:
        loop.turn()
        assert loop.ask(STATUS) == [{"ok": True, "result": {"of": "status"}}]
        assert loop.endpoint.next_turn() is not None, "it is looked at again without an event"
        loop.outcome = {}
        loop.turn()
        assert answers(peer)[-1]["ok"]


def test_refusals_and_failures_are_told(
    loop: Loop, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("prowingen_wsgi"), "propagate", True)
    assert error_of(loop.ask(b'{"v": 1, "command": "stop"}\n')) == "refused"
    assert error_of(loop.ask(b"nonsense\n")) == "request"
    assert error_of(loop.ask(b'{"v": 1, "command": "workers"}\n')) == "failed"
    assert "a command of the control socket's failed" in caplog.text
    assert loop.ask(STATUS)[0]["ok"], "the server goes on"


def test_a_request_has_a_longest_line(loop: Loop) -> None:
    padding = b" " * (MOST_REQUEST - len(STATUS))
    assert loop.ask(padding + STATUS)[0]["ok"]
    assert error_of(loop.ask(b" " * MOST_REQUEST)) == "request"


def test_a_flood_is_read_no_further_than_that(loop: Loop) -> None:
    with loop.connect() as peer:
        peer.setblocking(False)
        sent = 0
        try:
            while sent < 4 * 1024 * 1024:
                sent += peer.send(b"x" * 65536)
                loop.turn(1)
        except OSError:  # full, or it has hung up
            pass
        assert sent < 4 * 1024 * 1024


def test_a_peer_that_says_nothing_is_let_go(loop: Loop, clock: Clock) -> None:
    with loop.connect(b"{") as peer:
        loop.turn()
        assert loop.endpoint.next_turn() == pytest.approx(endpoint.READING_TIME)
        clock.now += endpoint.READING_TIME
        loop.turn()
        assert error_of(answers(peer)) == "request"
    assert loop.endpoint.next_turn() is None


def test_a_peer_that_reads_nothing_is_let_go(loop: Loop, clock: Clock) -> None:
    with loop.connect(STACKS) as peer:
        loop.turn()
        clock.now += endpoint.WRITING_TIME
        loop.turn()
        heard = 0
        while data := peer.recv(1 << 20):
            heard += len(data)
        assert heard < 4_000_000, "what the kernel had taken"
    assert loop.endpoint.next_turn() is None


def test_a_peer_that_reads_slowly_gets_all(loop: Loop, clock: Clock) -> None:
    with loop.connect(STACKS) as peer:
        loop.turn()
        heard = b""
        while not heard.endswith(b"\n"):
            clock.now += endpoint.WRITING_TIME - 1
            heard += peer.recv(1 << 20)
            loop.turn()
        assert len(json.loads(heard)["result"]["much"]) == 4_000_000


def test_a_peer_that_hangs_up_ends_what_it_waited_for(loop: Loop) -> None:
    loop.connect(RELOAD).close()
    loop.turn()
    loop.outcome = {}
    loop.turn()
    assert loop.closed == ["reload"]
    assert loop.endpoint.next_turn() is None


def test_silent_peers_keep_nobody_out(loop: Loop) -> None:
    silent = [loop.connect() for _ in range(3 * MOST_CONVERSATIONS)]
    loop.turn(10)
    assert loop.ask(STATUS)[0]["ok"]
    assert len(loop.endpoint._conversations) <= MOST_CONVERSATIONS
    for each in silent:
        each.close()
    loop.turn(10)
    assert not loop.endpoint._conversations


def test_who_waits_for_an_outcome_is_not_pushed_out(loop: Loop) -> None:
    waiting = [loop.connect(RELOAD) for _ in range(MOST_CONVERSATIONS)]
    loop.turn(10)
    assert error_of(loop.ask(STATUS)) == "busy"
    loop.outcome = {}
    loop.turn()
    assert all(answers(each)[-1]["ok"] for each in waiting)
    for each in waiting:
        each.close()


def test_a_shortage_of_descriptors_is_waited_out(
    loop: Loop, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(_self: ControlSocket) -> socket.socket:
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as patch, loop.connect(STATUS) as peer:
        patch.setattr(ControlSocket, "accept", none)
        loop.turn()
        assert not loop.selector.select(0), "a loop that finds it readable again and again spins"
        patch.undo()
        monkeypatch.setattr(endpoint, "time", clock)
        clock.now += 1
        loop.turn()
        assert answers(peer)[0]["ok"]


@pytest.mark.skipif(
    os.geteuid() != 0 or not hasattr(socket, "SO_PEERCRED"), reason="another user is needed"
)
def test_another_user_is_refused_who_has_got_at_the_file(
    loop: Loop, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("prowingen_wsgi"), "propagate", True)
    loop.path.chmod(0o666)  # somebody means well
    for folder in loop.path.parents:
        if len(folder.parts) > 2:  # pytest's own
            folder.chmod(0o755)
    reader, writer = os.pipe()
    stranger = os.fork()
    if stranger == 0:
        try:
            os.setuid(65534)
            with loop.connect(STATUS) as peer:
                again = loop.connect(STATUS)
                os.write(writer, b"asked\n")
                os.write(writer, peer.recv(4096))
                again.close()
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as said:
        assert said.readline() == b"asked\n"
        loop.turn()
        answer = json.loads(said.readline())
    os.waitpid(stranger, 0)
    assert answer["error"]["code"] == "denied"
    assert "user 65534 may not control this server" in answer["error"]["message"]
    assert loop.closed == []
    assert caplog.text.count("is not for user 65534, who was refused") == 1, "once a minute"


def test_a_child_has_nothing_of_it(loop: Loop) -> None:
    with loop.connect() as peer:
        loop.turn()
        child = os.fork()
        if child == 0:
            code = 1
            try:
                loop.endpoint.forget()
                os.write(1, b"")
                code = 0
            finally:
                os._exit(code)
        assert os.waitpid(child, 0)[1] == 0
        peer.sendall(STATUS)
        loop.turn()
        assert answers(peer)[0]["ok"]
        assert loop.path.exists()
