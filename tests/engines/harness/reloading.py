"""Clients that each open a connection for every request, while a supervisor is told to reload, and
the count of what they lose: the most that a reload in the middle of another can be asked."""

from __future__ import annotations

import itertools
import signal
import socket
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.process import ServerProcess
    from harness.wire import Address

CLIENTS = 6
_REQUEST = b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"
_TIME_LIMIT = 30.0


@dataclass
class Tally:
    """`lost`: what became of those connections that got no whole answer."""

    answered: int = 0
    lost: list[str] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def note(self, fault: str) -> None:
        with self.changed:
            if fault:
                self.lost.append(fault)
            else:
                self.answered += 1
                self.changed.notify_all()

    def wait_for_answers(self, more: int) -> None:
        """Waits until so many more requests are answered, or one is lost."""
        with self.changed:
            goal = self.answered + more
            assert self.changed.wait_for(lambda: self.answered >= goal or self.lost, _TIME_LIMIT), (
                "no answers"
            )

    @property
    def connections(self) -> int:
        return self.answered + len(self.lost)


def ask_once(address: Address) -> str:
    """One connection, one request, one answer; what is wrong with it, or nothing."""
    try:
        with socket.create_connection(address, _TIME_LIMIT) as connection:  # type: ignore[arg-type]
            connection.sendall(_REQUEST)
            answer = b""
            while piece := connection.recv(1 << 16):
                answer += piece
    except OSError as error:
        return str(error) or repr(error)
    head, end, body = answer.partition(b"\r\n\r\n")
    if not answer:
        return "closed without a byte"
    if not head.startswith(b"HTTP/1.1 200 ") or not end or not body.isdigit():
        return f"answered {answer[:200]!r}"
    return ""


@contextmanager
def connecting(address: Address, clients: int = CLIENTS) -> Iterator[Tally]:
    """Clients that connect again and again; at the end each has got its last answer."""
    tally = Tally()
    ended = threading.Event()

    def run() -> None:
        while not ended.is_set():
            tally.note(ask_once(address))

    threads = [threading.Thread(target=run, name="client") for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield tally
    finally:
        ended.set()
        for thread in threads:
            thread.join(_TIME_LIMIT)


@dataclass(frozen=True)
class Bursts:
    """Reloads in the middle of reloads.

    gap: seconds between the SIGHUPs of one burst.
    changing: one worker more and one less are wanted in between, too.
    """

    signals: int = 3
    gap: float = 0.02
    changing: bool = False

    def send(self, server: ServerProcess) -> None:
        """One burst."""
        changes = itertools.cycle((signal.SIGTTIN, signal.SIGTTOU))
        for _ in range(self.signals):
            server.signal(signal.SIGHUP)
            time.sleep(self.gap)
            if self.changing:
                server.signal(next(changes))
        if self.changing and self.signals % 2:
            server.signal(signal.SIGTTOU)
