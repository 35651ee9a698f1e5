"""An overload is offered as it was drawn, and what became of it is counted."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import prowingen_wsgi
from bench.overload import overload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def answering(
    status: str, held: threading.Event | None = None
) -> Callable[[dict[str, Any], Callable[..., object]], Iterable[bytes]]:
    def app(_: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
        if held is not None:
            held.wait(10)
        start_response(status, [("Content-Length", "0")])
        return []

    return app


def offered_to(app: Any, rate: float, seconds: float) -> dict[str, float]:
    with prowingen_wsgi.serve(app, bind="127.0.0.1:0", threads=2) as server:
        port = int(server.addresses[0].rpartition(":")[2])
        return overload(port, rate, seconds)


def test_all_is_answered_that_can_be() -> None:
    found = offered_to(answering("200 OK"), 100, 1)
    assert 60 < found["offered_per_s"] < 140
    assert found["goodput_per_s"] + found["unanswered"] == found["offered_per_s"]
    assert found["unanswered"] <= 3
    assert found["refused_per_s"] == 0
    assert 0 < found["p50_s"] <= found["p99_s"] <= found["max_s"] < 1


def test_what_is_refused_is_no_good() -> None:
    found = offered_to(answering("503 Service Unavailable"), 100, 0.5)
    assert found["goodput_per_s"] == found["max_s"] == 0
    assert found["refused_per_s"] > 50


def test_what_waits_keeps_nothing_else_from_being_asked() -> None:
    held = threading.Event()
    threading.Timer(1, held.set).start()
    found = offered_to(answering("200 OK", held), 100, 0.5)
    assert found["unanswered"] == found["offered_per_s"] / 2
    assert found["generator_behind_s"] < 0.5
