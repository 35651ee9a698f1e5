"""What an administrators' address answers to its page, played by an application for tests.

`Watched` sends the events that it is told to, to all pages that are open; `Figures` makes them: the
sums of a server that has had the requests that a test gives it.
"""

from __future__ import annotations

import json
import queue
import threading
from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from prowingen_wsgi.admin_page import admin_page

from harness.apps import PLAIN

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from harness.apps import Environ, StartResponse

BOUNDS = {
    "requests": [
        *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
        *(1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
    ],
    "waits": [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 60.0],
}
SERVER = {"version": "1.2", "engine": "embedded", "threads": 8, "controls": False, "bounds": BOUNDS}
THREADS = ("idle", "waiting_for_gil", "running", "waiting_for_client", "long_lived", "stuck")
LINES = [("Content-Type", "application/x-ndjson")]
TOKEN = "a token of the tests"
# In seconds: how often pages are told the last figures again, so that they hear something.
_AGAIN = 0.3


def histogram(name: str) -> dict[str, Any]:
    return {"counts": [0] * (len(BOUNDS[name]) + 1), "sum": 0.0}


@dataclass
class Figures:
    """The sums so far. What a test changes otherwise it finds in `said`, as it is sent."""

    at: float = 1000.05
    said: dict[str, Any] = field(
        default_factory=lambda: {
            "ready": "",
            "wanted": 1,
            "requests": {"methods": {}, "protocols": {}, "statuses": {}},
            "refusals": {},
            "rejections": dict.fromkeys(
                ("queue_full", "queue_timeout", "queue_target", "rate_limit", "request_timeout"), 0
            ),
            "cut": {},
            "duration": histogram("requests"),
            "queue_wait": histogram("waits"),
            "application": histogram("requests"),
            "gil_wait": histogram("waits"),
            "cpu": {"application": 0.0, "user": 0.0, "system": 0.0},
            "bytes": {"received": 0, "sent": 0},
            "tls": {"handshakes": 0, "failed": 0},
            "worker_ends": {},
            "workers": [worker(4711)],
        }
    )

    def answer(self, number: int, seconds: float, status: str = "2xx") -> None:
        """So many more requests, each of which took so long."""
        statuses = self.said["requests"]["statuses"]
        statuses[status] = statuses.get(status, 0) + number
        self.observe("duration", "requests", number, seconds)

    def observe(self, name: str, bounds: str, number: int, seconds: float) -> None:
        bucket = sum(bound < seconds for bound in BOUNDS[bounds])
        self.said[name]["counts"][bucket] += number
        self.said[name]["sum"] += number * seconds

    def later(self, seconds: float = 0.1) -> dict[str, Any]:
        """As they are told so much later."""
        self.at = round(self.at + seconds, 3)
        return {"at": self.at, **deepcopy(self.said)}


def worker(pid: int, *doing: dict[str, Any], **figures: Any) -> dict[str, Any]:
    threads = dict.fromkeys(THREADS, 0)
    threads["idle"] = 8 - len(doing)
    for each in doing:
        threads[each["state"]] += 1
    return {
        "worker": pid,
        "rss": 50 * 2**20,
        "queue": 0,
        "oldest": 0.0,
        "stalled": 0.0,
        "in_flight": len(doing),
        "connections": {"open": 6, "http1": 1, "http2": 2, "http3": 3, "websockets": 4},
        "threads": threads,
        "doing": list(doing),
        **figures,
    }


def doing(
    ident: int,
    request: str,
    seconds: float = 0.5,
    state: str = "running",
    deadline: float | None = None,
) -> dict[str, Any]:
    return {
        "ident": ident,
        "state": state,
        "request": request,
        "seconds": seconds,
        "deadline": deadline,
    }


class Watched:
    """A WSGI application. To be closed before its server, whose threads wait in its streams."""

    def __init__(self, **server: Any) -> None:
        self.server = {**SERVER, **server}
        self.figures = Figures()
        self.stacks: list[dict[str, Any]] = []
        self.refuses_watchers = False
        self.is_silent = False
        """While it is, pages hear what a test sends, and nothing else."""
        self.asked: queue.Queue[dict[str, Any]] = queue.Queue()
        """Commands, as they came with the right token."""
        self.lines: queue.Queue[dict[str, Any] | None] = queue.Queue()
        """The answer to the next command, line by line; None ends it."""
        self.status = "200 OK"
        """Of that answer."""
        self._lock = threading.Lock()
        self._watchers: list[queue.Queue[bytes | None]] = []
        self._is_closed = False
        self._last = b""

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        answers = {
            "/-/": self._page,
            "/-/events": self._events,
            "/-/stacks": self._stacks,
            "/-/control": self._control,
        }
        answer = answers.get(environ["PATH_INFO"])
        if answer is None:
            start_response("404 Not Found", PLAIN)
            return [b"nothing\n"]
        return answer(environ, start_response)

    # ---- what a test has it say

    def send(self, event: str, data: object) -> None:
        message = self._message(event, data)
        with self._lock:
            if event == "figures":
                self._last = message
            for each in self._watchers:
                each.put(message)

    def pass_time(self, seconds: float, steps: int = 1) -> None:
        """Sends figures that are so much later, in so many steps."""
        for _ in range(steps):
            self.send("figures", self.figures.later(seconds / steps))

    def hang_up(self) -> None:
        """Ends all streams."""
        with self._lock:
            for each in self._watchers:
                each.put(None)
            self._watchers.clear()

    def close(self) -> None:
        self._is_closed = True
        self.lines.put(None)
        self.hang_up()

    # ---- what it answers

    def _page(self, _environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        document, policy = admin_page()
        start_response(
            "200 OK",
            [
                ("Content-Type", "text/html; charset=utf-8"),
                ("Content-Security-Policy", policy),
                ("Cache-Control", "no-store"),
            ],
        )
        return [document]

    def _events(self, _environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if self.refuses_watchers or self._is_closed:
            start_response("503 Service Unavailable", PLAIN)
            return [b"too many watch\n"]
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        messages: queue.Queue[bytes | None] = queue.Queue()
        messages.put(b"retry: 100\n\n" + self._message("server", self.server))
        with self._lock:
            self._last = self._last or self._message("figures", self.figures.later())
            messages.put(self._last)
            self._watchers.append(messages)
        return self._stream(messages)

    def _stream(self, messages: queue.Queue[bytes | None]) -> Iterator[bytes]:
        while True:
            try:
                message = messages.get(timeout=_AGAIN)
            except queue.Empty:
                message = b": silence\n\n" if self.is_silent else self._last
            if message is None:
                return
            yield message

    def _stacks(self, _environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", LINES)
        return [self._line({"ok": True, "result": {"workers": self.stacks}})]

    def _control(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if environ.get("HTTP_AUTHORIZATION") != f"Bearer {TOKEN}":
            start_response("401 Unauthorized", PLAIN)
            return [b"a token is needed, and this is not it\n"]
        self.asked.put(json.loads(environ["wsgi.input"].read()))
        start_response(self.status, LINES)
        return self._answer()

    def _answer(self) -> Iterator[bytes]:
        return map(self._line, iter(self.lines.get, None))

    @staticmethod
    def _line(members: dict[str, Any] | None) -> bytes:
        return json.dumps({"v": 1, **(members or {})}).encode() + b"\n"

    @staticmethod
    def _message(event: str, data: object) -> bytes:
        return f"event: {event}\ndata: {json.dumps(data)}\n\n".encode()
