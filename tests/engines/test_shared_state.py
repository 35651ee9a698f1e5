"""What threads share, used by all of them at once; each test is about one kind of it. What keeps it
whole is the GIL, or would have to be something else without one.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

import prowingen_wsgi
import pytest
from prowingen_wsgi.websocket import ConnectionClosed, Room, accept

from harness.apps import PLAIN, Environ, StartResponse, hello
from harness.websocket_wire import WebSocketWire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from harness.site import ListenFixture, ServeFixture, Site

CLIENTS = 6
ROUNDS = 40
HANDS = 4  # threads of the application's that have one request in common
WORKERS = {"threads": 6}


def all_at_once(act: Callable[[int], None], count: int = CLIENTS) -> None:
    """Calls it with 0, 1, ... on threads that begin together. Raises what the first one raises."""
    start = threading.Barrier(count)

    def begin(number: int) -> None:
        start.wait(10)
        act(number)

    with ThreadPoolExecutor(count) as pool:
        for done in [pool.submit(begin, number) for number in range(count)]:
            done.result(60)


def lend_hands(act: Callable[[int], None]) -> None:
    """The same for an application, with a request of its own."""
    all_at_once(act, HANDS)


# ---- what workers have in common


def test_each_request_has_its_own_fields_whoever_served_the_last_one(serve: ServeFixture) -> None:
    names = [f"X-Name-{number}" for number in range(300)]

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        fields = sorted(key for key in environ if key.startswith("HTTP_X_"))
        start_response("200 OK", PLAIN)
        yield environ["PATH_INFO"].encode()
        for key in fields:
            yield f"|{key}={environ[key]}".encode()

    site = serve(app, **WORKERS)

    def ask(number: int) -> None:
        with site.connect() as wire:
            for turn in range(ROUNDS):
                # Of one length, and different: a text of the last request could be written over.
                value = f"{number:04}-{turn:04}"
                name = names[(number * ROUNDS + turn) % len(names)]
                answer = wire.ask(f"/p{value}", f"X-A: {value}", f"{name}: {value}")
                key = "HTTP_" + name.upper().replace("-", "_")
                wanted = "|".join(sorted([f"HTTP_X_A={value}", f"{key}={value}"]))
                assert answer.text == f"/p{value}|{wanted}"

    all_at_once(ask)


def test_figures_and_probes_are_asked_while_requests_come_and_go(serve: ServeFixture) -> None:
    site = serve(hello, **WORKERS)
    asked: list[int] = []

    def ask(number: int) -> None:
        if number == 0:
            for _ in range(ROUNDS * 5):
                asked.append(site.server.stats()["requests_taken"])
                assert site.server.readiness() == ""
                for _, line, seconds in site.server.requests():
                    assert line.startswith("GET /")
                    assert 0 <= seconds < 60
            return
        with site.connect() as wire:
            for turn in range(ROUNDS * 2):
                assert wire.ask(f"/{turn}").body == b"hello"

    all_at_once(ask)
    assert asked == sorted(asked)
    assert site.server.stats()["requests_taken"] == (CLIENTS - 1) * ROUNDS * 2


# ---- what threads of the application's have in common


def test_pieces_that_threads_write_at_once_are_all_sent_and_none_is_torn(
    serve: ServeFixture,
) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        write = start_response("200 OK", PLAIN)

        def send(hand: int) -> None:
            for turn in range(20):
                # Some are lent to the I/O thread, and some are copied.
                size = 20_000 if turn % 5 == 0 else 50
                write(b"%d" % hand * size + b"\n")

        lend_hands(send)
        return []

    site = serve(app, **WORKERS)
    sizes = [20_000 if turn % 5 == 0 else 50 for turn in range(20)]
    wanted = sorted(b"%d" % hand * size for hand in range(HANDS) for size in sizes)

    def ask(number: int) -> None:
        with site.connect() as wire:
            for _ in range(4):
                assert sorted(wire.ask("/").body.splitlines()) == wanted

    all_at_once(ask, 3)


@pytest.mark.parametrize("options", [{}, {"body_buffer": 4}], ids=["whole", "as it comes"])
def test_lines_that_threads_read_at_once_are_read_once(
    serve: ServeFixture, options: dict[str, object]
) -> None:
    lines = [b"%05d\n" % number for number in range(2000)]

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        body = environ["wsgi.input"]
        found: list[bytes] = []

        def read(_hand: int) -> None:
            while True:
                try:
                    line = body.readline()
                except RuntimeError as busy:  # another waits for the client just now
                    assert "two threads" in str(busy)  # noqa: PT017
                    continue
                if not line:
                    return
                found.append(line)

        lend_hands(read)
        start_response("200 OK", PLAIN)
        return sorted(found)

    site = serve(app, **WORKERS, **options)

    def ask(number: int) -> None:
        with site.connect() as wire:
            for _ in range(3):
                wire.post("/", b"".join(lines))
                assert wire.response().body == b"".join(lines)

    all_at_once(ask, 3)


def test_the_one_answer_is_that_of_the_first_thread_that_begins_it(serve: ServeFixture) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        begun: list[int] = []

        def begin(hand: int) -> None:
            with suppress(AssertionError):  # called a second time without exc_info
                start_response("200 OK", [*PLAIN, ("X-Hand", str(hand))])
                begun.append(hand)

        lend_hands(begin)
        assert len(begun) == 1
        return [b"%d" % begun[0]]

    site = serve(app, **WORKERS)

    def ask(number: int) -> None:
        with site.connect() as wire:
            for _ in range(10):
                answer = wire.ask("/")
                assert answer.status == 200
                assert answer.text == answer.get("X-Hand")

    all_at_once(ask, 3)


def test_what_is_kept_of_an_answer_is_of_no_use_to_the_next_one(serve: ServeFixture) -> None:
    kept: list[Callable[[], object]] = []
    over = threading.Event()

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        write = start_response("200 OK", PLAIN)
        event = environ["prowingen.client_disconnected"]
        body = environ["wsgi.input"]
        hints, trailers = environ["wsgi.early_hints"], environ["prowingen.send_trailers"]
        kept[:] = [
            lambda: write(b"stolen"),
            lambda: start_response("500 Stolen", PLAIN),
            lambda: hints([("Link", "</stolen>")]),
            lambda: trailers([("X-Stolen", "1")]),
            lambda: body.read(),
            lambda: event.is_set(),
        ]
        return [b"mine"]

    def steal() -> None:
        while not over.is_set():
            for use in kept:
                # Of its own answer, while that is under way, it may be a part of.
                with suppress(ValueError, AssertionError, RuntimeError, OSError):
                    use()

    site = serve(app, **WORKERS)
    thieves = [threading.Thread(target=steal) for _ in range(3)]
    for thief in thieves:
        thief.start()
    try:

        def ask(number: int) -> None:
            with site.connect() as wire:
                for _ in range(ROUNDS):
                    assert wire.ask("/").body.replace(b"stolen", b"") == b"mine"

        all_at_once(ask)
    finally:
        over.set()
        for thief in thieves:
            thief.join(10)
    assert site.ask("/").status == 200


def test_threads_that_ask_for_the_client_are_told_the_same(serve: ServeFixture) -> None:
    called: list[int] = []

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        event = environ["prowingen.client_disconnected"]

        def look(hand: int) -> None:
            for _ in range(30):
                assert not event.is_set()
                event.add_callback(lambda: called.append(hand))
                assert not event.wait(0)

        lend_hands(look)
        start_response("200 OK", PLAIN)
        return [b"here"]

    site = serve(app, **WORKERS)

    def ask(number: int) -> None:
        with site.connect() as wire:
            for _ in range(5):
                assert wire.ask("/").body == b"here"

    all_at_once(ask, 3)
    assert called == []


def test_a_streamed_answer_and_threads_that_write_beside_it(serve: ServeFixture) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        write = start_response("200 OK", PLAIN)
        helper = threading.Thread(target=lambda: [write(b"b") for _ in range(200)])
        helper.start()
        for _ in range(200):
            yield b"a"
        helper.join(10)

    site = serve(app, **WORKERS)

    def ask(number: int) -> None:
        with site.connect() as wire:
            for _ in range(3):
                body = wire.ask("/").body
                assert (body.count(b"a"), body.count(b"b"), len(body)) == (200, 200, 400)

    all_at_once(ask, 3)


# ---- raw listeners


def test_a_response_that_threads_fill_in_at_once_is_whole(listen: ListenFixture) -> None:
    def handler(request: prowingen_wsgi.Request, response: prowingen_wsgi.Response) -> None:
        taken: list[bytes] = []

        def fill(hand: int) -> None:
            for turn in range(20):
                response.headers.add("X-Hand", f"{hand}.{turn}")
                assert f"{hand}.{turn}" in response.headers.get_all("X-Hand")
                assert request.body is request.body
                piece = b"%d.%02d\n" % (hand, turn)
                with suppress(RuntimeError):  # written by two threads at once
                    response.body.write(piece)
                    taken.append(piece)

        lend_hands(fill)
        response.headers["X-Taken"] = str(len(taken))

    site = listen(handler, **WORKERS)

    def ask(number: int) -> None:
        with site.connect() as wire:
            for _ in range(5):
                answer = wire.ask("/")
                lines = answer.body.splitlines()
                assert len(set(lines)) == len(lines) == int(answer.get("X-Taken") or "0")
                assert len(answer.all("X-Hand")) == HANDS * 20

    all_at_once(ask, 3)


# ---- what outlives a request


@pytest.mark.no_http2("its WebSockets are opened by HTTP/1.1's upgrade")
def test_a_room_whose_members_come_and_go_while_all_broadcast(serve: ServeFixture) -> None:
    room = Room()

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        accept(
            environ,
            on_open=room.add,
            on_message=lambda _websocket, message: room.broadcast(message),
            on_close=lambda websocket, _code, _reason: room.discard(websocket),
        )
        return []

    site = serve(app, **WORKERS)

    def chat(number: int) -> None:
        for turn in range(5):
            with site.connect() as wire:
                websocket = WebSocketWire(wire)
                mine = {f"{number}.{turn}.{each}" for each in range(20)}
                for message in mine:
                    websocket.say(message)
                # Among what the others say, and in whatever order workers came to it.
                left = set(mine)
                while left:
                    left.discard(str(websocket.hear()))

    all_at_once(chat)


@pytest.mark.no_http2("its WebSockets are opened by HTTP/1.1's upgrade")
def test_a_websocket_that_threads_send_on_at_once(serve: ServeFixture) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        with accept(environ, subprotocols=["hands"]) as websocket:

            def send(hand: int) -> None:
                websocket.attribute = hand
                for turn in range(50):
                    websocket.send(f"{hand}.{turn}")

            lend_hands(send)
            with suppress(ConnectionClosed):
                websocket.receive()
        return []

    site = serve(app, **WORKERS, long_lived_threads=8)
    wanted = {f"{hand}.{turn}" for hand in range(HANDS) for turn in range(50)}

    def hear(number: int) -> None:
        with site.connect() as wire:
            websocket = WebSocketWire(wire, "/", "Sec-WebSocket-Protocol: hands")
            assert {websocket.hear() for _ in wanted} == wanted

    all_at_once(hear, 3)


# ---- deadlines


def test_request_timeout_is_raised_in_no_other_request(serve: ServeFixture) -> None:
    """Those that are late end at about the moment at which they are told so."""
    late: list[str] = []
    stray: list[str] = []

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        try:
            if path == "/late":
                threading.Event().wait(0.1)
            for _ in range(1000):
                pass
        except prowingen_wsgi.RequestTimeout:
            (late if path == "/late" else stray).append(path)
        start_response("200 OK", PLAIN)
        return [b"done"]

    site = serve(app, **WORKERS, request_timeout=5.1, request_timeout_raise=5.0)

    def ask(number: int) -> None:
        with site.connect() as wire:
            for _ in range(ROUNDS // 4):
                if number % 2:
                    assert wire.ask("/late").status in (200, 504)
                else:
                    assert wire.ask("/quick").body == b"done"

    all_at_once(ask)
    assert stray == []


# ---- the server itself


def test_several_threads_stop_a_server_at_once(serve: ServeFixture) -> None:
    site: Site = serve(hello, **WORKERS)
    with site.connect() as wire:
        assert wire.ask("/").body == b"hello"

    def stop(number: int) -> None:
        site.server.stats()
        site.server.stop()
        assert site.server.wait(10)
        site.server.stats()

    all_at_once(stop)
