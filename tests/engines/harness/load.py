"""Clients that ask all the time, each on a connection that it keeps, and note what fails."""

from __future__ import annotations

import collections
import selectors
import socket
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.wire import Address

_REQUEST = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"


@dataclass
class Failure:
    """A request without an answer. `after`: the body of the connection's answer before it."""

    what: str
    after: bytes


@dataclass
class Load:
    """What has come of it so far. The bodies of answers are short, such as a process id."""

    answers: collections.Counter[bytes] = field(default_factory=collections.Counter)
    failures: list[Failure] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def wait_for_answers(self, more: int, timeout: float = 20) -> None:
        """Waits until so many more requests are answered."""
        with self.changed:
            goal = self.answers.total() + more
            assert self.changed.wait_for(lambda: self.answers.total() >= goal, timeout)


class _Client:
    def __init__(self, address: Address, load: Load, selector: selectors.BaseSelector) -> None:
        self._address = address
        self._load = load
        self._selector = selector
        self._connect()

    def _connect(self) -> None:
        assert isinstance(self._address, tuple)
        self.socket = socket.create_connection(self._address, timeout=10)
        self._input = b""
        self._last = b""
        self._selector.register(self.socket, selectors.EVENT_READ, self)
        self._ask()

    def _ask(self) -> None:
        try:
            self.socket.sendall(_REQUEST)
        except OSError as error:
            self._fail(f"send: {error}")

    def _fail(self, what: str) -> None:
        self._load.failures.append(Failure(what, self._last))
        self._again()

    def _again(self) -> None:
        self.close()
        self._connect()

    def close(self) -> None:
        self._selector.unregister(self.socket)
        self.socket.close()

    def read(self) -> None:
        try:
            data = self.socket.recv(1 << 16)
        except OSError as error:
            return self._fail(f"receive: {error}")
        if not data:
            return self._fail("closed without an answer")
        self._input += data
        head, found, body = self._input.partition(b"\r\n\r\n")
        if not found or len(body) < _content_length(head):
            return None
        if not head.startswith(b"HTTP/1.1 200 "):
            self._load.failures.append(Failure(head.decode("latin-1"), self._last))
        self._last = body
        self._input = b""
        with self._load.changed:
            self._load.answers[body] += 1
            self._load.changed.notify_all()
        if b"connection: close" in head.lower():
            return self._again()
        return self._ask()


def _content_length(head: bytes) -> int:
    _, _, rest = head.lower().partition(b"content-length:")
    return int(rest.partition(b"\r\n")[0] or 0)


@contextmanager
def under_load(address: Address, connections: int = 16) -> Iterator[Load]:
    """Asks for / all the time; at the end every client has got its last answer, or a failure."""
    load = Load()

    def run() -> None:
        with selectors.DefaultSelector() as selector:
            clients = [_Client(address, load, selector) for _ in range(connections)]
            while not load.ended.is_set():
                for key, _ in selector.select(0.1):
                    key.data.read()
            for client in clients:
                client.close()

    thread = threading.Thread(target=run, name="load")
    thread.start()
    try:
        yield load
    finally:
        load.ended.set()
        thread.join(20)
