"""While the queue does not get empty, nobody waits in it for longer than its target."""

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
    """`/stuck` is, until its gate opens."""

    def __init__(self) -> None:
        self.gate = Gate()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/stuck":
            self.gate.pass_through(60)
        return hello(environ, start_response)


def test_a_standing_queue_is_shed(serve: ServeFixture, error_log: LogWatch) -> None:
    app = Stuck()
    site = serve(app, threads=1, queue_target=0.02)
    with site.connect() as stuck:
        stuck.get("/stuck")
        app.gate.wait_entered()
        begun = time.monotonic()
        shed = site.ask("/late")
        took = time.monotonic() - begun
        assert shed.status == 503
        assert shed.get("retry-after") == "1"
        assert shed.body == b"503 Service Unavailable\nno worker was free in time\n"
        assert 0.4 <= took < 10, "twenty times the target"
        app.gate.opened.set()
        assert stuck.response().body == b"hello"
    assert site.ask("/after").body == b"hello"
    stats = site.server.stats()
    assert stats["requests_shed"] == 1
    assert stats["requests_expired"] == 0
    error_log.wait_for("waited for a worker longer than queue_target")


def test_a_burst_is_served_whole(serve: ServeFixture) -> None:
    app = Stuck()
    site = serve(app, threads=1, queue_target=1)
    with site.connect() as stuck:
        stuck.get("/stuck")
        app.gate.wait_entered()
        wires = [site.connect() for _ in range(20)]
        for wire in wires:
            wire.get("/")
        assert wires[0].is_silent(1.2), "longer than the target, which is not all"
        app.gate.opened.set()
        for wire in (stuck, *wires):
            assert wire.response().body == b"hello"
    assert site.server.stats()["requests_shed"] == 0
