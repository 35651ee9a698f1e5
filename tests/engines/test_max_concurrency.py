"""Requests beneath a prefix take only so many workers, and hold up nobody else."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from harness.apps import hello
from harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from harness.apps import Environ, StartResponse
    from harness.site import ServeFixture, Site


class Reports:
    """What is beneath /reports waits until it is told that it may end; who is in it is noted."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.running: list[str] = []
        self.begun: list[str] = []
        self.most = 0
        self.may_end = threading.Semaphore(0)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if not path.startswith("/reports"):
            return hello(environ, start_response)
        with self.lock:
            self.begun.append(path)
            self.running.append(path)
            self.most = max(self.most, len(self.running))
        self.may_end.acquire(timeout=60)
        with self.lock:
            self.running.remove(path)
        return hello(environ, start_response)

    def let_end(self, count: int) -> None:
        for _ in range(count):
            self.may_end.release()


def counts(site: Site, name: str, wanted: int) -> bool:
    return eventually(lambda: site.server.stats()[name] == wanted)


@pytest.fixture
def app() -> Iterator[Reports]:
    reports = Reports()
    yield reports
    reports.let_end(100)


def test_only_so_many_run_and_others_pass_them(serve: ServeFixture, app: Reports) -> None:
    site = serve(app, threads=4, max_concurrency="/reports=2")
    wires = [site.connect() for _ in range(6)]
    for at, wire in enumerate(wires):
        wire.get(f"/reports/{at}")
        # They are to come in this order.
        assert counts(site, "requests_queued", at + 1)
    assert eventually(lambda: len(app.running) == 2)
    for _ in range(20):
        assert site.ask("/").body == b"hello"
    assert app.running == ["/reports/0", "/reports/1"]
    assert site.server.stats()["requests_held"] == 4
    assert site.server.stats()["queue_length"] == 4
    app.let_end(6)
    for wire in wires:
        assert wire.response().body == b"hello"
    assert app.most == 2
    assert app.begun == [f"/reports/{at}" for at in range(6)], "in the order in which they came"
    assert counts(site, "queue_length", 0)


def test_a_client_that_leaves_makes_no_room_while_its_worker_runs(
    serve: ServeFixture, app: Reports
) -> None:
    site = serve(app, threads=4, max_concurrency="/reports=1")
    with site.connect() as gone:
        gone.get("/reports/gone")
        assert eventually(lambda: app.running == ["/reports/gone"])
    with site.connect() as next_one:
        next_one.get("/reports/next")
        assert next_one.is_silent(0.3)
        assert app.running == ["/reports/gone"]
        app.let_end(2)
        assert next_one.response().body == b"hello"
    assert app.most == 1


def test_one_whose_client_left_while_it_waited_takes_nobodys_place(
    serve: ServeFixture, app: Reports
) -> None:
    site = serve(app, threads=4, max_concurrency="/reports=1")
    with site.connect() as first, site.connect() as last:
        first.get("/reports/first")
        assert eventually(lambda: app.running == ["/reports/first"])
        with site.connect() as gone:
            gone.get("/reports/gone")
            assert counts(site, "requests_held", 1)
            gone.reset()
        last.get("/reports/last")
        assert counts(site, "requests_held", 2)
        app.let_end(2)
        assert first.response().body == b"hello"
        assert last.response().body == b"hello"


def test_queue_timeout_counts_for_those_that_wait_for_their_prefix(
    serve: ServeFixture, app: Reports
) -> None:
    site = serve(app, threads=4, max_concurrency="/reports=1", queue_timeout=1)
    with site.connect() as first:
        first.get("/reports/first")
        assert eventually(lambda: app.running == ["/reports/first"])
        late = site.ask("/reports/late")
        assert late.status == 503
        assert late.get("retry-after") == "1"
        assert site.ask("/").body == b"hello"
        app.let_end(2)
        assert first.response().body == b"hello"
    assert site.ask("/reports/after").body == b"hello"
    assert site.server.stats()["requests_expired"] == 1


def test_queue_size_counts_them(serve: ServeFixture, app: Reports) -> None:
    site = serve(app, threads=4, max_concurrency="/reports=1", queue_size=2)
    wires = [site.connect() for _ in range(3)]
    wires[0].get("/reports/0")
    assert eventually(lambda: app.running == ["/reports/0"])
    for at in (1, 2):
        wires[at].get(f"/reports/{at}")
        assert counts(site, "requests_held", at)
    assert site.ask("/reports/3").status == 503
    app.let_end(3)
    for wire in wires:
        assert wire.response().body == b"hello"


def test_the_longest_prefix_says_how_many(serve: ServeFixture, app: Reports) -> None:
    site = serve(app, threads=6, max_concurrency=["/reports=2", "/reports/small=3"])
    wires = [site.connect() for _ in range(8)]
    for at, wire in enumerate(wires):
        wire.get(f"/reports/{'small' if at % 2 else 'large'}/{at}")
    assert eventually(lambda: len(app.running) == 5)
    assert sum("small" in path for path in app.running) == 3
    app.let_end(8)
    for wire in wires:
        assert wire.response().body == b"hello"


def test_many_of_both_kinds_are_all_answered(serve: ServeFixture, app: Reports) -> None:
    app.let_end(10_000)
    site = serve(app, threads=4, max_concurrency="/reports=2")
    failed: list[int] = []

    def client(path: str) -> None:
        with site.connect() as wire:
            for _ in range(100):
                status = wire.ask(path).status
                if status != 200:
                    failed.append(status)

    threads = [
        threading.Thread(target=client, args=("/reports/x" if at % 2 else "/",)) for at in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert app.most <= 2


@pytest.mark.parametrize("text", ["", "2", "/reports", "/reports=0", "reports=2", "/a=4097"])
def test_what_is_none_is_refused_and_quoted(text: str) -> None:
    from prowingen_wsgi import Config, ConfigError

    with pytest.raises(ConfigError, match=r'^max_concurrency: ".*": (must be|its prefix must)'):
        Config(max_concurrency=(text,))
