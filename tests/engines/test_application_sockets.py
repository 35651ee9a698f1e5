"""environ["werkzeug.socket"] and its like: a socket for who answers an upgrade by itself."""

from __future__ import annotations

import base64
import hashlib
import os
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest

from harness.apps import PLAIN, Environ, Gate, StartResponse, hello
from harness.switching import ask_to_switch, names, say_behind, switched, take
from harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from harness.logwatch import LogWatch
    from harness.site import ServeFixture, Site

OFFER = b"GET /talk HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
SWITCH = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\nX-Own: 1\r\n\r\n"
)
NAMES = ["werkzeug.socket", "gunicorn.socket", "ws4py.socket"]
PATIENCE = 10.0


def offering(use: Callable[[Environ, Any], object], name: str = NAMES[0]) -> Any:
    """An application that uses its socket, and then says what others say to be left alone."""

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        taken = environ.get(name)
        if taken is None:
            return hello(environ, start_response)
        use(environ, taken)
        start_response("200 OK", [*PLAIN, ("Content-Length", "0")])
        return []

    return app


def echo(environ: Environ, taken: socket.socket) -> None:
    taken.sendall(SWITCH)
    while data := taken.recv(65536):
        taken.sendall(data)
    taken.close()


def away(site: Site) -> int:
    return int(site.server.stats()["workers_away"])


@pytest.mark.parametrize("name", NAMES)
def test_an_answer_of_the_applications_own_is_the_answer(
    serve: ServeFixture, name: str, error_log: LogWatch
) -> None:
    lines: list[str] = []
    site = serve(
        offering(echo, name), access_log=lines.append, access_log_format="%(s)s %(B)s %(r)s"
    )
    with site.connect() as wire:
        ask_to_switch(wire, OFFER, b"early ")
        fields = switched(wire)
        assert names(wire, fields, "echo")
        assert fields["x-own"] == "1"
        assert fields["server"] == "prowingen"
        assert take(wire, 6) == b"early "
        for word in (b"one", b"\0" * 300_000):
            wire.send(word)
            assert take(wire, len(word)) == word
        wire.finish_sending()
        assert wire.read_to_end() == b""
    assert eventually(lambda: lines)
    assert lines == [f"{200 if site.http2 else 101} 300009 GET /talk {site.protocol}"]
    assert eventually(lambda: not away(site))
    assert "ERROR" not in error_log.text


def test_other_requests_have_none(serve: ServeFixture) -> None:
    with serve(offering(echo)).connect() as wire:
        assert wire.ask("/").text == "hello"


@pytest.mark.no_http2("it is for HTTP/1.1 to ask so")
def test_half_a_request_for_another_protocol_is_none(serve: ServeFixture) -> None:
    with serve(offering(echo)).connect() as wire:
        assert wire.ask("/", "Upgrade: echo").text == "hello"
        assert wire.ask("/", "Connection: upgrade", "Upgrade: h2c").text == "hello"


@pytest.mark.parametrize("status", ["200 OK", "400 Bad Request", "426 Upgrade Required"])
def test_who_does_not_use_it_answers_as_ever(serve: ServeFixture, status: str) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if hold := environ["PATH_INFO"] == "/close" and environ.get(NAMES[0]):
            hold.close()
        start_response(status, PLAIN)
        return [b"as ever"]

    site = serve(app)
    # A success would be the other protocol's (RFC 8441 section 5).
    sent = 400 if site.has_streams and status.startswith("2") else int(status[:3])
    with site.connect() as wire:
        for target in (b"/talk", b"/close", b"/talk"):
            wire.send(OFFER.replace(b"/talk", target))
            answer = wire.response()
            assert answer.status == sent
            assert answer.text == "as ever"


def test_it_is_a_real_socket_that_knows_its_client(serve: ServeFixture) -> None:
    def use(environ: Environ, taken: socket.socket) -> None:
        found["types"] = [isinstance(taken, socket.socket), taken.gettimeout()]
        copy = taken.dup()
        found["ends"] = [taken.getpeername(), copy.getpeername()]
        found["here"] = taken.getsockname()
        taken.close()
        with copy:
            copy.sendall(SWITCH)
            found["heard"] = copy.makefile("rb").readline()

    found: dict[str, Any] = {}
    site = serve(offering(use))
    socket.setdefaulttimeout(0.01)
    try:
        with site.connect() as wire:
            wire.send(OFFER)
            assert switched(wire)
            threading.Event().wait(0.1)
            wire.send(b"a line\n")
            assert wire.read_to_end() == b""
            local = wire_address
        assert eventually(lambda: "heard" in found)
    finally:
        socket.setdefaulttimeout(None)
    assert found["types"] == [True, None]
    assert found["ends"][0] == found["ends"][1]
    assert found["ends"][0][0] == "127.0.0.1"
    assert found["here"] == local(site)
    assert found["heard"] == b"a line\n"


def wire_address(site: Site) -> tuple[str, int]:
    return ("127.0.0.1", site.port)


@pytest.mark.parametrize("ending", ["StopIteration", "ConnectionError", "nothing", "failure"])
def test_what_is_said_behind_it_is_no_answer(
    serve: ServeFixture, ending: str, error_log: LogWatch
) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        taken = environ[NAMES[1]]
        taken.sendall(SWITCH + b"said")
        taken.close()
        if ending == "StopIteration":
            raise StopIteration
        if ending == "ConnectionError":
            raise ConnectionError
        if ending == "failure":
            raise LookupError("a mistake")
        return []

    with serve(app).connect() as wire:
        wire.send(OFFER)
        assert switched(wire)
        assert wire.read_to_end() == b"said"
    if ending == "failure":
        error_log.wait_for("a mistake")
    else:
        assert "ERROR" not in error_log.text


def test_its_end_is_the_sockets_and_not_the_applications(serve: ServeFixture) -> None:
    def use(environ: Environ, taken: socket.socket) -> None:
        def go_on() -> None:
            with taken:
                returned.wait(PATIENCE)
                taken.sendall(b"still here")

        taken.sendall(SWITCH)
        threads.append(threading.Thread(target=go_on))
        threads[0].start()

    returned = threading.Event()
    threads: list[threading.Thread] = []
    site = serve(offering(use))
    with site.connect() as wire:
        wire.send(OFFER)
        switched(wire)
        assert eventually(lambda: not away(site)), "its worker is free again"
        returned.set()
        assert take(wire, 10) == b"still here"
        assert wire.read_to_end() == b""
    threads[0].join()


def test_a_client_that_leaves_is_an_end(serve: ServeFixture) -> None:
    def use(environ: Environ, taken: socket.socket) -> None:
        taken.sendall(SWITCH)
        begun.set()
        try:
            ends.append(taken.recv(1))
        except ConnectionError as error:
            ends.append(error)
        taken.close()

    begun = threading.Event()
    ends: list[Any] = []
    with serve(offering(use)).connect() as wire:
        wire.send(OFFER)
        assert begun.wait(PATIENCE)
        switched(wire)
        wire.reset()
        assert eventually(lambda: ends)
    assert ends[0] == b"" or isinstance(ends[0], ConnectionError)


def test_a_client_that_leaves_before_the_answer_is_an_end(serve: ServeFixture) -> None:
    def use(environ: Environ, taken: socket.socket) -> None:
        begun.set()
        ends.append(taken.recv(1))

    begun = threading.Event()
    ends: list[bytes] = []
    with serve(offering(use)).connect() as wire:
        wire.send(OFFER)
        assert begun.wait(PATIENCE)
        wire.reset()
        assert eventually(lambda: ends)
    assert ends == [b""]


@pytest.mark.parametrize(
    "text",
    [
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 101 X\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 10",
    ],
)
def test_an_answer_that_is_none_is_not_passed_on(
    serve: ServeFixture, text: bytes, error_log: LogWatch
) -> None:
    def use(environ: Environ, taken: socket.socket) -> None:
        taken.sendall(text)
        taken.close()

    with serve(offering(use)).connect() as wire:
        wire.send(OFFER)
        answer = wire.response()
        assert answer.status == 500
        wire.expect_over(answer)
    error_log.wait_for("GET /talk: what the application has written to its socket is no answer")


def test_any_answer_but_101_is_the_connections_last(serve: ServeFixture) -> None:
    """What comes behind it would be a request to one side, and the application's to the other."""

    def use(environ: Environ, taken: socket.socket) -> None:
        taken.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: keep-alive\r\n\r\nno")
        heard.append(taken.recv(100))
        taken.close()

    heard: list[bytes] = []
    site = serve(offering(use))
    with site.connect() as wire:
        wire.send(OFFER)
        answer = wire.response()
        assert answer.status == 400
        assert answer.text == "no"
        assert answer.closes or site.http2
        say_behind(wire, b"GET /secret HTTP/1.1\r\nHost: a\r\n\r\n")
        assert eventually(lambda: heard)
    assert heard == [b""]


def test_switching_by_start_response_leaves_the_socket(serve: ServeFixture) -> None:
    """As Odoo does: its stream is spoken in the close() of what it returned."""

    class Answer:
        def __init__(self, taken: socket.socket) -> None:
            self.taken = taken

        def __iter__(self) -> Any:
            return iter([b"", b""])

        def close(self) -> None:
            with self.taken as taken:
                taken.sendall(b"hello ")
                taken.sendall(taken.recv(10))

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response("101 Switching Protocols", [("Upgrade", "echo"), ("Connection", "Upgrade")])
        return Answer(environ[NAMES[0]])

    with serve(app).connect() as wire:
        wire.send(OFFER)
        assert names(wire, switched(wire), "echo")
        assert take(wire, 6) == b"hello "
        wire.send(b"you")
        assert take(wire, 3) == b"you"
        assert wire.read_to_end() == b""


def test_much_that_waits_keeps_either_side_waiting(serve: ServeFixture) -> None:
    def use(environ: Environ, taken: socket.socket) -> None:
        taken.sendall(SWITCH)
        taken.setblocking(False)
        sent = 0
        try:
            while sent < 64 << 20:
                sent += taken.send(bytes(65536))
                waited.wait(0.001)
        except BlockingIOError:
            pass
        counts.append(sent)
        taken.setblocking(True)
        heard = hashlib.sha256()
        while data := taken.recv(65536):
            heard.update(data)
        counts.append(heard.hexdigest())

    waited = threading.Event()
    counts: list[Any] = []
    block = os.urandom(1 << 16)
    with serve(offering(use)).connect(receive_buffer=65536) as wire:
        wire.send(OFFER)
        switched(wire)
        assert eventually(lambda: counts)
        assert counts[0] < 32 << 20
        for _ in range(64):
            wire.send(block)
        wire.finish_sending()
        assert eventually(lambda: len(counts) == 2)
    assert counts[1] == hashlib.sha256(block * 64).hexdigest()


# ---- the pool


def test_requests_that_live_long_leave_the_pool(serve: ServeFixture) -> None:
    site = serve(offering(echo), threads=2)
    wires = [site.connect() for _ in range(12)]
    for wire in wires:
        wire.send(OFFER)
        switched(wire)
    assert away(site) == 12
    with site.connect() as other:
        for _ in range(20):
            assert other.ask("/").text == "hello"
    for wire in wires:
        wire.send(b"x")
        assert take(wire, 1) == b"x"
        wire.close()
    assert eventually(lambda: not away(site))
    # The spare ones are used again.
    before = {thread.name for thread in site.server.worker_threads}
    with site.connect() as wire:
        wire.send(OFFER)
        switched(wire)
        assert {thread.name for thread in site.server.worker_threads} <= before
    assert site.ask("/").text == "hello"


def test_beyond_their_number_they_are_turned_away(serve: ServeFixture) -> None:
    site = serve(offering(echo), threads=2, long_lived_threads=2)
    with site.connect() as one, site.connect() as two, site.connect() as three:
        for wire in (one, two):
            wire.send(OFFER)
            switched(wire)
        three.send(OFFER)
        answer = three.response()
        assert answer.status == 503
        assert answer.get("retry-after")
        assert three.ask("/").text == "hello"
        one.close()
        assert eventually(lambda: away(site) == 1)
        three.send(OFFER)
        assert switched(three)


def test_stuck_ones_do_not_outlive_the_server(serve: ServeFixture) -> None:
    gate = Gate()

    def use(environ: Environ, taken: socket.socket) -> None:
        taken.sendall(SWITCH)
        gate.entered.set()
        taken.recv(1)

    site = serve(offering(use), graceful_timeout=0.2)
    with site.connect() as wire:
        wire.send(OFFER)
        gate.wait_entered()
        site.server.stop()
        assert not site.server.abandoned


@pytest.mark.no_http2("it has no keys: libraries are given one, and their answer is left out")
def test_key_of_a_websocket_is_there(serve: ServeFixture) -> None:
    """What a client of RFC 6455 sends arrives as it is: libraries answer it themselves."""

    def use(environ: Environ, taken: socket.socket) -> None:
        magic = environ["HTTP_SEC_WEBSOCKET_KEY"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(magic.encode()).digest()).decode()
        taken.sendall(SWITCH[:-2] + f"Sec-WebSocket-Accept: {accept}\r\n\r\n".encode())

    key = "dGhlIHNhbXBsZSBub25jZQ=="
    with serve(offering(use)).connect() as wire:
        wire.send(OFFER[:-2] + f"Sec-WebSocket-Key: {key}\r\n\r\n".encode())
        assert switched(wire)["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
