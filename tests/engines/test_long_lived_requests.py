"""Requests that live long leave the pool of workers, and others do not wait for them."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from harness.apps import PLAIN, Environ, Routes, StartResponse, hello
from harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.logwatch import LogWatch
    from harness.site import ListenFixture, ServeFixture, Site

PATIENCE = 10.0
EVENTS = [("Content-Type", "text/event-stream; charset=utf-8")]


class Streaming:
    """Sends a piece, and the rest when it is let go."""

    def __init__(self, headers: list[tuple[str, str]]) -> None:
        self.go = threading.Event()
        self.threads: list[str] = []
        self._headers = headers

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", self._headers)
        self.threads.append(threading.current_thread().name)
        yield b"data: first\n\n"
        while not self.go.wait(0.02):
            yield b": still here\n\n"
        self.threads.append(threading.current_thread().name)
        yield b"data: last\n\n"


def away(site: Site) -> int:
    return int(site.server.stats()["workers_away"])


def test_event_streams_hold_up_nobody(serve: ServeFixture) -> None:
    streaming = Streaming(EVENTS)
    site = serve(Routes(hello=hello, events=streaming), threads=2)
    wires = [site.connect() for _ in range(5)]
    replies = []
    for wire in wires:
        wire.get("/events")
        replies.append(wire.reply())
        assert replies[-1].head().status == 200
        assert replies[-1].data().startswith(b"data: first")
    assert away(site) == 5
    for _ in range(10):
        assert site.ask("/hello").text == "hello"
    streaming.go.set()
    for reply in replies:
        assert reply.rest().body.endswith(b"data: last\n\n")
    assert eventually(lambda: not away(site))
    half = len(streaming.threads) // 2
    assert sorted(streaming.threads[:half]) == sorted(streaming.threads[half:]), (
        "each in one thread"
    )
    assert site.ask("/hello").text == "hello"


def test_answers_that_take_long_leave_later(serve: ServeFixture) -> None:
    streaming = Streaming(PLAIN)
    site = serve(Routes(hello=hello, slow=streaming), threads=2, long_lived_after=0.2)
    with site.connect() as wire:
        wire.get("/slow")
        reply = wire.reply()
        reply.head()
        began = time.monotonic()
        assert site.ask("/hello").text == "hello"
        assert time.monotonic() - began < PATIENCE / 2
        assert eventually(lambda: away(site) == 1)
        streaming.go.set()
        reply.rest()
    assert eventually(lambda: not away(site))


def test_never_is_never(serve: ServeFixture) -> None:
    streaming = Streaming(PLAIN)
    site = serve(Routes(hello=hello, slow=streaming), threads=2, long_lived_after=0)
    with site.connect() as wire:
        wire.get("/slow")
        reply = wire.reply()
        reply.head()
        assert not eventually(lambda: away(site), 0.5)
        streaming.go.set()
        reply.rest()


def test_an_event_stream_too_many_is_turned_away(serve: ServeFixture, error_log: LogWatch) -> None:
    streaming = Streaming(EVENTS)
    site = serve(Routes(hello=hello, events=streaming), threads=2, long_lived_threads=1)
    with site.connect() as one, site.connect() as two:
        one.get("/events")
        reply = one.reply()
        assert reply.head().status == 200
        answer = two.ask("/events")
        assert answer.status == 503
        assert answer.get("retry-after")
        assert two.ask("/hello").text == "hello"
        streaming.go.set()
        reply.rest()
        assert eventually(lambda: not away(site))
        assert two.ask("/events").status == 200
    assert "ERROR" not in error_log.text


def test_what_is_whole_at_once_does_not_live_long(serve: ServeFixture) -> None:
    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        start_response("200 OK", EVENTS)
        return [b"data: all\n\n"]

    site = serve(app, threads=2)
    names = {thread.name for thread in site.server.worker_threads}
    for _ in range(3):
        assert site.ask("/").text == "data: all\n\n"
    assert {thread.name for thread in site.server.worker_threads} == names


@pytest.mark.no_tls("the raw listener is served without it")
def test_a_handlers_event_stream_leaves_too(listen: ListenFixture) -> None:
    go = threading.Event()

    def handler(request: Any, response: Any) -> None:
        if request.path_and_query == "/hello":
            response.body.write(b"hello")
            return
        response.headers["Content-Type"] = "text/event-stream"
        response.body.write(b"data: first\n\n")
        response.body.flush()
        go.wait(PATIENCE)

    site = listen(handler, threads=2)
    with site.connect() as wire:
        wire.get("/events")
        reply = wire.reply()
        assert reply.head().status == 200
        assert site.ask("/hello").text == "hello"
        assert eventually(lambda: away(site) == 1)
        go.set()
        reply.rest()
    assert eventually(lambda: not away(site))


def test_a_thread_that_cannot_be_made_keeps_the_worker(
    serve: ServeFixture, error_log: LogWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    streaming = Streaming(EVENTS)
    site = serve(Routes(hello=hello, events=streaming), threads=2)
    monkeypatch.setattr("prowingen_wsgi.threads.Thread.start", refuse)
    assert site.ask("/events").status == 503
    error_log.wait_for("another worker thread cannot be started")
    assert site.ask("/hello").text == "hello"


def test_with_one_thread_an_application_is_called_by_one(serve: ServeFixture) -> None:
    """As its environ says: nothing leaves the pool, and nothing is turned away for that."""

    def app(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        inside.append(1)
        most.append(len(inside))
        assert environ["wsgi.multithread"] is False
        start_response("200 OK", EVENTS)
        yield b"data: one\n\n"
        time.sleep(0.05)
        inside.pop()

    inside: list[int] = []
    most: list[int] = []
    site = serve(app, threads=1, long_lived_after=0.01)
    wires = [site.connect() for _ in range(4)]
    for wire in wires:
        wire.get("/")
    assert [wire.response().status for wire in wires] == [200] * 4
    assert max(most) == 1


def test_without_threads_for_them_they_stay_in_the_pool(serve: ServeFixture) -> None:
    streaming = Streaming(EVENTS)
    site = serve(Routes(hello=hello, events=streaming), threads=2, long_lived_threads=0)
    with site.connect() as wire:
        wire.get("/events")
        reply = wire.reply()
        assert reply.head().status == 200
        assert not away(site)
        assert site.ask("/hello").text == "hello"
        streaming.go.set()
        reply.rest()
