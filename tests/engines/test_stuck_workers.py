"""Requests that come in while workers are stuck or about to sleep: none may be forgotten.

No further request arrives in these tests, so only the work queue's own tick, or the worker that
goes to sleep, can see that one waits.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from harness.apps import Environ, Gate, StartResponse, hello

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.site import ServeFixture


class Blocking:
    """Every request but those for /fast stops at a gate of its own, in the order of arrival."""

    def __init__(self, count: int) -> None:
        self.gates = [Gate() for _ in range(count)]

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path != "/fast":
            self.gates[int(path[1:])].pass_through(timeout=20)
        return hello(environ, start_response)

    def open_all(self) -> None:
        for gate in self.gates:
            gate.opened.set()


@pytest.mark.parametrize("stuck", [1, 2, 7])
def test_request_is_served_beside_stuck_ones(serve: ServeFixture, stuck: int) -> None:
    app = Blocking(stuck)
    site = serve(app, threads=stuck + 1)
    wires = [site.connect() for _ in range(stuck)]
    for number, wire in enumerate(wires):
        wire.get(f"/{number}")
        app.gates[number].wait_entered()
    for _ in range(20):
        assert site.ask("/fast").body == b"hello"
    app.open_all()
    assert [wire.response().body for wire in wires] == [b"hello"] * stuck


@pytest.mark.parametrize("stuck", [1, 3])
def test_request_that_came_with_the_one_that_gets_stuck_is_served(
    serve: ServeFixture, stuck: int
) -> None:
    """While the first is fresh it could be done soon, so nobody is woken for the second."""
    site_app = Blocking(stuck)
    site = serve(site_app, threads=stuck + 1)
    wires = [site.connect() for _ in range(stuck)]
    with site.connect() as fast:
        for _ in range(100):
            for number, wire in enumerate(wires):
                wire.get(f"/{number}")
            fast.get("/fast")
            assert fast.response().body == b"hello"
            site_app.open_all()
            assert [wire.response().body for wire in wires] == [b"hello"] * stuck
            site_app.gates = [Gate() for _ in range(stuck)]


def test_requests_wait_for_a_worker_that_comes_free(serve: ServeFixture) -> None:
    app = Blocking(2)
    site = serve(app, threads=2)
    wires = [site.connect() for _ in range(2)]
    for number, wire in enumerate(wires):
        wire.get(f"/{number}")
        app.gates[number].wait_entered()
    waiting = [site.connect() for _ in range(5)]
    for wire in waiting:
        wire.get("/fast")
    assert waiting[0].is_silent(0.1)
    app.gates[0].opened.set()
    assert [wire.response().body for wire in waiting] == [b"hello"] * 5
    app.gates[1].opened.set()
    assert [wire.response().body for wire in wires] == [b"hello"] * 2


@pytest.mark.parametrize("threads", [1, 2])
def test_request_that_comes_while_a_worker_parks_is_served(
    serve: ServeFixture, threads: int
) -> None:
    """Each follows its predecessor's answer: the worker is then on its way to sleep."""
    with serve(hello, threads=threads).connect() as wire:
        for _ in range(5000):
            assert wire.ask().body == b"hello"


def test_request_that_comes_while_the_only_free_worker_parks_is_served(
    serve: ServeFixture,
) -> None:
    app = Blocking(1)
    site = serve(app, threads=2)
    with site.connect() as stuck, site.connect() as wire:
        stuck.get("/0")
        app.gates[0].wait_entered()
        for _ in range(3000):
            assert wire.ask("/fast").body == b"hello"
        app.open_all()
        assert stuck.response().body == b"hello"


def test_request_is_served_however_long_the_server_was_idle(serve: ServeFixture) -> None:
    """The tick goes to sleep some milliseconds after the last request; here on its brink."""
    pauses = random.Random(3333)
    app = Blocking(1)
    site = serve(app, threads=2)
    with site.connect() as stuck, site.connect() as fast:
        for _ in range(150):
            assert fast.is_silent(pauses.uniform(0, 0.006))
            stuck.get("/0")
            fast.get("/fast")
            assert fast.response().body == b"hello"
            app.open_all()
            assert stuck.response().body == b"hello"
            app.gates = [Gate()]
