"""Probes are answered natively, whatever becomes of the workers, on every engine."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from harness.apps import Gate, hello
from harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from harness.apps import Environ, StartResponse
    from harness.site import ServeFixture, Site


class Stuck:
    """`/stuck` is, until its gate opens."""

    def __init__(self) -> None:
        self.gate = Gate()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/stuck":
            self.gate.pass_through(60)
        return hello(environ, start_response)


def ready(site: Site) -> tuple[int, bytes]:
    answer = site.ask("/-/ready")
    return answer.status, answer.body


def test_probes_are_answered_without_a_worker(serve: ServeFixture) -> None:
    site = serve(hello, health_path="/-")
    for path, text in (("/-/live", b"alive\n"), ("/-/ready", b"ready\n")):
        answer = site.ask(path)
        assert answer.status == 200
        assert answer.body == text
        assert answer.get("cache-control") == "no-store"
        head = site.ask(path, method="HEAD")
        assert head.status == 200
        assert head.get("content-length") == str(len(text))
    assert site.server.stats()["requests_taken"] == 0
    assert site.ask("/-/other").body == b"hello"
    assert site.ask("/-/live", method="POST").body == b"hello"


def test_without_the_option_they_are_the_applications(serve: ServeFixture) -> None:
    assert serve(hello).ask("/-/live").body == b"hello"


def test_stuck_workers_are_not_ready_and_alive(serve: ServeFixture) -> None:
    app = Stuck()
    site = serve(app, threads=1, health_path="/-", health_stall=0.3)
    with site.connect() as stuck:
        stuck.get("/stuck")
        app.gate.wait_entered()
        assert ready(site) == (200, b"ready\n"), "it may be slow yet"
        assert eventually(lambda: ready(site)[0] == 503)
        assert ready(site)[1] == b"not ready: every worker thread is stuck\n"
        assert site.ask("/-/live").status == 200
        app.gate.opened.set()
        assert stuck.response().body == b"hello"
    assert eventually(lambda: ready(site)[0] == 200)


def test_probes_do_not_wait_behind_work(serve: ServeFixture) -> None:
    app = Stuck()
    site = serve(app, threads=1, health_path="/-")
    with site.connect() as stuck, site.connect() as probe:
        stuck.get("/stuck")
        app.gate.wait_entered()
        waiting = [site.connect() for _ in range(20)]
        for wire in waiting:
            wire.get("/")
        times = []
        for _ in range(100):
            begun = time.perf_counter()
            assert probe.ask("/-/live").status == 200
            times.append(time.perf_counter() - begun)
        assert sorted(times)[95] < 0.5
        app.gate.opened.set()
        for wire in (stuck, *waiting):
            assert wire.response().body == b"hello"


def test_an_application_says_itself_that_it_is_not_ready(serve: ServeFixture) -> None:
    site = serve(hello, health_path="/-")
    site.server.set_ready(False)
    assert ready(site) == (503, b"not ready: the application says so\n")
    assert site.ask("/").body == b"hello"
    site.server.set_ready()
    assert ready(site) == (200, b"ready\n")


def test_a_queue_that_is_too_old_is_not_ready(serve: ServeFixture) -> None:
    app = Stuck()
    # The request is given up in the same moment: what is looked at is the one behind it.
    site = serve(app, threads=1, health_path="/-", queue_timeout=0.2)
    with site.connect() as stuck:
        stuck.get("/stuck")
        app.gate.wait_entered()
        assert site.ask("/late").status == 503
        app.gate.opened.set()
        assert stuck.response().body == b"hello"


def test_probes_are_not_in_the_access_log(serve: ServeFixture, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    site = serve(hello, health_path="/-", access_log=str(log))
    site.ask("/-/live")
    site.ask("/-/ready")
    site.ask("/seen")
    assert eventually(lambda: "/seen" in log.read_text())
    assert "/-/" not in log.read_text()


@pytest.mark.parametrize("path", ["health", "/health/", "/a//b", "/a/../b", "/a?b", "/a b", "/"])
def test_a_path_that_no_client_sends_is_refused(path: str) -> None:
    from prowingen_wsgi import Config, ConfigError

    with pytest.raises(ConfigError, match="must be a path such as /-/health"):
        Config(health_path=path)
