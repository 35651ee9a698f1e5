"""Another protocol after an answer of status 101: environ["opaque.upgrade"] (owin-OpaqueStream)."""

from __future__ import annotations

import hashlib
import socket
import ssl
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from prowingen_wsgi import ClientDisconnected

from harness.apps import PLAIN, Environ, StartResponse
from harness.switching import Switching, ask_to_switch, ends_either_way, names, switched, take
from harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.logwatch import LogWatch
    from harness.site import ServeFixture, Site
    from harness.wire import Wire


OFFER = b"GET /talk HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo, other/2\r\n\r\n"
PATIENCE = 10.0
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def echo(env: dict[str, Any]) -> None:
    stream = env["opaque.stream"]
    while data := stream.recv(65536):
        stream.sendall(data)
    stream.sendall(b" and out")


def switch(wire: Wire, early: bytes = b"") -> dict[str, str]:
    """Has the connection's protocol switched; the fields of the answer."""
    ask_to_switch(wire, OFFER, early)
    return switched(wire)


def test_what_follows_the_head_is_the_applications(serve: ServeFixture) -> None:
    app = Switching(echo, ("Upgrade", "echo"), ("X-More", "1"), ("Content-Length", "0"))
    with serve(app).connect() as wire:
        fields = switch(wire, b"early ")
        assert names(wire, fields, "echo")
        assert fields["x-more"] == "1"
        assert not {"content-length", "transfer-encoding"} & set(fields)
        assert take(wire, 6) == b"early "
        for word in (b"one", b"two\r\n\r\n", b"\0" * 100_000):
            wire.send(word)
            assert take(wire, len(word)) == word
        wire.finish_sending()
        assert wire.read_to_end() == b" and out"
    assert app.ended.wait(PATIENCE)
    assert app.error is None


@pytest.mark.no_http2("its answers name none")
def test_protocol_is_the_first_offered_unless_it_is_named(serve: ServeFixture) -> None:
    with serve(Switching(echo)).connect() as wire:
        assert switch(wire)["upgrade"] == "echo"


def test_any_other_answer_leaves_the_connection_as_it_is(serve: ServeFixture) -> None:
    with serve(Switching(echo)).connect() as wire:
        stay = OFFER.replace(b"/talk", b"/stay")
        wire.send(stay + stay + b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert [wire.response().text for _ in range(3)] == ["could", "could", "no"]
        wire.send(stay)  # read as a request of its own, and not as what follows the one before
        assert wire.response().text == "could"
        switch(wire)
        wire.send(b"at last")
        assert take(wire, 7) == b"at last"


@pytest.mark.no_http2("its streams ask for one in a way that cannot be mistaken")
@pytest.mark.parametrize(
    "request_",
    [
        b"GET / HTTP/1.0\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: echo\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n"
        b"Content-Length: 1\r\n\r\nx",
    ],
    ids=["HTTP/1.0", "no option", "no protocol", "content"],
)
def test_upgrade_is_there_where_it_can_be(serve: ServeFixture, request_: bytes) -> None:
    with serve(Switching(echo)).connect() as wire:
        wire.send(request_)
        assert wire.response().text == "no"


def test_a_request_of_no_content_reads_as_one(serve: ServeFixture) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", PLAIN)
        return [repr(environ["wsgi.input"].read()).encode()]

    with serve(app).connect() as wire:
        wire.send(OFFER)
        assert wire.response().text == "b''"


def test_either_side_may_end_first(serve: ServeFixture) -> None:
    def answer_the_whole(env: dict[str, Any]) -> None:
        stream = env["opaque.stream"]
        stream.sendall(b"say all")
        stream.shutdown(socket.SHUT_WR)
        with pytest.raises(BrokenPipeError):
            stream.send(b"x")
        heard.append(stream.read())

    heard: list[bytes] = []
    app = Switching(answer_the_whole)
    with serve(app).connect() as wire:
        switch(wire)
        if ends_either_way(wire):
            assert wire.read_to_end() == b"say all"
        else:  # a client's TLS here ends both ways at once
            assert take(wire, 7) == b"say all"
        assert not app.ended.is_set()
        wire.send(b"much ")
        wire.send(b"and more")
        wire.finish_sending()
        assert app.ended.wait(PATIENCE)
    assert heard == [b"much and more"]


def test_what_nobody_reads_any_more_holds_nothing_up(serve: ServeFixture) -> None:
    def hear_nothing(env: dict[str, Any]) -> None:
        stream = env["opaque.stream"]
        stream.shutdown(socket.SHUT_RD)
        assert stream.recv(10) == b""
        assert go.wait(PATIENCE)
        stream.sendall(b"done")

    go = threading.Event()
    with serve(Switching(hear_nothing)).connect() as wire:
        switch(wire)
        for _ in range(64):
            wire.send(bytes(65536))
        go.set()
        assert take(wire, 4) == b"done"


def test_a_client_that_leaves_is_told_of(serve: ServeFixture, error_log: LogWatch) -> None:
    def listen(env: dict[str, Any]) -> None:
        begun.set()
        events.append(env["opaque.call_cancelled"])
        env["opaque.stream"].recv(1)

    begun = threading.Event()
    events: list[Any] = []
    app = Switching(listen)
    with serve(app).connect() as wire:
        switch(wire)
        assert begun.wait(PATIENCE)
        assert not events[0].is_set()
        assert not events[0].wait(0.01)
        wire.reset()
        assert app.ended.wait(PATIENCE)
    assert isinstance(app.error, ClientDisconnected)
    assert events[0].wait(timeout=PATIENCE)
    assert "failed" not in error_log.text


def test_a_callback_that_fails_does_not_look_like_an_end(
    serve: ServeFixture, error_log: LogWatch
) -> None:
    def fail(env: dict[str, Any]) -> None:
        env["opaque.stream"].sendall(b"so far")
        raise LookupError("lost the thread")

    site = serve(Switching(fail))
    with site.connect() as wire:
        switch(wire)
        if isinstance(wire.socket, ssl.SSLSocket):
            vars(wire.socket)["suppress_ragged_eofs"] = False
        with pytest.raises(OSError, match=r"(?i)reset|eof"):
            b"".join(iter(wire.take, b""))
    error_log.wait_for(f"GET /talk {site.protocol}", "the callback of opaque.upgrade failed")
    error_log.wait_for("lost the thread")
    error_log.clear()


def test_calls_wait_for_as_long_as_they_are_told(serve: ServeFixture) -> None:
    def wait(env: dict[str, Any]) -> None:
        stream = env["opaque.stream"]
        assert stream.gettimeout() is None
        stream.settimeout(0.05)
        assert stream.gettimeout() == pytest.approx(0.05)
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            stream.recv(1)
        assert time.monotonic() - began >= 0.05
        stream.setblocking(False)
        with pytest.raises(BlockingIOError):
            stream.recv(1)
        with pytest.raises(ValueError, match="out of range"):
            stream.settimeout(-1)
        stream.settimeout(PATIENCE)
        stream.sendall(b"go on")
        assert stream.read(4) == b"well"
        stream.settimeout(0.05)
        with pytest.raises(TimeoutError):
            stream.read(8)  # of which half comes: it is not lost
        stream.sendall(b"more")
        stream.settimeout(PATIENCE)
        assert stream.read(8) == b"halfrest"

    app = Switching(wait)
    with serve(app).connect() as wire:
        switch(wire)
        assert take(wire, 5) == b"go on"
        wire.send(b"wellhalf")
        assert take(wire, 4) == b"more"
        wire.send(b"rest")
        assert app.ended.wait(PATIENCE)
    assert app.error is None


def test_it_reads_as_files_and_sockets_do(serve: ServeFixture) -> None:
    def read(env: dict[str, Any]) -> None:
        assert env["opaque.version"] == "1.0"
        with env["opaque.stream"] as stream:
            assert stream.readable()
            assert stream.writable()
            assert not stream.seekable()
            assert stream.readline() == b"a line\n"
            buffer = bytearray(16)
            assert stream.recv_into(memoryview(buffer)[4:], 3) == 3
            assert buffer[4:7] == b"abc"
            assert stream.readinto(buffer) == 3
            assert buffer[:3] == b"def"
            with pytest.raises(ValueError, match="too small"):
                stream.recv_into(buffer, 17)
            with pytest.raises(OSError, match="fileno"):
                stream.fileno()
            with pytest.raises(TypeError):
                stream.send("text")
            assert stream.send(memoryview(b"xyz")[1:]) == 2
            assert stream.write(bytearray(b"!")) == 1
            assert not stream.closed
        assert stream.closed
        with pytest.raises(OSError, match="Bad file descriptor"):
            stream.recv(1)
        with pytest.raises(OSError, match="Bad file descriptor"):
            stream.send(b"")

    app = Switching(read)
    with serve(app).connect() as wire:
        switch(wire, b"a line\nabcdef")
        assert wire.read_to_end() == b"yz!"
        assert app.ended.wait(PATIENCE)
    assert app.error is None


def test_much_goes_both_ways_at_once(serve: ServeFixture) -> None:
    size = 8 << 20

    def both(env: dict[str, Any]) -> None:
        stream = env["opaque.stream"]
        writer = threading.Thread(target=lambda: [stream.sendall(block) for _ in range(size >> 16)])
        writer.start()
        digest = hashlib.sha256()
        while data := stream.recv(100_000):
            digest.update(data)
        writer.join()
        heard.append(digest.hexdigest())

    def send() -> None:
        for _ in range(size >> 16):
            wire.send(block)
        wire.finish_sending()

    block = bytes(range(256)) * 256
    heard: list[str] = []
    site = serve(Switching(both))
    with site.connect() as wire:
        switch(wire)
        if not site.http2 and ends_either_way(wire):
            sender = threading.Thread(target=send)
            sender.start()
            assert wire.read_to_end() == block * (size >> 16)
            sender.join()
        else:  # one thread at a time for Python's TLS, and for h2
            for _ in range(size >> 16):
                wire.send(block)
                assert take(wire, len(block))
            wire.finish_sending()
            wire.read_to_end()
    assert eventually(lambda: heard)
    assert heard == [hashlib.sha256(block * (size >> 16)).hexdigest()]


def test_a_client_that_does_not_read_holds_its_writer_up(serve: ServeFixture) -> None:
    def write(env: dict[str, Any]) -> None:
        stream = env["opaque.stream"]
        stream.settimeout(0.3)
        try:
            while True:
                stream.sendall(bytes(65536))
                sent.append(65536)
        except TimeoutError:
            return

    sent: list[int] = []
    app = Switching(write)
    with serve(app).connect(receive_buffer=65536) as wire:
        switch(wire)
        assert app.ended.wait(PATIENCE)
    assert app.error is None
    assert sum(sent) < 16 << 20


def test_a_worker_that_does_not_read_holds_its_client_up(serve: ServeFixture) -> None:
    def sleep(env: dict[str, Any]) -> None:
        assert go.wait(PATIENCE)
        while data := env["opaque.stream"].recv(1 << 20):
            got.append(len(data))

    go = threading.Event()
    got: list[int] = []
    app = Switching(sleep)
    site = serve(app)
    with site.connect() as wire:
        switch(wire)
        sent = wire.send_until_blocked(bytes(16 << 20))
        assert sent < 16 << 20
        go.set()
        wire.finish_sending()
        assert app.ended.wait(PATIENCE)
    assert sum(got) == sent


def test_an_application_that_fails_behind_its_head_is_cut_off(
    serve: ServeFixture, error_log: LogWatch
) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        environ["opaque.upgrade"](None, echo)
        start_response("101 Switching Protocols", [])(b"x")
        raise LookupError("too late")

    site = serve(app)
    with site.connect() as wire:
        switch(wire)
        assert wire.read_to_end() == b""
    error_log.wait_for("too late")
    assert eventually(lambda: not count_of(site, "connections_open"))


def test_a_body_of_nothing_reads_as_one(serve: ServeFixture) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", PLAIN)
        return [repr(environ["wsgi.input"].read()).encode()]

    with serve(app).connect() as wire:
        wire.send(OFFER[:-2] + b"Content-Length: 0\r\n\r\n")
        assert wire.response().text == "b''"


def test_input_that_is_not_wanted_any_more_flows_on(serve: ServeFixture) -> None:
    def shut(env: dict[str, Any]) -> None:
        full.wait(PATIENCE)
        env["opaque.stream"].shutdown(socket.SHUT_RD)
        env["opaque.stream"].sendall(b"shut")
        # Of a client that closes, who has had enough of it cannot hear.
        taken.wait(PATIENCE)

    full, taken = threading.Event(), threading.Event()
    with serve(Switching(shut)).connect() as wire:
        switch(wire)
        assert wire.send_until_blocked(bytes(16 << 20)) < 16 << 20
        full.set()
        wire.send(bytes(16 << 20))
        assert take(wire, 4) == b"shut"
        taken.set()


@pytest.mark.no_http2("it is for HTTP/1.1 to ask for")
def test_h2c_is_not_what_is_switched_to(serve: ServeFixture) -> None:
    with serve(Switching(echo)).connect() as wire:
        wire.send(OFFER.replace(b"echo, other/2", b", h2c, echo"))
        assert b"\r\nUpgrade: echo\r\n" in wire.take()


def test_101_is_for_those_who_were_offered_it(serve: ServeFixture, error_log: LogWatch) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response("101 Switching Protocols", [])
        return []

    with serve(app).connect() as wire:
        assert wire.ask("/talk").status == 500
    error_log.wait_for("opaque.upgrade")
    error_log.clear()


def test_mistakes_are_told(serve: ServeFixture) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        upgrade = environ["opaque.upgrade"]
        kept.append(upgrade)
        for arguments in ((), (None,), (None, 1), (1, echo)):
            with pytest.raises(TypeError):
                upgrade(*arguments)
        write = start_response("200 OK", PLAIN)
        write(b"head is out")
        with pytest.raises(AssertionError, match="before"):
            upgrade({}, echo)
        return []

    kept: list[Any] = []
    with serve(app).connect() as wire:
        wire.send(OFFER)
        assert wire.response().text == "head is out"
    with pytest.raises(ValueError, match="returned"):
        kept[0](None, echo)


def test_a_stop_ends_it_when_its_time_is_over(serve: ServeFixture) -> None:
    app = Switching(echo)
    site = serve(app, graceful_timeout=0.2)
    with site.connect() as wire:
        switch(wire)
        site.server.stop()
        assert app.ended.wait(PATIENCE)
    assert isinstance(app.error, ClientDisconnected)


def test_idle_ones_outlive_the_limits_of_requests(serve: ServeFixture) -> None:
    site = serve(
        Switching(echo), body_timeout=0.2, keep_alive_timeout=0.2, header_timeout=0.2, min_rate=1000
    )
    with site.connect() as wire:
        switch(wire)
        assert wire.is_silent(1.0)
        wire.send(b"still here")
        assert take(wire, 10) == b"still here"


def test_the_access_log_has_it_when_it_is_over(serve: ServeFixture) -> None:
    lines: list[str] = []
    site = serve(Switching(echo), access_log=lines.append, access_log_format="%(s)s %(B)s %(r)s")
    with site.connect() as wire:
        switch(wire)
        wire.send(b"12345")
        assert take(wire, 5) == b"12345"
        assert not lines
        wire.finish_sending()
        wire.read_to_end()
    assert eventually(lambda: lines)
    assert lines == [f"{200 if site.http2 else 101} 13 GET /talk {site.protocol}"]


def count_of(site: Site, name: str) -> int:
    return int(site.server.stats()[name])


def test_ten_thousand_bytes_one_by_one(serve: ServeFixture) -> None:
    site = serve(Switching(echo))
    with site.connect() as wire:
        switch(wire)
        data = bytes(n % 251 for n in range(10_000))
        for n in range(0, len(data), 100):
            for byte in data[n : n + 100]:
                wire.send(bytes([byte]))
            assert take(wire, 100) == data[n : n + 100]
    assert count_of(site, "protocol_errors") == 0


def test_the_example_echoes(serve: ServeFixture) -> None:
    sys.path.insert(0, str(EXAMPLES))
    try:
        from opaque_echo import application
    finally:
        sys.path.remove(str(EXAMPLES))
    site = serve(application)
    with site.connect() as wire:
        answer = wire.ask("/")
        assert answer.status == 426
        assert answer.get("upgrade") == (None if site.http2 else "echo")
        switch(wire, b"hello")
        assert take(wire, 5) == b"hello"
        wire.finish_sending()
        assert wire.read_to_end() == b""
