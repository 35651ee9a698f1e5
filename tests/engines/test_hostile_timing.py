"""Requests that go wrong at the worst moment: the server and its workers go on."""

from __future__ import annotations

import contextlib
import select
import threading
from typing import TYPE_CHECKING

import pytest
from h2.exceptions import StreamClosedError

from harness.apps import Environ, Gate, Routes, StartResponse, answering, hello
from harness.h2wire import H2Wire
from harness.process import ServerProcess, run_server

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.site import ServeFixture
    from harness.wire import Wire

APP = "apps.plain:app"
FULL_QUEUE = ("--threads", "1", "--queue-size", "1")
MIB = 1 << 20


def fill_queue(server: ServerProcess) -> list[Wire]:
    """One request runs for two seconds, one waits behind it; a third was turned away."""
    running, *others = wires = [server.connect() for _ in range(3)]
    running.get("/slow?2000")
    running.reply().exactly(len(b"begun "))
    for wire in others:
        wire.get("/slow?0")
    turned_away, _, _ = select.select([wire.socket for wire in others], [], [], 1.5)
    assert len(turned_away) == 1, "the queue should hold one of them"
    return wires


@pytest.mark.parametrize(
    "raw",
    [
        b"Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n10\r\n" + b"x" * 16 + b"\r\nZZ\r\n",
    ],
    ids=["before the body", "in the body"],
)
def test_malformed_request_that_finds_the_queue_full(engine: str, raw: bytes) -> None:
    with run_server(APP, engine, *FULL_QUEUE, "--body-buffer", "1") as server:
        wires = fill_queue(server)
        for _ in range(20):
            with server.connect() as wire:
                wire.send(b"POST / HTTP/1.1\r\nHost: a\r\n" + raw)
                assert wire.response().status in (400, 503)
        assert server.process.poll() is None
        for wire in wires:
            wire.close()


@pytest.mark.parametrize("used", [False, True], ids=["at once", "at the idle limit"])
def test_half_a_head_and_the_end_of_input(engine: str, used: bool) -> None:
    limits = ("--keep-alive-timeout", "0.3", "--header-timeout", "0.5")
    with run_server(APP, engine, *limits) as server, contextlib.ExitStack() as connections:
        wires = [connections.enter_context(server.connect()) for _ in range(20)]
        if used:
            for wire in wires:
                assert wire.ask().body
            wires[0].expect_closed()
        for wire in wires:
            if wire.send_leniently(b"GET / HTTP/1.1\r\n"):
                wire.is_silent(0.02)
                with contextlib.suppress(OSError):  # closed by now, as it may be
                    wire.finish_sending()
        for wire in wires:
            with contextlib.suppress(OSError):
                wire.read_to_end()
        with server.connect() as wire:
            wire.read_to_end()  # after a header_timeout that began after all the others
        with server.connect() as wire:
            assert wire.ask().status
        assert server.process.poll() is None


def test_expected_body_is_not_due_before_it_is_asked_for(serve: ServeFixture) -> None:
    """body_timeout is the client's, who waits for 100."""
    gate = Gate()

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        gate.pass_through()
        start_response("200 OK", [])
        return [environ["wsgi.input"].read()]

    with serve(app, body_timeout=0.3).connect() as wire:
        wire.send(
            b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"
        )
        gate.wait_entered()
        assert wire.is_silent(0.8)
        gate.opened.set()
        reply = wire.reply()
        assert reply.continued() == 100
        wire.send(b"body")
        assert reply.rest().body == b"body"


@pytest.mark.no_http2("two threads use one connection, which h2 forbids")
@pytest.mark.no_tls("two threads use one connection, which OpenSSL forbids")
def test_early_answer_reaches_a_client_that_goes_on_sending(serve: ServeFixture) -> None:
    """Beyond what is thrown away before the connection ends: the answer is whole all the same."""
    site = serve(answering([b"x" * 300_000]), drain_limit=MIB, body_buffer=1, chunked_body="stream")
    chunk = b"1000\r\n" + bytes(4096) + b"\r\n"
    for _ in range(5):
        with site.connect() as wire:
            wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
            sender = threading.Thread(target=wire.send_leniently, args=(chunk * 384,))
            sender.start()
            assert wire.response().body == b"x" * 300_000
            sender.join()


@pytest.mark.no_http2("it has no chunks")
def test_malformed_rest_of_an_answered_request_ends_the_connection(serve: ServeFixture) -> None:
    options = {"body_buffer": 1, "body_timeout": 60, "chunked_body": "stream"}
    with serve(hello, **options).connect() as wire:
        wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n")
        assert wire.response().body == b"hello"
        wire.send(b"ZZ\r\n")
        raw = wire.read_to_end()
        assert raw == b"" or raw.startswith(b"HTTP/1.1 400 ")


# ---- HTTP/2


def test_body_that_outgrows_its_limit_while_nobody_reads_it(engine: str) -> None:
    limits = ("--http", "2", "--max-body", "1MiB", "--body-buffer", "1MiB")
    with run_server("apps.plain:hello", engine, *limits) as server:
        for _ in range(10):
            with H2Wire(server) as wire:
                stream = wire.start("POST", "/", end=False)
                with contextlib.suppress(StreamClosedError):  # answered and over by then
                    wire.send(stream, bytes(MIB + 1))
                assert wire.response(stream).status in (200, 413)
        assert server.process.poll() is None


def test_shut_connection_window_holds_no_worker(engine: str) -> None:
    limits = ("--http", "2", "--threads", "2", "--write-timeout", "0.5")
    with (
        run_server(APP, engine, *limits) as server,
        # The streams' windows are wide open, the connection's never grows.
        H2Wire(server, window=100 * MIB) as greedy,
    ):
        for _ in range(3):
            greedy.start("GET", f"/download?{20 * MIB}")
        while not any(response.body for response in greedy.responses.values()):
            greedy.pump()
        with H2Wire(server) as wire:
            assert wire.ask("/").status


@pytest.mark.no_http2("it speaks HTTP/2 by itself")
def test_refused_stream_is_over_although_its_body_is_not(serve: ServeFixture) -> None:
    site = serve(hello, http="2")
    with H2Wire(site) as wire:
        for _ in range(300):  # three times as many as may be open
            stream = wire.start("POST", "/%zz", end=False)
            response = wire.responses[stream]
            while response.reset is None:
                wire.pump()
            assert (response.status, response.ended, response.reset) == (400, True, 0)
        assert wire.ask("/").body == b"hello"


@pytest.mark.no_http2("it speaks HTTP/2 by itself")
def test_answered_stream_is_over_although_its_body_is_not(serve: ServeFixture) -> None:
    """It was answered whole, so that the reset is none to worry about (RFC 9113 section 8.1)."""
    site = serve(answering([b"x" * 200_000]), http="2", body_buffer=1, chunked_body="stream")
    with H2Wire(site) as wire:
        stream = wire.start("POST", "/", end=False)
        wire.send(stream, b"some")
        response = wire.responses[stream]
        while response.reset is None:
            wire.pump()
        assert (len(response.body), response.ended, response.reset) == (200_000, True, 0)


@pytest.mark.no_http2("it speaks HTTP/2 by itself")
def test_paused_upload_leaves_room_for_the_others(serve: ServeFixture) -> None:
    gate = Gate()

    def hold(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        gate.pass_through()
        return reading(environ, start_response)

    def reading(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        size = len(environ["wsgi.input"].read())
        start_response("200 OK", [])
        return [b"%d" % size]

    site = serve(
        Routes(hold=hold, reading=reading),
        http="2",
        threads=4,
        body_buffer=1000,
        chunked_body="stream",
    )
    with H2Wire(site) as wire:
        held = wire.start("POST", "/hold", end=False)
        wire.send(held, bytes(60_000))
        gate.wait_entered()
        assert wire.ask("/reading", "POST", body=bytes(500_000)).body == b"500000"
        gate.opened.set()
        wire.end(held)
        assert wire.response(held).body == b"60000"


def test_stream_that_finds_the_queue_full_while_it_is_paused(engine: str) -> None:
    limits = ("--http", "2", "--body-buffer", "1", "--chunked-body", "stream")
    with run_server(APP, engine, *FULL_QUEUE, *limits) as server, H2Wire(server) as wire:
        slow = [wire.start("GET", "/slow?1500")]
        while not wire.responses[slow[0]].body:
            wire.pump()
        slow.append(wire.start("GET", "/slow?0"))
        rejected = wire.start("POST", "/upload", end=False)
        wire.send(rejected, bytes(60_000))
        assert wire.response(rejected).status == 503
        for stream in slow:
            assert wire.response(stream).body == b"begun done"
        assert wire.ask("/upload", "POST", body=bytes(300_000)).body == b"300000"
