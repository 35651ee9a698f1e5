"""Requests that take too long are answered in time without their threads, on every engine."""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import prowingen_wsgi
import pytest

from harness.apps import Gate, hello
from harness.waiting import eventually
from harness.wire import Truncated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from harness.apps import Environ, StartResponse
    from harness.logwatch import LogWatch
    from harness.site import ServeFixture, Site

LIMIT = 0.4
# Of this machine's scheduler, while other tests run beside.
LATE = 5.0


class Stuck:
    """What has "stuck" in its path is, until the gate opens; how each call ended is noted."""

    def __init__(self, how: Callable[[Stuck, Environ, StartResponse], Iterable[bytes]]) -> None:
        self.gate = Gate()
        self.ended: list[BaseException | None] = []
        self._how = how

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if "stuck" not in environ["PATH_INFO"]:
            return hello(environ, start_response)
        return self._how(self, environ, start_response)

    def waits(self) -> None:
        self.gate.pass_through(60)


def waits_first(app: Stuck, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    app.waits()
    return hello(environ, start_response)


def ask_late(site: Site, path: str = "/stuck") -> Any:
    begun = time.monotonic()
    answer = site.ask(path)
    took = time.monotonic() - begun
    assert answer.status == 504
    assert answer.body == b"504 Gateway Timeout\nthe application has not answered in time\n"
    assert LIMIT <= took < LIMIT + LATE
    return answer


def test_it_is_answered_504_and_another_thread_serves_on(
    serve: ServeFixture, error_log: LogWatch
) -> None:
    app = Stuck(waits_first)
    site = serve(app, threads=1, request_timeout=LIMIT)
    ask_late(site)
    assert site.ask("/").body == b"hello", "the capacity is back"
    stats = site.server.stats()
    assert stats["requests_overdue"] == 1
    assert stats["workers_stuck"] == 1
    line = error_log.wait_for("its request_timeout")
    assert "GET /stuck HTTP/" in line
    assert "pass_through" in error_log.text, "where its thread was"
    app.gate.opened.set()
    assert eventually(lambda: site.server.stats()["workers_stuck"] == 0)
    assert site.ask("/").body == b"hello"


def test_all_threads_stuck_at_once(serve: ServeFixture) -> None:
    app = Stuck(waits_first)
    site = serve(app, threads=4, request_timeout=LIMIT)
    wires = [site.connect() for _ in range(4)]
    for wire in wires:
        wire.get("/stuck")
    with site.connect() as waiting:
        waiting.get("/")
        assert waiting.response().body == b"hello"
    for wire in wires:
        assert wire.response().status == 504
        wire.close()
    assert site.server.stats()["workers_stuck"] == 4
    app.gate.opened.set()
    assert eventually(lambda: site.server.stats()["workers_stuck"] == 0)


def test_its_connection_serves_on(serve: ServeFixture) -> None:
    app = Stuck(waits_first)
    site = serve(app, threads=1, request_timeout=LIMIT)
    with site.connect() as wire:
        for _ in range(2):
            wire.get("/stuck")
            assert wire.response().status == 504
            wire.get("/")
            assert wire.response().body == b"hello"
    app.gate.opened.set()


def test_head_and_a_body_that_is_not_read(serve: ServeFixture) -> None:
    app = Stuck(waits_first)
    site = serve(app, threads=1, request_timeout=LIMIT)
    head = site.ask("/stuck", method="HEAD")
    assert (head.status, head.body) == (504, b"")
    assert site.post(b"x" * 300_000, "/stuck").status == 504
    assert site.ask("/").body == b"hello"
    app.gate.opened.set()


def test_an_answer_that_has_begun_is_broken_off(serve: ServeFixture, error_log: LogWatch) -> None:
    def begins(app: Stuck, environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Length", "100")])
        yield b"begun"
        app.waits()

    app = Stuck(begins)
    site = serve(app, threads=1, request_timeout=LIMIT)
    with site.connect() as wire:
        wire.get("/stuck")
        reply = wire.reply()
        assert reply.exactly(5) == b"begun"
        with pytest.raises(Truncated):
            reply.rest()
    error_log.wait_for("its answer was broken off")
    assert site.ask("/").body == b"hello"
    app.gate.opened.set()


def test_one_that_waits_for_its_body_is_woken(serve: ServeFixture) -> None:
    def reads(app: Stuck, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        try:
            environ["wsgi.input"].read()
        except prowingen_wsgi.ClientDisconnected as error:
            app.ended.append(error)
            raise
        return hello(environ, start_response)

    app = Stuck(reads)
    site = serve(app, threads=1, request_timeout=LIMIT, body_buffer=1024, body_timeout=60)
    with site.connect() as wire:
        wire.send(
            b"POST /stuck HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" + b"x" * 5000
        )
        assert wire.response().status == 504
    assert eventually(lambda: len(app.ended) == 1)
    assert "request_timeout" in str(app.ended[0])
    assert site.ask("/").body == b"hello"


def test_one_that_comes_back_cannot_answer_any_more(serve: ServeFixture) -> None:
    def writes(app: Stuck, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        write: Any = start_response("200 OK", [])
        app.waits()
        try:
            write(b"late")
        except prowingen_wsgi.ClientDisconnected as error:
            app.ended.append(error)
            raise
        return []

    app = Stuck(writes)
    site = serve(app, threads=1, request_timeout=LIMIT)
    ask_late(site)
    app.gate.opened.set()
    assert eventually(lambda: len(app.ended) == 1)
    assert site.ask("/").body == b"hello"


def test_by_the_prefix_of_the_path(serve: ServeFixture) -> None:
    app = Stuck(waits_first)
    site = serve(
        app, threads=2, request_timeout=LIMIT, request_timeout_of=("/ever=0", "/caf%C3%A9/=60s")
    )
    with site.connect() as ever, site.connect() as cafe:
        ever.get("/ever/stuck")
        cafe.get("/caf%c3%a9/stuck")
        assert eventually(lambda: site.server.stats()["workers_running"] == 2)
        assert ever.is_silent(LIMIT * 2)
        assert site.server.stats()["requests_overdue"] == 0
        app.gate.opened.set()
        assert ever.response().body == b"hello"
        assert cafe.response().body == b"hello"


def test_the_application_knows_its_deadline(serve: ServeFixture) -> None:
    seen: list[float | None] = []

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        seen.append(prowingen_wsgi.remaining(environ))
        if seen[-1] is not None:
            assert 0 < environ["prowingen.deadline"] - time.monotonic() <= 30
        return hello(environ, start_response)

    site = serve(app, request_timeout=30, request_timeout_of=("/ever=0",))
    assert site.ask("/").body == b"hello"
    assert site.ask("/ever").body == b"hello"
    assert seen[0] is not None
    assert 29 < seen[0] <= 30
    assert seen[1] is None
    assert prowingen_wsgi.remaining({}) is None


def busy(app: Stuck, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    try:
        while not app.gate.opened.is_set():
            time.sleep(0.01)
    except prowingen_wsgi.RequestTimeout as error:
        app.ended.append(error)
        if "caught" not in environ["PATH_INFO"]:
            raise
        start_response("503 Service Unavailable", [])
        return [b"too much to do"]
    return hello(environ, start_response)


def test_request_timeout_is_raised_before(serve: ServeFixture, error_log: LogWatch) -> None:
    app = Stuck(busy)
    site = serve(app, threads=1, request_timeout=60, request_timeout_raise=59.7)
    begun = time.monotonic()
    caught = site.ask("/caught/stuck")
    assert (caught.status, caught.body) == (503, b"too much to do")
    assert time.monotonic() - begun < 30
    answer = site.ask("/stuck")
    assert answer.status == 504
    assert len(app.ended) == 2
    error_log.wait_for("RequestTimeout")
    for _ in range(20):
        assert site.ask("/").body == b"hello", "nothing is left of it"
    assert site.server.stats()["requests_overdue"] == 0


def test_nothing_of_it_is_left_in_the_interpreter(serve: ServeFixture) -> None:
    """Where one is taken back by what Python has for that, no traced thread gets on any more."""
    app = Stuck(busy)
    site = serve(app, threads=1, request_timeout=60, request_timeout_raise=59.7)
    assert site.ask("/").body == b"hello"
    assert site.ask("/caught/stuck").status == 503

    def called() -> None:
        pass

    def traced() -> None:
        sys.settrace(lambda *_: None)
        called()

    thread = threading.Thread(target=traced, daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()


def test_no_more_threads_than_max_stuck_are_begun(serve: ServeFixture, error_log: LogWatch) -> None:
    app = Stuck(waits_first)
    site = serve(app, threads=1, request_timeout=LIMIT, max_stuck=1, queue_timeout=LIMIT)
    before = threading.active_count()
    ask_late(site)
    ask_late(site)
    error_log.wait_for("more threads are stuck than max_stuck")
    assert site.ask("/").status == 503, "nobody is left, and that is said"
    assert threading.active_count() <= before + 1
    app.gate.opened.set()
    assert eventually(lambda: site.ask("/").status == 200)


def test_a_stop_does_not_wait_for_them(serve: ServeFixture) -> None:
    app = Stuck(waits_first)
    site = serve(app, threads=1, request_timeout=LIMIT, graceful_timeout=60)
    ask_late(site)
    begun = time.monotonic()
    site.server.stop()
    assert time.monotonic() - begun < 30
    app.gate.opened.set()


def test_long_lived_answers_have_none(serve: ServeFixture) -> None:
    def streams(app: Stuck, environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        yield b"data: 1\n\n"
        app.waits()
        yield b"data: 2\n\n"

    app = Stuck(streams)
    site = serve(app, threads=2, request_timeout=LIMIT)
    with site.connect() as wire:
        wire.get("/stuck")
        reply = wire.reply()
        assert reply.exactly(9) == b"data: 1\n\n"
        assert wire.is_silent(LIMIT * 2)
        app.gate.opened.set()
        assert reply.rest().body.endswith(b"data: 2\n\n")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"request_timeout_of": ("reports=5m",)}, 'its prefix must begin with "/"'),
        ({"request_timeout_of": ("/reports",)}, "must be a path prefix and a duration"),
        ({"request_timeout_of": ("/reports=soon",)}, "its duration must be"),
    ],
)
def test_wrong_values_are_told(options: dict[str, Any], message: str) -> None:
    with pytest.raises(prowingen_wsgi.ConfigError, match=message):
        prowingen_wsgi.Server(hello, prowingen_wsgi.Config(**options))
