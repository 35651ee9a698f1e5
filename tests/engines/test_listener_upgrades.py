"""request.upgrade of a raw listener, and what it opens at once: streams and WebSockets."""

from __future__ import annotations

import gc
import queue
import ssl
import threading
from typing import TYPE_CHECKING, Any

import pytest
from prowingen_wsgi import ClientDisconnected, websocket

from harness.apps import PLAIN, Environ, StartResponse
from harness.echoing import is_settled, open_to
from harness.switching import switched, take
from harness.waiting import eventually
from harness.websocket_wire import CLOSE, frame, handshake

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from prowingen_wsgi import Request, Response

    from harness.logwatch import LogWatch
    from harness.site import ListenFixture, ServeFixture, Site
    from harness.wire import Wire

OFFER = b"GET /talk HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n"
PATIENCE = 10.0


def switch(wire: Wire, offer: bytes = b"echo") -> dict[str, str]:
    wire.send(OFFER % offer)
    return switched(wire)


def echo(stream: Any) -> None:
    while data := stream.recv(65536):
        stream.sendall(data)
    stream.sendall(b" and out")


def converse(wire: Wire) -> None:
    wire.send(b"hello")
    assert take(wire, 5) == b"hello"
    wire.finish_sending()
    assert take(wire, 8) == b" and out"


def expect_broken_off(wire: Wire) -> None:
    if isinstance(wire.socket, ssl.SSLSocket):
        vars(wire.socket)["suppress_ragged_eofs"] = False
    with pytest.raises(OSError, match=r"(?i)reset|eof"):
        b"".join(iter(wire.take, b""))


def test_a_stream_is_opened_and_ends_with_its_handler(listen: ListenFixture) -> None:
    def handler(request: Request, response: Response) -> None:
        assert request.upgrade is not None
        echo(request.upgrade.stream(headers=[("X-Said", "yes")]))

    site = listen(handler)
    with site.connect() as wire:
        assert switch(wire)["x-said"] == "yes"
        converse(wire)
        assert wire.take() == b""
    assert is_settled(site)


def test_the_answer_names_the_protocol(listen: ListenFixture) -> None:
    seen: list[str] = []

    def handler(request: Request, response: Response) -> None:
        assert request.upgrade is not None
        seen.extend(request.upgrade.protocols)
        echo(request.upgrade.stream("other/2"))

    site = listen(handler)
    with site.connect() as wire:
        if site.http2:
            switch(wire, b"other")
            assert seen == ["other"]
        else:
            # In two lines, and with one that RFC 9113 took back.
            wire.send(
                b"GET /talk HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo, h2c\r\n"
                b"Upgrade: other/2\r\n\r\n"
            )
            assert switched(wire)["upgrade"] == "other/2"
            assert seen == ["echo", "other/2"]
        converse(wire)


def test_the_first_of_several_lines_is_named(listen: ListenFixture) -> None:
    def handler(request: Request, response: Response) -> None:
        assert request.upgrade is not None
        echo(request.upgrade.stream())

    site = listen(handler)
    if site.http2:
        pytest.skip("one request is of one protocol there")
    with site.connect() as wire:
        wire.send(
            b"GET /talk HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n"
            b"Upgrade: other/2\r\n\r\n"
        )
        assert switched(wire)["upgrade"] == "other/2"
        converse(wire)


def test_there_is_none_for_a_plain_request(listen: ListenFixture) -> None:
    def handler(request: Request, response: Response) -> None:
        response.body.write(repr(request.upgrade).encode())

    with listen(handler).connect() as wire:
        assert wire.ask("/").body == b"None"


def test_a_deferred_stream_outlives_its_handler(listen: ListenFixture) -> None:
    streams: list[Any] = []
    returned = threading.Event()

    def handler(request: Request, response: Response) -> None:
        assert request.upgrade is not None
        streams.append(request.upgrade.stream())
        response.defer()
        returned.set()

    def go_on() -> None:
        with streams.pop() as stream:
            echo(stream)

    site = listen(handler)
    with site.connect() as wire:
        switch(wire)
        assert returned.wait(PATIENCE)
        gc.collect()  # the response is gone, and that is no fault
        thread = threading.Thread(target=go_on)
        thread.start()
        converse(wire)
        assert wire.take() == b""
        thread.join(PATIENCE)
    assert is_settled(site)


def test_a_deferred_request_is_upgraded_by_another_thread(listen: ListenFixture) -> None:
    threads: list[threading.Thread] = []

    def handler(request: Request, response: Response) -> None:
        response.defer()

        def later() -> None:
            assert request.upgrade is not None
            with request.upgrade.stream() as stream:
                echo(stream)
            response.close()

        threads.append(threading.Thread(target=later))
        threads[0].start()

    site = listen(handler)
    with site.connect() as wire:
        switch(wire)
        converse(wire)
        assert wire.take() == b""
    threads[0].join(PATIENCE)
    assert is_settled(site)


@pytest.mark.parametrize("style", ["blocking", "evented"])
def test_a_websocket_is_accepted(listen: ListenFixture, style: str) -> None:
    def handler(request: Request, response: Response) -> None:
        if not websocket.is_websocket(request):
            response.body.write(b"plain")
            return
        assert request.upgrade is not None
        if style == "evented":
            request.upgrade.websocket(origins="*", on_message=lambda ws, text: ws.send(text))
            return
        heard.extend(websocket.accept(request, origins="*"))

    heard: list[str | bytes] = []
    site = listen(handler)
    with site.connect() as wire:
        assert wire.ask("/").body == b"plain"
    client = open_to(site)
    if style == "evented":
        assert client.ask("over and over") == "over and over"
    else:
        client.say("and out")
    client.close()
    assert client.closed() == (1000, "")
    assert is_settled(site)
    assert heard == ([] if style == "evented" else ["and out"])


def test_a_dropped_websocket_without_callbacks_is_closed(listen: ListenFixture) -> None:
    kept: list[Any] = []
    returned = threading.Event()

    def handler(request: Request, response: Response) -> None:
        kept.append(websocket.accept(request, origins="*"))
        response.defer()
        returned.set()

    site = listen(handler)
    client = open_to(site)
    assert returned.wait(PATIENCE)
    kept[0].send("still here")
    assert client.hear() == "still here"
    kept.clear()
    assert client.closing() == (1000, "")
    client.close()
    assert is_settled(site)


def deferring(listen: ListenFixture) -> tuple[Site, Callable[[], tuple[Any, Any]]]:
    """A site whose handler defers, and what gives its next request and response once it has
    returned."""
    handed: queue.Queue[tuple[Any, Any]] = queue.Queue()

    def handler(request: Request, response: Response) -> None:
        response.defer()
        handed.put((request, response))

    def deferred() -> tuple[Any, Any]:
        pair = handed.get(timeout=PATIENCE)
        assert eventually(lambda: not site.server.stats()["workers_running"])
        return pair

    site = listen(handler)
    return site, deferred


def test_one_that_is_accepted_and_dropped_after_its_handler_is_closed(
    listen: ListenFixture,
) -> None:
    site, deferred = deferring(listen)
    with site.connect() as wire:
        wire.send(handshake())
        request, response = deferred()
        ws = websocket.accept(request, origins="*")
        switched(wire)
        ws.send("still here")
        assert take(wire, 12) == b"\x81\x0astill here"
        del ws
        gc.collect()
        assert take(wire, 4) == b"\x88\x02\x03\xe8"
        wire.send(frame(CLOSE, b"\x03\xe8"))
        assert is_settled(site)
        response.close()


def test_a_stream_that_is_opened_and_dropped_after_its_handler_ends(listen: ListenFixture) -> None:
    site, deferred = deferring(listen)
    with site.connect() as wire:
        wire.send(OFFER % b"echo")
        request, response = deferred()
        stream = request.upgrade.stream()
        switched(wire)
        stream.sendall(b"so much")
        del stream
        gc.collect()
        assert take(wire, 7) == b"so much"
        assert wire.take() == b""
        response.close()


def test_one_that_is_opened_too_late_is_none(serve: ServeFixture) -> None:
    """The fields come from an iterator that lets the application return meanwhile."""
    returned = threading.Event()
    outcome: list[BaseException] = []
    threads: list[threading.Thread] = []

    def fields() -> Iterator[tuple[str, str]]:
        assert returned.wait(PATIENCE)
        assert eventually(lambda: not site.server.stats()["workers_running"])
        yield "X", "1"

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        upgrade = environ["opaque.upgrade"]

        def late() -> None:
            try:
                upgrade.stream(headers=fields())
            except ValueError as error:
                outcome.append(error)

        threads.append(threading.Thread(target=late))
        threads[0].start()
        start_response("403 Forbidden", PLAIN)
        return [b"no"]

    site = serve(app)
    with site.connect() as wire:
        wire.send(OFFER % b"echo")
        assert wire.response().text == "no"
        returned.set()
        threads[0].join(PATIENCE)
    assert "returned" in str(outcome[0])


def test_a_failing_handler_breaks_its_stream_off(
    listen: ListenFixture, error_log: LogWatch
) -> None:
    def handler(request: Request, response: Response) -> None:
        assert request.upgrade is not None
        request.upgrade.stream().sendall(b"so far")
        raise LookupError("no further")

    site = listen(handler)
    with site.connect() as wire:
        switch(wire)
        expect_broken_off(wire)
    error_log.wait_for("GET /talk", "LookupError: no further")


def test_the_response_takes_nothing_after_it(listen: ListenFixture) -> None:
    errors: list[BaseException] = []

    def handler(request: Request, response: Response) -> None:
        assert request.upgrade is not None
        upgrade: Any = request.upgrade
        with pytest.raises(TypeError, match="stream"):
            upgrade({}, echo)
        stream = upgrade.stream()
        for attempt in (
            lambda: response.body.write(b"more"),
            lambda: response.headers.add("X-More", "1"),
            response.body.flush,
            upgrade.stream,
            lambda: upgrade.websocket(origins="*"),
        ):
            try:
                attempt()
            except (ValueError, RuntimeError) as error:
                errors.append(error)
        echo(stream)

    site = listen(handler)
    with site.connect() as wire:
        switch(wire)
        converse(wire)
    assert [type(error).__name__ for error in errors] == [
        *["ValueError"] * 3,
        *["RuntimeError"] * 2,
    ]
    assert "upgraded" in str(errors[0])
    assert "already" in str(errors[3])


def test_it_comes_to_nothing_after_the_handler(listen: ListenFixture) -> None:
    kept: list[Any] = []
    answered = threading.Event()

    def handler(request: Request, response: Response) -> None:
        kept.append(request.upgrade)
        response.body.write(b"as ever")

    site = listen(handler)
    with site.connect() as wire:
        wire.send(OFFER % b"echo")
        assert wire.response().body == b"as ever"
        answered.set()
        assert is_settled(site)
        with pytest.raises(ValueError, match="after"):
            kept[0].stream()


def test_bad_arguments_leave_the_request_to_be_answered(listen: ListenFixture) -> None:
    def handler(request: Request, response: Response) -> None:
        upgrade: Any = request.upgrade
        for wrong, kind in (
            ({"protocol": 1}, TypeError),
            ({"protocol": "a\nb"}, ValueError),
            ({"headers": [("X", "a\r\nb: c")]}, ValueError),
            ({"headers": 5}, TypeError),
        ):
            with pytest.raises(kind):
                upgrade.stream(**wrong)
        response.status_code = 409
        response.body.write(b"none")

    with listen(handler).connect() as wire:
        wire.send(OFFER % b"echo")
        answer = wire.response()
        assert (answer.status, answer.body) == (409, b"none")


def test_as_many_live_long_as_may(listen: ListenFixture, error_log: LogWatch) -> None:
    def handler(request: Request, response: Response) -> None:
        assert request.upgrade is not None
        echo(request.upgrade.stream())

    site = listen(handler, threads=2, long_lived_threads=1)
    with site.connect() as first, site.connect() as second:
        switch(first)
        second.send(OFFER % b"echo")
        answer = second.response()
        assert (answer.status, answer.get("retry-after")) == (503, "1")
        converse(first)


# ---- the same in WSGI


def in_wsgi(view: Callable[[Environ], object]) -> Any:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        view(environ)
        start_response("200 OK", PLAIN)
        return [b"no answer any more"]

    return app


def test_a_view_opens_a_stream_and_answers_what_it_likes(serve: ServeFixture) -> None:
    site = serve(in_wsgi(lambda environ: echo(environ["opaque.upgrade"].stream())))
    with site.connect() as wire:
        switch(wire)
        converse(wire)
        assert wire.take() == b""
    assert is_settled(site)


def test_a_view_that_fails_breaks_its_stream_off(serve: ServeFixture, error_log: LogWatch) -> None:
    def view(environ: Environ) -> None:
        environ["opaque.upgrade"].stream().sendall(b"so far")
        raise LookupError("no further")

    site = serve(in_wsgi(view))
    with site.connect() as wire:
        switch(wire)
        expect_broken_off(wire)
    error_log.wait_for("LookupError: no further")


def test_a_client_that_leaves_is_missed(serve: ServeFixture) -> None:
    outcome: list[BaseException] = []
    over = threading.Event()

    def view(environ: Environ) -> None:
        stream = environ["opaque.upgrade"].stream()
        try:
            while True:
                stream.sendall(b"x" * 65536)
        except ClientDisconnected as error:
            outcome.append(error)
            over.set()
            raise

    site = serve(in_wsgi(view))
    with site.connect() as wire:
        switch(wire)
        take(wire, 1)
        wire.reset()
    assert over.wait(PATIENCE)
    assert is_settled(site)


def test_nothing_is_kept_of_a_stream(listen: ListenFixture) -> None:
    def handler(request: Request, response: Response) -> None:
        assert request.upgrade is not None
        echo(request.upgrade.stream())

    def counted() -> int:
        gc.collect()
        return sum(type(each).__name__ == "OpaqueUpgrade" for each in gc.get_objects())

    before = counted()
    site = listen(handler)
    for _ in range(3):
        with site.connect() as wire:
            switch(wire)
            converse(wire)
    assert is_settled(site)
    assert counted() == before
