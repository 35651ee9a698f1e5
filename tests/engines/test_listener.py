"""The raw listener: handler(request, response), over the wire."""

from __future__ import annotations

import gc
import io
import shutil
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import prowingen_wsgi
import pytest

from harness.apps import Gate
from harness.site import Site
from harness.wire import Truncated

if TYPE_CHECKING:
    from collections.abc import Callable

    from prowingen_wsgi import Request, Response

    from harness.logwatch import LogWatch
    from harness.site import ListenFixture


EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


# ---- the request


@pytest.mark.no_http2("its names are in lower case, its fields in any order")
def test_a_request_is_seen_as_it_was_sent(listen: ListenFixture) -> None:
    seen: dict[str, Any] = {}

    def handler(request: Request, response: Response) -> None:
        seen.update(
            method=request.method,
            target=request.path_and_query,
            version=request.http_version,
            items=request.headers.items(),
            body=request.body.read(),
            peer=request.peer,
            local=request.local,
            scheme=request.scheme,
            secure=request.is_secure,
            shown=repr(request),
        )
        response.status_code = 204

    site = listen(handler)
    with site.connect() as wire:
        wire.send(
            b"PUT /a%20b?c=%C3%A9&d HTTP/1.1\r\nHost: x\r\nX-Two: 1\r\nx-two: 2\r\n"
            b"Content-Length: 4\r\n\r\nbody"
        )
        assert wire.response().status == 204
        client = wire.socket.getsockname()
    assert seen["method"] == "PUT"
    assert seen["target"] == "/a%20b?c=%C3%A9&d"
    assert seen["version"] == "1.1"
    assert seen["items"] == [
        ("Host", "x"),
        ("X-Two", "1"),
        ("x-two", "2"),
        ("Content-Length", "4"),
    ]
    assert seen["body"] == b"body"
    assert seen["peer"] == client
    assert seen["local"] == ("127.0.0.1", site.port)
    assert (seen["scheme"], seen["secure"]) == ("http", False)
    assert seen["shown"] == "<Request PUT /a%20b?c=%C3%A9&d>"


@pytest.mark.no_http2("its names are in lower case, its fields in any order")
def test_headers_are_found_in_any_case(listen: ListenFixture) -> None:
    seen: dict[str, Any] = {}

    def handler(request: Request, response: Response) -> None:
        headers = request.headers
        seen.update(
            joined=headers["x-two"],
            cookies=headers["cookie"],
            every=headers.get_all("X-TWO"),
            none=headers.get("X-None"),
            default=headers.get("X-None", 7),
            inside=("hOsT" in headers, "Hos" in headers),
            names=list(headers),
            length=len(headers),
        )
        with pytest.raises(KeyError, match="X-None"):
            headers["X-None"]
        with pytest.raises(TypeError, match="header name: must be str, not int"):
            headers[1]  # type: ignore[index]
        response.body.write(b"ok")

    site = listen(handler)
    with site.connect() as wire:
        wire.send(
            b"GET / HTTP/1.1\r\nHost: x\r\nX-Two: 1\r\nx-two: 2\r\n"
            b"Cookie: a=1\r\nCookie: b=2\r\n\r\n"
        )
        assert wire.response().body == b"ok"
    assert seen["joined"] == "1, 2"
    assert seen["cookies"] == "a=1; b=2"
    assert seen["every"] == ["1", "2"]
    assert (seen["none"], seen["default"]) == (None, 7)
    assert seen["inside"] == (True, False)
    assert seen["names"] == ["Host", "X-Two", "x-two", "Cookie", "Cookie"]
    assert seen["length"] == 5


def test_an_absolute_target_is_a_path_and_a_query(listen: ListenFixture) -> None:
    def handler(request: Request, response: Response) -> None:
        response.body.write(request.path_and_query.encode())

    site = listen(handler)
    assert site.ask("http://h/p?q").body == b"/p?q"
    assert site.ask("http://h").body == b"/"


def test_a_body_is_a_stream(listen: ListenFixture) -> None:
    size = 3 << 20

    def handler(request: Request, response: Response) -> None:
        copy = io.BytesIO()
        shutil.copyfileobj(request.body, copy)
        response.body.write(b"%d" % copy.tell())

    site = listen(handler, body_buffer=1024)
    with site.connect() as wire:
        wire.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size)
        wire.send(b"x" * size)
        assert wire.response().body == b"%d" % size


def test_a_request_outlives_its_handler_but_its_body_does_not(listen: ListenFixture) -> None:
    kept: list[Request] = []

    def handler(request: Request, response: Response) -> None:
        assert request.body.read() == b""
        kept.append(request)

    site = listen(handler)
    assert site.ask("/x").status == 200
    site.server.stop()
    assert kept[0].path_and_query == "/x"
    assert kept[0].headers["Host"]
    with pytest.raises(ValueError, match="after the request was answered"):
        kept[0].body.read()


# ---- the response


def test_an_untouched_response_is_an_empty_200(listen: ListenFixture) -> None:
    answer = listen(lambda request, response: None).ask()
    assert answer.says("200 OK")
    assert answer.body == b""
    assert answer.get("Content-Length") == "0"


def test_one_write_gets_a_length_and_more_writes_gather(listen: ListenFixture) -> None:
    def handler(request: Request, response: Response) -> None:
        for _ in range(int(request.path_and_query[1:])):
            assert response.body.write(b"piece ") == 6

    site = listen(handler)
    one = site.ask("/1")
    assert (one.get("Content-Length"), one.body) == ("6", b"piece ")
    few = site.ask("/100")
    assert (few.get("Content-Length"), few.body) == ("600", b"piece " * 100)
    many = site.ask("/10000")
    assert many.get("Content-Length") is None
    assert many.body == b"piece " * 10000


def test_status_reason_and_headers_are_what_was_set(listen: ListenFixture) -> None:
    def handler(request: Request, response: Response) -> None:
        response.status_code = 404
        assert response.reason == "Not Found"
        response.reason = "Not Here"
        headers = response.headers
        headers["X-A"] = "0"
        headers["x-a"] = "1"
        headers.add("Set-Cookie", "a=1")
        headers.add("Set-Cookie", "b=2")
        headers["X-Gone"] = "x"
        del headers["x-gone"]
        with pytest.raises(KeyError):
            del headers["x-gone"]
        assert headers.items() == [("x-a", "1"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]
        assert headers.get_all("set-cookie") == ["a=1", "b=2"]

    answer = listen(handler).ask()
    assert answer.says("404 Not Here")
    assert answer.get("x-a") == "1"
    assert answer.all("Set-Cookie") == ["a=1", "b=2"]


@pytest.mark.parametrize(
    ("set_it", "message"),
    [
        (lambda r: r.headers.add("A b", "x"), 'header name "A b" is not a token'),
        (lambda r: r.headers.add("A", "x\r\nB: y"), 'the value of header "A" has a control'),
        (lambda r: r.headers.add("Transfer-Encoding", "gzip"), "only the server can apply"),
        (lambda r: r.headers.add("Content-Length", "-1"), 'Content-Length "-1" is not a decimal'),
        (lambda r: r.headers.add("A", "\u20ac"), "not in latin-1"),
        (lambda r: setattr(r, "status_code", 101), "101: must be 200 to 999"),
        (lambda r: setattr(r, "reason", "a\nb"), "response.reason has a control character"),
    ],
)
def test_what_cannot_be_sent_is_refused_where_it_is_set(
    listen: ListenFixture, set_it: Callable[[Response], object], message: str
) -> None:
    def handler(request: Request, response: Response) -> None:
        with pytest.raises(ValueError, match=message):
            set_it(response)
        response.body.write(b"refused")

    assert listen(handler).ask().body == b"refused"


def test_the_head_is_closed_once_it_is_sent(listen: ListenFixture) -> None:
    def handler(request: Request, response: Response) -> None:
        response.body.write(b"a")
        response.headers["X-Late"] = "no piece was sent yet"
        response.body.flush()
        with pytest.raises(ValueError, match="the head of the response has been sent"):
            response.headers.add("X", "y")
        with pytest.raises(ValueError, match="the head of the response has been sent"):
            response.status_code = 500
        response.body.write(b"b")

    answer = listen(handler).ask()
    assert (answer.status, answer.body) == (200, b"ab")
    assert answer.get("X-Late")


def test_a_flush_sends_what_is_there(listen: ListenFixture) -> None:
    gate = Gate()

    def handler(request: Request, response: Response) -> None:
        response.body.flush()
        gate.pass_through()
        response.body.write(b"then")

    site = listen(handler)
    with site.connect() as wire:
        wire.get()
        reply = wire.reply()
        assert reply.head().status == 200
        gate.wait_entered()
        gate.opened.set()
        assert reply.rest().body == b"then"


def test_whatever_has_a_buffer_can_be_written(listen: ListenFixture) -> None:
    def handler(request: Request, response: Response) -> None:
        changing = bytearray(b"one ")
        assert response.body.write(changing) == 4
        changing[:] = b"xxxx"
        assert response.body.write(memoryview(b"two")) == 3
        with pytest.raises(TypeError, match="bytes are needed, not str"):
            response.body.write("text")  # type: ignore[arg-type]
        shutil.copyfileobj(io.BytesIO(b" three"), response.body)

    assert listen(handler).ask().body == b"one two three"


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 304), ("GET", 204)])
def test_answers_without_content_have_none(listen: ListenFixture, method: str, status: int) -> None:
    def handler(request: Request, response: Response) -> None:
        response.status_code = status
        response.body.write(b"content")

    site = listen(handler)
    with site.connect() as wire:
        assert wire.ask(method=method).body == b""
        assert wire.ask(method=method).status == status


def test_a_body_that_breaks_its_declared_length_is_cut_and_reported(
    listen: ListenFixture, error_log: LogWatch
) -> None:
    def handler(request: Request, response: Response) -> None:
        response.headers["Content-Length"] = "4"
        response.body.write(b"longer")

    assert listen(handler).ask().body == b"long"
    error_log.wait_for("longer than its Content-Length of 4")


# ---- errors


def test_an_exception_is_logged_and_answered(listen: ListenFixture, error_log: LogWatch) -> None:
    def handler(request: Request, response: Response) -> None:
        response.headers["X-Secret"] = "x"
        response.body.write(b"half an ans")
        raise RuntimeError("went wrong")

    answer = listen(handler).ask("/bad")
    assert (answer.status, answer.body) == (500, b"Internal Server Error\n")
    assert answer.get("X-Secret") is None
    error_log.wait_for("GET /bad", "went wrong")


def test_an_exception_after_the_head_breaks_the_answer_off(
    listen: ListenFixture, error_log: LogWatch
) -> None:
    def handler(request: Request, response: Response) -> None:
        response.body.write(b"half")
        response.body.flush()
        raise RuntimeError("went wrong")

    with listen(handler).connect() as wire, pytest.raises(Truncated):
        wire.ask()
    error_log.wait_for("went wrong")


def test_a_handler_that_returns_something_is_told(
    listen: ListenFixture, error_log: LogWatch
) -> None:
    assert listen(lambda request, response: [b"as in WSGI"]).ask().status == 500
    error_log.wait_for("the handler returned list; it must return None")


# ---- answering later


def test_any_thread_can_answer_later(listen: ListenFixture) -> None:
    waiting: list[Response] = []
    gate = threading.Semaphore(0)

    def handler(request: Request, response: Response) -> None:
        if request.path_and_query == "/wait":
            response.defer()
            waiting.append(response)
            gate.release()

    site = listen(handler, threads=1)
    wires = [site.connect() for _ in range(20)]
    for wire in wires:
        wire.get("/wait")
    for _ in wires:
        assert gate.acquire(timeout=10)
    assert site.ask("/now").status == 200, "the only worker is free"
    for number, response in enumerate(waiting):
        assert response.is_open
        response.status_code = 201
        response.body.write(b"answer %d" % number)
        response.close()
        assert not response.is_open
    answers = [wire.response() for wire in wires]
    assert {answer.status for answer in answers} == {201}
    assert {answer.body for answer in answers} == {b"answer %d" % n for n in range(20)}


def test_a_later_answer_can_read_and_stream(listen: ListenFixture) -> None:
    def later(request: Request, response: Response) -> None:
        for line in request.body:
            response.body.write(line.upper())
            response.body.flush()
        response.body.close()

    def handler(request: Request, response: Response) -> None:
        response.defer()
        threading.Thread(target=later, args=(request, response)).start()

    site = listen(handler, body_buffer=0, chunked_body="stream")
    with site.connect() as wire:
        wire.send(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        wire.send(b"4\r\none\n\r\n")
        reply = wire.reply("POST")
        assert reply.exactly(4) == b"ONE\n"
        wire.send(b"4\r\ntwo\n\r\n0\r\n\r\n")
        assert reply.rest().body == b"ONE\nTWO\n"


def test_a_deferred_response_that_is_dropped_is_answered_500(
    listen: ListenFixture, error_log: LogWatch
) -> None:
    def handler(request: Request, response: Response) -> None:
        response.defer()

    assert listen(handler).ask("/lost").status == 500
    error_log.wait_for("GET /lost", "dropped before it was closed")


def test_a_closed_response_takes_no_more(listen: ListenFixture) -> None:
    kept: list[Response] = []

    def handler(request: Request, response: Response) -> None:
        kept.append(response)
        response.body.write(b"x")
        response.close()
        response.close()
        assert response.body.closed

    site = listen(handler)
    assert site.ask().body == b"x"
    for late in (kept[0].body.flush, kept[0].defer, lambda: kept[0].body.write(b"y")):
        with pytest.raises(ValueError, match="the response is closed"):
            late()
    site.server.stop()
    kept.clear()
    gc.collect()


def test_a_stop_waits_for_deferred_responses_and_then_ends_them(listen: ListenFixture) -> None:
    waiting: list[Response] = []
    gate = Gate()

    def handler(request: Request, response: Response) -> None:
        response.defer()
        waiting.append(response)
        gate.entered.set()

    site = listen(handler)
    with site.connect() as wire:
        wire.get()
        gate.wait_entered()
        site.server.stop(graceful=0.2)
        assert not waiting[0].is_open
        waiting[0].body.write(b"held back")
        with pytest.raises(prowingen_wsgi.ClientDisconnected):
            waiting[0].body.flush()
        with pytest.raises((Truncated, ConnectionResetError)):
            wire.response()
    waiting.clear()


def test_a_client_that_leaves_is_seen(listen: ListenFixture) -> None:
    seen: list[object] = []
    gate = Gate()
    done = threading.Event()

    def later(response: Response) -> None:
        try:
            while True:
                response.body.write(b"x" * 100_000)
                response.body.flush()
        except prowingen_wsgi.ClientDisconnected as error:
            seen.append(error)
            response.close()
        finally:
            done.set()

    def handler(request: Request, response: Response) -> None:
        response.defer()
        threading.Thread(target=later, args=(response,)).start()
        gate.entered.set()

    with listen(handler).connect() as wire:
        wire.get()
        gate.wait_entered()
        assert wire.reply().exactly(1)
    assert done.wait(10)
    assert len(seen) == 1


def test_two_threads_cannot_write_one_response_at_once(listen: ListenFixture) -> None:
    outcomes: list[str] = []  # of whichever of the two comes second

    def handler(request: Request, response: Response) -> None:
        def fill(piece: bytes) -> None:
            while not outcomes:
                try:
                    response.body.write(piece)
                except RuntimeError as error:
                    outcomes.append(str(error))

        response.defer()
        thread = threading.Thread(target=fill, args=(b"x" * 1_000_000,))
        thread.start()
        fill(b"y")
        thread.join(10)
        response.close()

    with listen(handler, write_high_water=1000).connect(receive_buffer=4096) as wire:
        wire.get()
        reply = wire.reply()
        while not outcomes:
            assert reply.data()
        assert set(outcomes) == {"response: written by two threads at once"}
        reply.rest()


# ---- the server


def test_addresses_are_checked_and_added_before_the_start(engine: str, tmp_path: Path) -> None:
    server = prowingen_wsgi.create_server(lambda request, response: None, engine=engine)
    with pytest.raises(RuntimeError, match=r"no address: call add_address\(\) first"):
        server.start()
    with pytest.raises(ValueError, match="must be 0–65535"):
        server.add_address("127.0.0.1", 70000)
    with pytest.raises(ValueError, match="bind"):
        server.add_address("no such host!", 1)
    with pytest.raises(ValueError, match="must be 0–65535"):
        server.add_address("unix", -1)
    server.add_address("127.0.0.1", 0)
    server.add_unix_address(str(tmp_path / "s"))
    with server:
        assert len(server.addresses) == 2
        assert Site(server).ask().status == 200
        with pytest.raises(RuntimeError, match="before the server is started"):
            server.add_address("127.0.0.1", 0)
        with pytest.raises(RuntimeError, match="starts once"):
            server.start()
        assert server.stats()["requests_taken"] == 1
    assert not (tmp_path / "s").exists()
    with pytest.raises(RuntimeError, match="starts once, and this one is stopped"), server:
        pass


def test_a_host_is_looked_up_by_whatever_name_it_has(engine: str, tmp_path: Path) -> None:
    for host in ("unix", "systemd"):  # which begin other forms of an address
        server = prowingen_wsgi.create_server(lambda request, response: None, engine=engine)
        server.add_address(host, 80)
        with pytest.raises(OSError, match=f"cannot listen on tcp://{host}:80: no such host"):
            server.start()


def test_options_are_those_of_every_server() -> None:
    with pytest.raises(TypeError, match='no option is called "thread"'):
        prowingen_wsgi.create_server(lambda request, response: None, thread=1)
    with pytest.raises(TypeError, match=r"add_address\(\)"):
        prowingen_wsgi.create_server(lambda request, response: None, bind=":80")


def test_what_is_no_handler_is_refused_where_it_is_given() -> None:
    with pytest.raises(TypeError, match="a handler must be callable, not str"):
        prowingen_wsgi.create_server("handler")  # type: ignore[arg-type]


def test_the_example_tells_everybody_who_listens(listen: ListenFixture) -> None:
    sys.path.insert(0, str(EXAMPLES))
    try:
        from listener import Chat
    finally:
        sys.path.remove(str(EXAMPLES))
    chat = Chat()
    site = listen(chat, threads=2)
    wires = [site.connect() for _ in range(5)]  # more than there are threads
    replies = []
    for wire in wires:
        wire.get("/listen")
        replies.append(wire.reply())
        assert replies[-1].head().status == 200
    assert site.post(b"hello", "/say").body == b"heard by 5\n"
    for reply in replies:
        assert reply.exactly(6) == b"hello\n"
    chat.close()
    for reply in replies:
        assert reply.rest().body == b"hello\n"
