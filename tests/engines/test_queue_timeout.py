"""Requests that wait for a worker in vain are answered in time, whatever the application does."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from harness.apps import Gate, hello

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.apps import Environ, StartResponse
    from harness.logwatch import LogWatch
    from harness.site import ServeFixture


class Stuck:
    """`/stuck` is, until its gate opens; all that is asked for is noted."""

    def __init__(self) -> None:
        self.gate = Gate()
        self.asked: list[str] = []

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        self.asked.append(environ["PATH_INFO"])
        if environ["PATH_INFO"] == "/stuck":
            self.gate.pass_through(60)
        return hello(environ, start_response)


def test_a_request_that_no_worker_takes_in_time_is_answered_503(
    serve: ServeFixture, error_log: LogWatch
) -> None:
    app = Stuck()
    site = serve(app, threads=1, queue_timeout=0.3)
    with site.connect() as stuck:
        stuck.get("/stuck")
        app.gate.wait_entered()
        begun = time.monotonic()
        answers = [site.ask("/late"), site.post(b"x" * 100_000, "/late")]
        head = site.ask("/late", method="HEAD")
        took = time.monotonic() - begun
        for answer in (*answers, head):
            assert answer.status == 503
            assert answer.get("retry-after") == "1"
        assert answers[0].body == b"503 Service Unavailable\nno worker was free in time\n"
        assert 0.9 <= took < 5
        app.gate.opened.set()
        assert stuck.response().body == b"hello"
    assert site.ask("/after").body == b"hello"
    assert app.asked == ["/stuck", "/after"], "none of them reached the application"
    assert site.server.stats()["requests_expired"] == 3
    error_log.wait_for("waited for a worker longer than queue_timeout and were answered 503")


def test_those_that_are_taken_in_time_are_served(serve: ServeFixture) -> None:
    app = Stuck()
    site = serve(app, threads=1, queue_timeout=30)
    with site.connect() as stuck, site.connect() as waiting:
        stuck.get("/stuck")
        app.gate.wait_entered()
        waiting.get("/patient")
        assert waiting.is_silent(0.2)
        app.gate.opened.set()
        assert stuck.response().body == b"hello"
        assert waiting.response().body == b"hello"
    assert site.server.stats()["requests_expired"] == 0


def test_the_connection_serves_on(serve: ServeFixture) -> None:
    app = Stuck()
    site = serve(app, threads=1, queue_timeout=0.1)
    with site.connect() as stuck, site.connect() as wire:
        stuck.get("/stuck")
        app.gate.wait_entered()
        for _ in range(3):
            wire.get("/late")
            assert wire.response().status == 503
        app.gate.opened.set()
        assert stuck.response().body == b"hello"
        wire.get("/now")
        assert wire.response().body == b"hello"
