"""A watcher of an administrator's address: reads its events as a browser's EventSource does."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from harness.wire import Truncated, Wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.wire import Address, Response

PATH = "/-/events"


class Watch:
    """Reads on a thread of its own, all the time. Ends with its connection."""

    def __init__(self, address: Address, path: str = PATH) -> None:
        self._wire = Wire(address)
        self._wire.get(path)
        self._reply = self._wire.reply()
        self.head: Response = self._reply.head()
        assert self.head.status == 200, self.head
        assert self.head.get("content-type") == "text/event-stream; charset=utf-8"
        self.server: dict[str, Any] = {}
        self._changed = threading.Condition()  # guards what follows
        self.latest: dict[str, dict[str, Any]] = {}
        self.counts: dict[str, int] = {}
        self.ended = False
        self.cut = False
        self._thread = threading.Thread(target=self._read, name="watch", daemon=True)
        self._thread.start()

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()

    def leave(self) -> None:
        with suppress(OSError):  # the server may have left first
            self._wire.socket.shutdown(socket.SHUT_RDWR)  # which wakes the thread
        self._thread.join(10)
        self._wire.close()

    def _read(self) -> None:
        text = b""
        try:
            while piece := self._reply.data():
                *events, text = (text + piece).split(b"\n\n")
                for event in events:
                    self._take(event.decode("ascii"))
        except (OSError, Truncated, ValueError):  # the last: the test has closed it
            self.cut = True
        with self._changed:
            self.ended = True
            self._changed.notify_all()

    def _take(self, event: str) -> None:
        fields = dict(line.split(": ", 1) for line in event.splitlines())
        if "event" not in fields:
            assert fields == {"retry": "1000"}
            return
        assert fields.keys() == {"event", "data"}
        with self._changed:
            self.latest[fields["event"]] = json.loads(fields["data"])
            self.counts[fields["event"]] = self.counts.get(fields["event"], 0) + 1
            self._changed.notify_all()

    def wait_for(
        self, true: Callable[[dict[str, Any]], object], event: str = "figures", seconds: float = 20
    ) -> dict[str, Any]:
        """The first one, from the latest on, of which it is true."""

        def is_so() -> bool:
            return self.ended or bool(event in self.latest and true(self.latest[event]))

        with self._changed:
            self._changed.wait_for(is_so, seconds)
            latest = self.latest.get(event, {})
        assert latest, f"no {event} came"
        assert true(latest), latest
        return latest

    def wait_for_more(self, count: int) -> None:
        """For so many events of figures from now on."""
        with self._changed:
            until = self.counts.get("figures", 0) + count
            came = self._changed.wait_for(lambda: self.counts.get("figures", 0) >= until, 20)
        assert came

    def wait_for_end(self, seconds: float = 20) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.ended, seconds)


def doing(figures: dict[str, Any]) -> list[dict[str, Any]]:
    """What the threads of all workers are in."""
    return [
        {**row, "worker": each["worker"]} for each in figures["workers"] for row in each["doing"]
    ]


def in_request(figures: dict[str, Any], line: str) -> dict[str, Any]:
    """The first row of that request; empty if nobody is in it."""
    return next((row for row in doing(figures) if row["request"] == line), {})
