"""UDP ports: whose sockets are which, and that they keep their numbers."""

from __future__ import annotations

import os
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from prowingen_wsgi import datagrams
from prowingen_wsgi.datagrams import DatagramPort
from prowingen_wsgi.listeners import Listener, ListenError, open_listeners

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def a_listener() -> Iterator[Listener]:
    (listener,) = open_listeners(["127.0.0.1:0"], 10)
    try:
        yield listener
    finally:
        listener.close()


@pytest.fixture
def port() -> Iterator[DatagramPort]:
    with a_listener() as listener:
        made = DatagramPort(listener)
        yield made
        made.close()


@pytest.fixture
def steered(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    calls: list[list[int]] = []

    def steer(_: int, take_new: list[int]) -> None:
        calls.append(take_new)

    monkeypatch.setattr("prowingen_wsgi.datagrams._native.steer_datagrams", steer, raising=False)
    monkeypatch.setattr(datagrams, "SHARES_UDP_PORTS", True)
    return calls


def test_sockets_are_numbered_as_they_are_bound(port: DatagramPort) -> None:
    seats = [port.take(2), port.take(3), port.take(1)]
    assert [list(seat.numbers) for seat in seats] == [[0, 1], [2, 3, 4], [5]]


def test_a_seat_that_is_free_is_the_next_ones(port: DatagramPort) -> None:
    first, second = port.take(2), port.take(2)
    port.give_back(second)
    port.give_back(first)
    assert port.take(1) not in (first, second)
    assert port.take(2) is first
    assert port.take(2) is second
    assert port.take(2).first == 5


def test_what_was_meant_for_one_that_is_gone_is_dropped(port: DatagramPort) -> None:
    seat = port.take(1)
    (number,) = seat.filenos()
    with socket.socket(fileno=os.dup(number)) as copy:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            for _ in range(3):
                client.sendto(b"stale", copy.getsockname())
        port.give_back(seat)
        assert port.take(1) is seat
        with pytest.raises(BlockingIOError):
            copy.recv(10)


def test_new_connections_are_steered_when_that_changes(
    port: DatagramPort, steered: list[list[int]]
) -> None:
    first, second = port.take(2), port.take(2)
    port.steer([first])
    port.steer([first])
    port.steer([second, first])
    port.steer([second])
    port.steer([])
    assert steered == [[0, 1], [0, 1, 2, 3], [2, 3]]


def test_a_child_keeps_its_own_alone(port: DatagramPort) -> None:
    first, second = port.take(1), port.take(1)
    port.keep([second])
    assert first.filenos() == [-1]
    assert second.filenos() != [-1]


def test_a_port_that_another_has_is_named() -> None:
    with a_listener() as listener, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", listener.port))
        with pytest.raises(ListenError, match=r"^http3: cannot open the UDP port of http://127.0"):
            DatagramPort(listener).take(1)
