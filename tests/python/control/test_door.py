"""The door: what comes through it, and what may be asked by it."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from prowingen_wsgi import originals
from prowingen_wsgi.control.door import MOST_CONVERSATIONS, Door
from prowingen_wsgi.control.endpoint import Endpoint
from prowingen_wsgi.control.link import KEEPS_MESSAGES
from prowingen_wsgi.control.socket_file import ControlSocket

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prowingen_wsgi.control.protocol import Answer, Request

STACKS = b'{"v": 1, "command": "stacks"}\n'
STOP = b'{"v": 1, "command": "stop"}\n'
RELOAD = b'{"v": 1, "command": "reload", "wait": true}\n'

needs_messages = pytest.mark.skipif(not KEEPS_MESSAGES, reason="it is about single messages")


class House:
    """Whoever answers, turn by turn. A reload is never done."""

    def __init__(self, path: Path) -> None:
        self.controls = True
        self.ended: list[str] = []
        self.selector = originals.selectors.DefaultSelector()
        self.door = Door(lambda: self.controls)
        self.endpoint = Endpoint(self.selector, self)
        self.endpoint.add(self.door)
        self.endpoint.add(ControlSocket(str(path)))
        self.outside = socket.socket(fileno=os.dup(self.door.outside))

    def begin(self, request: Request) -> Answer:
        try:
            while request.command == "reload":
                yield None
            return {"of": request.command}
        finally:
            self.ended.append(request.command)

    def turn(self, times: int = 5) -> None:
        for _ in range(times):
            for key, _ in self.selector.select(0):
                key.data()
            self.endpoint.turn()

    def send(self, *descriptors: int) -> None:
        socket.send_fds(self.outside, [b"\n"], list(descriptors))

    def connect(self, said: bytes = b"") -> socket.socket:
        mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        mine.settimeout(5)
        self.send(theirs.fileno())
        theirs.close()
        mine.sendall(said)
        return mine

    def ask(self, said: bytes) -> dict[str, Any]:
        with self.connect(said) as peer:
            self.turn()
            return answer_to(peer)


def answer_to(peer: socket.socket) -> dict[str, Any]:
    heard = b""
    while data := peer.recv(1 << 16):
        heard += data
    answer: dict[str, Any] = json.loads(heard)
    return answer


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path / "s")
    yield house
    house.endpoint.end()
    house.selector.close()
    house.outside.close()


def open_descriptors() -> set[str]:
    return {each.name for each in Path("/dev/fd").iterdir()}


def test_who_comes_through_the_door_is_answered(house: House) -> None:
    assert house.ask(STACKS)["result"] == {"of": "stacks"}
    assert house.ask(STOP)["result"] == {"of": "stop"}
    assert house.endpoint.next_turn() is None


def test_without_a_token_the_stacks_alone_may_be_asked_for(house: House) -> None:
    house.controls = False
    assert house.ask(STACKS)["ok"]
    refused = house.ask(STOP)
    assert refused["error"]["code"] == "denied"
    assert "admin_token_file" in refused["error"]["message"]
    assert house.ended == ["stacks"]


def test_who_leaves_ends_what_it_waited_for(house: House) -> None:
    peer = house.connect(RELOAD)
    house.turn()
    assert house.ended == []
    peer.close()
    house.turn()
    assert house.ended == ["reload"]
    assert house.endpoint.next_turn() is None


def test_it_has_places_of_its_own(house: House, tmp_path: Path) -> None:
    waiting = [house.connect(RELOAD) for _ in range(MOST_CONVERSATIONS)]
    house.turn(10)
    assert house.ask(STACKS)["error"]["code"] == "busy"
    with socket.socket(socket.AF_UNIX) as other:
        other.settimeout(5)
        other.connect(str(tmp_path / "s"))
        other.sendall(STACKS)
        house.turn()
        assert answer_to(other)["ok"], "who comes by the socket is not kept out"
    for each in waiting:
        each.close()
    house.turn()
    assert house.ask(STACKS)["ok"]


@needs_messages
def test_what_is_no_connection_is_dropped(house: House) -> None:
    before = open_descriptors()
    reader, writer = os.pipe()
    house.send(reader, writer)
    house.send()
    with socket.socket(socket.AF_INET) as stranger:
        house.send(stranger.fileno())
    house.outside.send(b"")
    os.close(reader)
    os.close(writer)
    house.turn(10)
    assert open_descriptors() == before
    assert house.ask(STACKS)["ok"]


@needs_messages
def test_of_several_connections_one_is_taken(house: House) -> None:
    pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM) for _ in range(3)]
    house.send(*(theirs.fileno() for _, theirs in pairs))
    for _, theirs in pairs:
        theirs.close()
    pairs[0][0].sendall(STACKS)
    house.turn()
    assert answer_to(pairs[0][0])["ok"]
    assert [mine.recv(1) for mine, _ in pairs[1:]] == [b"", b""]
    for mine, _ in pairs:
        mine.close()


def test_programs_inherit_neither_end(house: House) -> None:
    assert not os.get_inheritable(house.door.fileno())
    assert not os.get_inheritable(house.door.outside)


def test_a_child_that_serves_keeps_the_outer_end_alone(house: House) -> None:
    inner, outer = house.door.fileno(), house.door.outside
    copy = os.dup(outer)
    house.door.keep_outside()
    house.door.forget()
    os.fstat(outer)
    with pytest.raises(OSError, match="descriptor"):
        os.fstat(inner)
    os.close(outer)
    os.close(copy)
