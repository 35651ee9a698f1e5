"""Requests that arrive when they arrive, whether or not the server keeps up.

    python -m bench.open_loop PORT RATE SECONDS

wrk sends the next request of a connection when the last is answered, so a server that
stalls is asked less and looks better than it is. Here arrivals are drawn beforehand (a
Poisson process; in each ten, one slow request at a drawn place) and a latency runs from
the drawn moment, including any wait for one of the 64 connections. A request without an
answer at the end counts with the time it has waited by then: a lower bound.

Prints one JSON object with the latency of the fast requests alone.
"""

from __future__ import annotations

import json
import random
import select
import socket
import sys
import time
from collections import deque
from dataclasses import asdict, dataclass

from bench.apps import SLOW_PATH

CONNECTIONS = 64
SEED = 3333
GRACE_SECONDS = 1.0


@dataclass(frozen=True)
class Arrival:
    at: float
    """Seconds after the start."""
    slow: bool


@dataclass(frozen=True)
class Latency:
    """Of the fast requests, in milliseconds; `late` counts those left unanswered."""

    fast_p50_ms: float
    fast_p99_ms: float
    fast_requests: int
    late: int
    errors: int


def arrivals(rate: float, seconds: float, seed: int = SEED) -> list[Arrival]:
    """The same for every server: they differ in nothing but the server."""
    draw = random.Random(seed)
    found: list[Arrival] = []
    at = 0.0
    slow_place = 0
    while True:
        at += draw.expovariate(rate)
        if at >= seconds:
            return found
        place = len(found) % 10
        if place == 0:
            slow_place = draw.randrange(10)
        found.append(Arrival(at, place == slow_place))


def percentile(values: list[float], share: float) -> float:
    """The smallest value that at least `share` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-int(share * 1000) * len(ordered) // 1000) - 1)]


class Connection:
    """One keep-alive connection with at most one request on it."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), 5.0)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = b""

    def send(self, path: str) -> None:
        self.socket.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())

    def receive(self) -> bool | None:
        """None while the answer is incomplete, else whether it was a good one."""
        piece = self.socket.recv(65536)
        self._received += piece
        head, gap, body = self._received.partition(b"\r\n\r\n")
        if not piece:
            return False
        if not gap:
            return None
        length = head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0]
        if len(body) < int(length or 0):
            return None
        self._received = b""
        return head[9:12] == b"200"


def measure(port: int, schedule: list[Arrival], seconds: float) -> Latency:
    idle = deque(Connection(port) for _ in range(CONNECTIONS))
    busy: dict[socket.socket, tuple[Connection, Arrival]] = {}
    waiting = deque(schedule)
    latencies: list[float] = []
    errors = 0
    start = time.monotonic()
    now = 0.0
    while (waiting or busy) and now < seconds + GRACE_SECONDS:
        while waiting and idle and waiting[0].at <= now:
            arrival = waiting.popleft()
            connection = idle.popleft()
            connection.send(SLOW_PATH if arrival.slow else "/fast")
            busy[connection.socket] = (connection, arrival)
        # select() rather than epoll: its timeout is in microseconds, not milliseconds.
        next_event = waiting[0].at if waiting and idle else now + 0.1
        readable, _, _ = select.select(list(busy), [], [], max(0.0, next_event - now))
        now = time.monotonic() - start
        for ready in readable:
            connection, arrival = busy[ready]
            good = connection.receive()
            if good is None:
                continue
            del busy[ready]
            errors += not good
            idle.append(connection if good else Connection(port))
            if not arrival.slow:
                latencies.append(now - arrival.at)
        now = time.monotonic() - start
    left = [a for _, a in busy.values()] + list(waiting)
    late = [now - arrival.at for arrival in left if not arrival.slow]
    values = [1000 * value for value in (*latencies, *late)]
    return Latency(
        fast_p50_ms=percentile(values, 0.50),
        fast_p99_ms=percentile(values, 0.99),
        fast_requests=len(values),
        late=len(late),
        errors=errors,
    )


def main(port: int, rate: float, seconds: float) -> None:
    latency = measure(port, arrivals(rate, seconds), seconds)
    print(json.dumps(asdict(latency)))


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]))
