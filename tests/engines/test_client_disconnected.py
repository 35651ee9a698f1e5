"""environ["prowingen.client_disconnected"]: an application that computes or sleeps learns that its
client has departed, by looking, by waiting, or by being called."""

from __future__ import annotations

import gc
import os
import threading
import time
import weakref
from operator import methodcaller
from typing import TYPE_CHECKING, Any

import pytest
from prowingen_wsgi import ClientDisconnected

from harness.apps import PLAIN, Environ, Gate, Routes, StartResponse, hello
from harness.h2wire import H2Wire
from harness.site import start_site

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from harness.logwatch import LogWatch
    from harness.site import ServeFixture
    from harness.wire import Wire

PAUSE = 0.02
PATIENCE = 10.0
PROMPT = 3.0
"""What is promised is a second; machines that run tests are busy."""
LEAVE = [pytest.param(methodcaller(name), id=name) for name in ("reset", "close")]
KEPT = pytest.mark.parametrize("fields", [(), ("Connection: close",)], ids=["kept", "last"])


class Watching:
    """An application that does something with its event, and keeps both."""

    def __init__(self, do: Callable[[Any], object]) -> None:
        self.began = threading.Event()
        self.ended = threading.Event()
        self.events: list[Any] = []
        self.said: list[object] = []
        self._do = do

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        self.events.append(environ["prowingen.client_disconnected"])
        self.began.set()
        try:
            self.said.append(self._do(self.events[-1]))
        finally:
            self.ended.set()
        start_response("200 OK", PLAIN)
        return [b"done"]

    def leave(self, wire: Wire, leave: Callable[[Wire], None] = methodcaller("reset")) -> None:
        assert self.began.wait(PATIENCE), "the app was never called"
        leave(wire)

    def result(self, within: float = PROMPT) -> object:
        assert self.ended.wait(within), "nobody told the application"
        return self.said[-1]


def look(event: Any) -> bool:
    end = time.monotonic() + PATIENCE
    while not event.is_set() and time.monotonic() < end:
        time.sleep(PAUSE)
    return bool(event.is_set())


def wait(event: Any) -> object:
    return event.wait(PATIENCE)


def be_called(event: Any) -> bool:
    called = threading.Event()
    event.add_callback(called.set)
    return called.wait(PATIENCE)


WAYS = pytest.mark.parametrize("way", [look, wait, be_called])


@pytest.mark.http3
@WAYS
@pytest.mark.parametrize("leave", LEAVE)
@KEPT
def test_a_departure_is_told_of(
    serve: ServeFixture,
    way: Callable[[Any], object],
    leave: Callable[[Wire], None],
    fields: tuple[str, ...],
) -> None:
    app = Watching(way)
    with serve(app).connect() as wire:
        wire.get("/", *fields)
        app.leave(wire, leave)
        assert app.result() is True


@pytest.mark.parametrize("leave", LEAVE)
def test_the_first_look_may_come_late(serve: ServeFixture, leave: Callable[[Wire], None]) -> None:
    left = Gate()

    def compute_and_look(event: Any) -> bool:
        left.pass_through()
        return look(event)

    app = Watching(compute_and_look)
    with serve(app).connect() as wire:
        wire.get()
        left.wait_entered()
        leave(wire)
        left.opened.set()
        assert app.result() is True


@WAYS
@pytest.mark.parametrize("leave", LEAVE)
def test_a_body_that_nobody_reads_hides_no_departure(
    serve: ServeFixture, way: Callable[[Any], object], leave: Callable[[Wire], None]
) -> None:
    app = Watching(way)
    with serve(app, body_buffer=16_384).connect() as wire:
        wire.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10000000\r\n\r\n")
        wire.send_until_blocked(b"x" * 100_000, patience=0.1)
        app.leave(wire, leave)
        assert app.result() is True


@pytest.mark.no_http2("has no pipelines")
@pytest.mark.parametrize("leave", LEAVE)
def test_requests_behind_it_hide_no_departure(
    serve: ServeFixture, leave: Callable[[Wire], None]
) -> None:
    app = Watching(wait)
    with serve(Routes(slow=app, quick=hello)).connect() as wire:
        wire.get("/slow")
        wire.get("/quick")
        wire.post("/quick", b"x")
        app.leave(wire, leave)
        assert app.result() is True


@pytest.mark.parametrize("leave", LEAVE)
@WAYS
def test_a_stream_that_pauses_is_told(
    serve: ServeFixture, way: Callable[[Any], object], leave: Callable[[Wire], None]
) -> None:
    said: list[object] = []
    told = threading.Event()

    def app(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", PLAIN)
        yield b"begun"
        said.append(way(environ["prowingen.client_disconnected"]))
        told.set()

    with serve(app).connect() as wire:
        wire.get()
        assert wire.reply().exactly(5) == b"begun"
        leave(wire)
        assert told.wait(PROMPT)
    assert said == [True]


def test_a_departure_ends_the_request_for_all_that_it_has(
    serve: ServeFixture, error_log: LogWatch
) -> None:
    raised: list[BaseException] = []

    def read(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        event = environ["prowingen.client_disconnected"]
        begun.set()
        event.wait(PATIENCE)
        try:
            environ["wsgi.input"].read(1)
        except ClientDisconnected as error:
            raised.append(error)
        ended.set()
        return hello(environ, start_response)

    begun, ended = threading.Event(), threading.Event()
    with serve(read).connect() as wire:
        wire.post("/", b"x" * 60_000)
        assert begun.wait(PATIENCE)
        wire.reset()
        assert ended.wait(PATIENCE)
    assert [type(each) for each in raised] == [ClientDisconnected]
    assert "ERROR" not in error_log.text


# ---- a client that stays


def test_a_client_that_stays_is_not_told_of(serve: ServeFixture) -> None:
    called: list[None] = []

    def wait_a_little(event: Any) -> list[object]:
        event.add_callback(lambda: called.append(None))
        return [event.is_set(), event.wait(0.3), event.wait(timeout=0), event.is_set()]

    app = Watching(wait_a_little)
    with serve(app).connect() as wire:
        assert wire.ask().body == b"done"
    assert app.result() == [False] * 4
    assert called == []


@pytest.mark.no_http2("streams end alone")
@WAYS
def test_a_client_that_half_closed_waits_for_its_answer(
    serve: ServeFixture, way: Callable[[Any], object]
) -> None:
    """Longer than one that is gone is waited for."""
    called: list[None] = []

    def take_long(event: Any) -> bool:
        if way is be_called:
            event.add_callback(lambda: called.append(None))
        end = time.monotonic() + 1.6
        while (left := end - time.monotonic()) > 0:
            if way is wait and event.wait(left):
                return True
            if way is look and event.is_set():
                return True
            time.sleep(PAUSE)
        return bool(event.is_set() or called)

    app = Watching(take_long)
    with serve(app).connect() as wire:
        wire.get()
        app.leave(wire, methodcaller("finish_sending"))
        answer = wire.response()
        assert answer.body == b"done"
        assert set(answer.informational) <= {100}
    assert app.result() is False


@pytest.mark.no_http2("has no connection that is kept for it")
def test_each_request_of_a_connection_has_its_own(serve: ServeFixture) -> None:
    app = Watching(lambda event: len(app.events) > 1 and event.wait(PATIENCE))
    with serve(app).connect() as wire:
        assert wire.ask().body == b"done"
        app.began.clear()
        app.ended.clear()
        wire.get()
        app.leave(wire)
        assert app.result() is True
    assert [event.is_set() for event in app.events] == [False, True]
    assert app.events[0] is not app.events[1]


# ---- after the end


def test_the_end_of_a_request_ends_all_waiting(serve: ServeFixture) -> None:
    """Of threads of the application's own, which outlive it."""
    said: list[bool] = []
    called: list[None] = []
    threads: list[threading.Thread] = []
    waiting = threading.Event()

    def begin(event: Any) -> None:
        def listen() -> None:
            waiting.set()
            said.append(event.wait())

        threads.append(threading.Thread(target=listen))
        threads[-1].start()
        event.add_callback(lambda: called.append(None))
        assert waiting.wait(PATIENCE)

    app = Watching(begin)
    with serve(app).connect() as wire:
        assert wire.ask().body == b"done"
        threads[0].join(PATIENCE)
        assert said == [False]
        [event] = app.events
        assert not event.is_set()
        assert event.wait() is False
        event.add_callback(lambda: called.append(None))
        wire.reset()
    assert event.wait(0.1) is False
    assert called == []


@pytest.mark.parametrize("leave", LEAVE)
def test_threads_of_the_application_are_told(
    serve: ServeFixture, leave: Callable[[Wire], None]
) -> None:
    said: list[bool] = []
    threads: list[threading.Thread] = []

    def begin(event: Any) -> bool:
        threads.append(threading.Thread(target=lambda: said.append(event.wait(PATIENCE))))
        threads[-1].start()
        threads[-1].join(PATIENCE)
        return bool(event.is_set())

    app = Watching(begin)
    with serve(app).connect() as wire:
        wire.get()
        app.leave(wire, leave)
        assert app.result() is True
    assert said == [True]


def test_what_happened_is_told_for_ever(serve: ServeFixture) -> None:
    app = Watching(wait)
    site = serve(app)
    with site.connect() as wire:
        wire.get()
        app.leave(wire)
        assert app.result() is True
    [event] = app.events
    assert event.is_set()
    site.server.stop()
    here: list[int] = []
    event.add_callback(lambda: here.append(threading.get_ident()))
    assert here == [threading.get_ident()], "called here and now"
    assert event.is_set()
    assert event.wait() is True


def test_a_slow_reader_that_leaves_is_told_of_after_the_call(serve: ServeFixture) -> None:
    """The application has returned; its answer is on its way."""
    app = Routes(large=lambda environ, start_response: answer(environ, start_response))
    called = threading.Event()
    events: list[Any] = []

    def answer(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        events.append(environ["prowingen.client_disconnected"])
        events[-1].add_callback(called.set)
        start_response("200 OK", PLAIN)
        return [b"x" * 50_000] * 1000

    with serve(app, write_high_water=100_000_000).connect(receive_buffer=4096) as wire:
        wire.get("/large")
        assert wire.reply().exactly(1)
        assert not events[0].is_set()
        wire.reset()
        assert called.wait(PATIENCE)
    assert events[0].wait(PATIENCE)


# ---- the server's own doing


def test_a_stop_that_waits_for_nobody_is_told(serve: ServeFixture) -> None:
    called = threading.Event()

    def stay(event: Any) -> object:
        event.add_callback(called.set)
        return event.wait(PATIENCE)

    app = Watching(stay)
    site = serve(app)
    with site.connect() as wire:
        wire.get()
        assert app.began.wait(PATIENCE)
        site.server.stop(graceful=0)
        assert app.result() is True
    assert called.wait(PATIENCE)


def test_a_time_limit_is_told(serve: ServeFixture) -> None:
    said: list[object] = []
    told = threading.Event()

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        environ["wsgi.input"].read(2000)
        said.append(environ["prowingen.client_disconnected"].wait(PATIENCE))
        told.set()
        return hello(environ, start_response)

    with serve(app, body_buffer=1024, body_timeout=0.3).connect() as wire:
        wire.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10000\r\n\r\n" + b"x" * 2000)
        assert told.wait(PATIENCE)
    assert said == [True]


def test_a_failure_of_the_application_is_none(serve: ServeFixture, error_log: LogWatch) -> None:
    events: list[Any] = []

    def app(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        events.append(environ["prowingen.client_disconnected"])
        start_response("200 OK", PLAIN)
        yield b"begun"
        raise LookupError("lost")

    with serve(app).connect() as wire:
        wire.get()
        assert wire.reply().exactly(5) == b"begun"
        error_log.wait_for("LookupError: lost")
        assert events[0].wait(PATIENCE) is False
    error_log.clear()


# ---- callbacks


def test_callbacks_come_in_order_on_a_thread_of_their_own(serve: ServeFixture) -> None:
    calls: list[tuple[str, str]] = []
    registered, last = threading.Event(), threading.Event()

    def note(which: str) -> None:
        calls.append((which, threading.current_thread().name))

    def register(event: Any) -> object:
        for which in "ab":
            event.add_callback(lambda which=which: note(which))
        event.add_callback(last.set)
        registered.set()
        return last.wait(PATIENCE)

    app = Watching(register)
    with serve(app).connect() as wire:
        wire.get()
        assert registered.wait(PATIENCE)
        app.leave(wire)
        assert app.result() is True
    assert calls == [("a", "prowingen-departures"), ("b", "prowingen-departures")]


def test_one_that_computes_on_the_only_worker_is_interrupted(serve: ServeFixture) -> None:
    def compute(event: Any) -> int:
        stop: list[bool] = []
        event.add_callback(lambda: stop.append(True))
        end = time.monotonic() + PATIENCE
        while not stop and time.monotonic() < end:
            sum(range(100))
        return len(stop)

    app = Watching(compute)
    with serve(app, threads=1).connect() as wire:
        wire.get()
        app.leave(wire)
        assert app.result() == 1


def test_callbacks_that_fail_are_logged(serve: ServeFixture, error_log: LogWatch) -> None:
    registered, called = threading.Event(), threading.Event()

    def fail() -> None:
        raise LookupError("it was not mine")

    def leave_at_once() -> None:
        raise SystemExit(3)

    def register(event: Any) -> object:
        for callback in (fail, leave_at_once, called.set):
            event.add_callback(callback)
        registered.set()
        return called.wait(PATIENCE)

    app = Watching(register)
    site = serve(app)
    with site.connect() as wire:
        wire.get("/mine")
        assert registered.wait(PATIENCE)
        app.leave(wire)
        assert app.result() is True
    named = f"GET /mine {site.protocol}: a callback of prowingen.client_disconnected failed"
    error_log.wait_for("ERROR", named, "it was not mine")
    error_log.wait_for("ERROR", named, "SystemExit: 3")
    error_log.clear()
    app.events[0].add_callback(fail)
    error_log.wait_for("ERROR", "a callback of prowingen.client_disconnected failed", "not mine")
    error_log.clear()


def test_what_cannot_be_called_is_refused(serve: ServeFixture) -> None:
    def misuse(event: Any) -> list[str]:
        said = []
        for callback in (None, 3):
            with pytest.raises(TypeError, match="takes a callable without arguments") as refused:
                event.add_callback(callback)
            said.append(str(refused.value))
        for timeout, error in ((-1, ValueError), ("1", TypeError)):
            with pytest.raises(error):
                event.wait(timeout)
        return said

    app = Watching(misuse)
    assert serve(app).ask().body == b"done"
    assert app.result() == [
        "prowingen.client_disconnected: add_callback() takes a callable without arguments, not "
        + kind
        for kind in ("NoneType", "int")
    ]


# ---- streams, and forks


def test_a_stream_that_is_reset_is_the_only_one_told_of(serve: ServeFixture) -> None:
    app = Watching(wait)
    site = serve(app)
    with H2Wire(site) as wire:
        first = wire.start("GET", "/first")
        assert app.began.wait(PATIENCE)
        app.began.clear()
        second = wire.start("GET", "/second")
        assert app.began.wait(PATIENCE)
        wire.h2.reset_stream(first)
        wire.flush()
        assert app.result() is True
        assert [event.is_set() for event in app.events] == [True, False]
        wire.h2.reset_stream(second)
        wire.flush()
        assert app.events[1].wait(PATIENCE) is True


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_process_learns_of_none(serve: ServeFixture) -> None:
    def ask_in_child(event: Any) -> str:
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            said = [str(event.is_set())]
            for call in (event.wait, lambda: event.add_callback(print)):
                try:
                    call()
                except RuntimeError as error:
                    said.append(str(error).partition(": ")[2].partition(",")[0])
            os.write(writer, "; ".join(said).encode())
            os._exit(0)
        os.waitpid(child, 0)
        os.close(writer)
        with os.fdopen(reader) as pipe:
            return pipe.read()

    app = Watching(ask_in_child)
    assert serve(app).ask().body == b"done"
    assert app.result() == ("False; wait() in a child process; add_callback() in a child process")


def test_an_application_that_keeps_its_environs_does_not_keep_its_server(engine: str) -> None:
    kept: list[Environ] = []

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        kept.append(environ)
        return hello(environ, start_response)

    with start_site(app, engine) as site:
        assert site.ask("/").body == b"hello"
        native = weakref.ref(site.server._native)
    del site
    gc.collect()
    assert native() is None
    event = kept[0]["prowingen.client_disconnected"]
    assert not event.is_set()
    assert event.wait() is False
    event.add_callback(kept.clear)
    assert kept, "it never is called"
