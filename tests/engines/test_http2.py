"""HTTP/2 in cleartext with prior knowledge (RFC 9113), on the engines that speak it."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import h2.settings
import pytest

from harness.apps import (
    PLAIN,
    Closable,
    Echo,
    Environ,
    Gate,
    Routes,
    StartResponse,
    answering,
    hello,
)
from harness.certificates import authority_file
from harness.h2wire import H2Response, H2Wire
from harness.wire import Wire, until_refused

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from harness.site import ServeFixture, Site

pytestmark = pytest.mark.no_http2("it speaks HTTP/2 by itself")


PIECE = b"x" * 65536
PROTOCOL_ERROR, REFUSED_STREAM = 0x1, 0x7


@pytest.fixture
def serve_http2(serve: ServeFixture) -> ServeFixture:
    def start(app: object, **options: object) -> Site:
        return serve(app, http="2", **options)

    return start


def start_curl(*words: str) -> subprocess.Popen[str]:
    version = subprocess.run(["curl", "--version"], capture_output=True, text=True, check=True)
    if "HTTP2" not in version.stdout:
        pytest.skip("this curl is built without HTTP/2")
    secure = words[0].startswith("https:")
    spoken = ["--http2", "--cacert", authority_file()] if secure else ["--http2-prior-knowledge"]
    command = ["curl", "-sS", *spoken, "--max-time", "15", *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_an_answer_needs_no_more_of_its_request(serve: ServeFixture) -> None:
    """Its client goes on reading, and does not go on with what nobody has asked for."""
    body = b"x" * 400_000
    with H2Wire(serve(answering([body]), body_timeout=0.5, min_rate=0), window=50_000) as wire:
        fields = [("content-length", "1000"), ("expect", "100-continue")]
        stream = wire.start("POST", "/", fields, end=False)
        wire.send(stream, b"y")
        response = wire.responses[stream]
        read = 0
        while len(response.body) < len(body):
            wire.pump()
            if not response.ended and len(response.body) - read >= 50_000:
                time.sleep(0.1)  # as a reader that takes its time
                wire.open_window(stream, len(response.body) - read)
                wire.h2.increment_flow_control_window(len(response.body) - read)
                wire.flush()
                read = len(response.body)
            assert response.reset in (None, 0), "not but to end the request, behind the answer"
        assert response.body == body


def test_environ_is_the_one_of_http1(serve_http2: ServeFixture) -> None:
    app = Echo()
    site = serve_http2(app)
    with H2Wire(site) as wire:
        extra = [("x-thing", "1"), ("cookie", "a=b"), ("cookie", "c=d"), ("te", "trailers")]
        response = wire.ask("/p%20q?x=y", "POST", extra, body=b"some body")
    assert response.status == 200
    seen = json.loads(response.body)
    assert seen["body"] == "some body"
    environ: dict[str, Any] = app.environs[0]
    assert environ["SERVER_PROTOCOL"] == "HTTP/2.0"
    assert environ["REQUEST_METHOD"] == "POST"
    assert environ["PATH_INFO"] == "/p q"
    assert environ["QUERY_STRING"] == "x=y"
    assert environ["HTTP_HOST"] == "a"
    assert environ["HTTP_COOKIE"] == "a=b; c=d"
    assert environ["HTTP_X_THING"] == "1"
    assert environ["wsgi.url_scheme"] == urlsplit(site.url).scheme
    assert environ["REMOTE_ADDR"] == "127.0.0.1"
    assert environ["CONTENT_LENGTH"] == "9"


def test_answer_has_the_fields_of_http1(serve_http2: ServeFixture) -> None:
    app = answering([b"ab", b"cd"], headers=[("X-Thing", "1"), ("Content-Length", "4")])
    with H2Wire(serve_http2(app)) as wire:
        response = wire.ask("/")
    assert (response.status, response.body) == (200, b"abcd")
    assert response.get("content-type") == "text/plain"
    assert response.get("x-thing") == "1"
    assert response.get("content-length") == "4"
    assert response.get("server") == "prowingen"
    assert str(response.get("date")).endswith(" GMT")
    assert response.get("connection") is None
    assert response.get("transfer-encoding") is None


def test_what_is_switched_off_is_not_sent(serve_http2: ServeFixture) -> None:
    with H2Wire(serve_http2(hello, server_header="")) as wire:
        assert wire.ask("/").get("server") is None


def test_streams_are_worked_on_side_by_side(serve_http2: ServeFixture) -> None:
    gate = Gate()

    def slow(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        gate.pass_through()
        return hello(environ, start_response)

    with H2Wire(serve_http2(Routes(slow=slow, hello=hello), threads=2)) as wire:
        waiting = wire.start("GET", "/slow")
        gate.wait_entered()
        assert wire.ask("/hello").body == b"hello"
        assert not wire.responses[waiting].ended
        gate.opened.set()
        assert wire.response(waiting).body == b"hello"


def test_many_streams_of_one_connection(serve_http2: ServeFixture) -> None:
    with H2Wire(serve_http2(Echo())) as wire:
        streams = [wire.start("GET", f"/{number}") for number in range(90)]
        paths = [json.loads(wire.response(s).body)["environ"]["PATH_INFO"] for s in streams]
    assert paths == [f"/{number}" for number in range(90)]


def test_as_many_streams_as_the_option_says(serve_http2: ServeFixture) -> None:
    gate = Gate()

    def wait(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        gate.pass_through()
        return hello(environ, start_response)

    site = serve_http2(wait, max_streams=3)
    with H2Wire(site) as wire:
        wire.pump()
        assert wire.h2.remote_settings.max_concurrent_streams == 3
        streams = [wire.start("GET", "/") for _ in range(3)]
        gate.wait_entered()
        gate.opened.set()
        assert [wire.response(stream).body for stream in streams] == [b"hello"] * 3
        gate.opened.clear()
        wire.h2.remote_settings[h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS] = 4
        wire.h2.remote_settings.acknowledge()  # as a client that does not keep to it
        for _ in range(3):
            wire.start("GET", "/")
        beyond = wire.response(wire.start("GET", "/"))  # an error of the stream, or a connection's
        assert beyond.reset == REFUSED_STREAM or wire.goaway == PROTOCOL_ERROR
        gate.opened.set()


def test_a_streams_window_is_as_large_as_the_option_says(serve_http2: ServeFixture) -> None:
    """A client can send as much before a worker reads, and no more."""
    gate = Gate()

    def read_late(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        gate.pass_through()
        start_response("200 OK", PLAIN)
        return [str(len(environ["wsgi.input"].read())).encode()]

    size = 512 * 1024
    site = serve_http2(read_late, stream_window=size, chunked_body="stream", body_buffer=0)
    with H2Wire(site) as wire:
        wire.pump()
        assert wire.h2.remote_settings.initial_window_size == size
        stream = wire.start("POST", "/", end=False)
        assert wire.h2.local_flow_control_window(stream) in (size, 65_535)  # the connection's
        gate.opened.set()
        wire.send(stream, b"x" * (3 * size), end=True)
        assert wire.response(stream).body == str(3 * size).encode()


@pytest.mark.parametrize("size", [1, 65_535, 65_536, 3_000_000])
def test_bodies_of_any_size_go_up_and_come_down(serve_http2: ServeFixture, size: int) -> None:
    def echo(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        body = environ["wsgi.input"].read()
        start_response("200 OK", PLAIN)
        return [body]

    body = bytes(range(256)) * (size // 256 + 1)
    with H2Wire(serve_http2(echo, body_buffer=100_000)) as wire:
        assert wire.ask("/", "PUT", body=body[:size]).body == body[:size]


def test_body_is_streamed_to_an_app_that_reads(serve_http2: ServeFixture) -> None:
    pieces: list[bytes] = []
    gate = Gate()

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        pieces.append(environ["wsgi.input"].read(5))
        gate.pass_through()
        pieces.append(environ["wsgi.input"].read())
        return hello(environ, start_response)

    with H2Wire(serve_http2(app, body_buffer=1, chunked_body="stream")) as wire:
        stream = wire.start("POST", "/", end=False)
        wire.send(stream, b"first")
        gate.wait_entered()
        wire.send(stream, b"second", end=True)
        gate.opened.set()
        assert wire.response(stream).status == 200
    assert pieces == [b"first", b"second"]


def test_expected_continue_comes_when_the_app_reads(serve_http2: ServeFixture) -> None:
    with H2Wire(serve_http2(Echo())) as wire:
        extra = [("expect", "100-continue"), ("content-length", "4")]
        stream = wire.start("POST", "/", extra, end=False)
        response = wire.responses[stream]
        while not response.informational:
            wire.pump()
        assert dict(response.informational[0])[":status"] == "100"
        wire.send(stream, b"body", end=True)
        assert json.loads(wire.response(stream).body)["body"] == "body"


@pytest.mark.parametrize(
    ("method", "path", "extra", "status"),
    [
        ("GET", "/%zz", [], 400),
        ("GET", "/", [("transfer-encoding", "chunked")], 400),
        ("GET", "/", [("connection", "close")], 400),
        ("GET", "/", [("te", "gzip")], 400),
        ("GET", "/", [("expect", "miracles")], 417),
        ("G" * 40, "/", [], 501),
        ("GET", "/" + "a" * 9000, [], 414),
        ("GET", "/", [("x", "a" * 70_000)], 431),
        ("POST", "/", [("content-length", "2000")], 413),
    ],
)
def test_bad_request_is_refused_and_the_connection_goes_on(
    serve_http2: ServeFixture, method: str, path: str, extra: list[tuple[str, str]], status: int
) -> None:
    """As on HTTP/1.1; or the codec resets the stream, or refuses by itself."""
    with H2Wire(serve_http2(hello, max_body=1000)) as wire:
        response = wire.ask(path, method, extra)
        assert response.reset is not None or response.status in (status, 400)
        assert wire.ask("/").body == b"hello"


def test_body_larger_than_allowed_is_refused(serve_http2: ServeFixture) -> None:
    with H2Wire(serve_http2(Echo(), max_body=1000)) as wire:
        stream = wire.start("POST", "/", end=False)
        wire.send(stream, bytes(1500), end=True)
        assert wire.response(stream).status == 413
        assert wire.ask("/", "POST", body=bytes(1000)).status == 200


def test_refusal_does_not_wait_for_the_body(serve_http2: ServeFixture) -> None:
    with H2Wire(serve_http2(hello)) as wire:
        stream = wire.start("POST", "/%zz", end=False)
        response = wire.responses[stream]
        while not response.ended:
            wire.pump()
        assert response.status == 400
        assert wire.ask("/").body == b"hello"


def test_failing_app_resets_its_stream_alone(serve_http2: ServeFixture) -> None:
    def failing(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", PLAIN)
        yield PIECE
        raise RuntimeError("in the middle of the body")

    with H2Wire(serve_http2(Routes(failing=failing, hello=hello))) as wire:
        response = wire.ask("/failing")
        assert response.reset is not None
        assert not response.ended, "it must not look whole"
        assert wire.ask("/hello").body == b"hello"


def test_what_was_written_before_a_failure_goes_out(serve_http2: ServeFixture) -> None:
    written = b"x" * 30_000

    def failing(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", PLAIN)
        yield written
        raise RuntimeError("in the middle of the body")

    with H2Wire(serve_http2(failing), window=1000) as wire:
        stream = wire.start("GET", "/")
        while len(wire.responses[stream].body) < 1000:
            wire.pump()
        wire.open_window(stream, len(written))
        response = wire.response(stream)
    assert response.reset is not None
    assert response.body == written


def test_endless_answer_waits_for_the_window(serve_http2: ServeFixture) -> None:
    """And a reset from the client ends it."""
    count = [0]

    def endless() -> Iterator[bytes]:
        while True:
            count[0] += 1
            yield PIECE

    body = Closable(endless())
    site = serve_http2(Routes(endless=answering(body), hello=hello), threads=2)
    with H2Wire(site, window=1) as wire:
        stream = wire.start("GET", "/endless")
        while not wire.responses[stream].body:
            wire.pump()
        wire.open_window(stream, 100)
        while len(wire.responses[stream].body) < 101:
            wire.pump()
        assert len(wire.responses[stream].body) == 101
        assert count[0] * len(PIECE) < 16 << 20
        wire.h2.reset_stream(stream)
        wire.flush()
        body.expect_closed_once()


def test_client_that_takes_no_answer_is_given_up(serve_http2: ServeFixture) -> None:
    body = Closable(iter([PIECE] * 100))
    with H2Wire(serve_http2(answering(body), write_timeout=0.5), window=1) as wire:
        stream = wire.start("GET", "/")
        assert not wire.response(stream).ended
        body.expect_closed_once()


def test_connection_that_ends_wakes_the_reader(serve_http2: ServeFixture) -> None:
    raised: list[BaseException] = []
    gate = Gate()

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        gate.entered.set()
        try:
            environ["wsgi.input"].read()
        except OSError as error:
            raised.append(error)
        gate.opened.set()
        return hello(environ, start_response)

    with H2Wire(serve_http2(app, body_buffer=1)) as wire:
        stream = wire.start("POST", "/", [("content-length", "100")], end=False)
        wire.send(stream, b"some")
        gate.wait_entered()
    assert gate.opened.wait(10)
    assert raised


def test_stop_finishes_what_runs(serve_http2: ServeFixture) -> None:
    gate = Gate()

    def slow(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        gate.pass_through()
        return hello(environ, start_response)

    # curl, as h2 takes nothing more behind the goodbye.
    site = serve_http2(slow)
    curl = start_curl(site.url)
    gate.wait_entered()
    stopper = threading.Thread(target=site.server.stop, args=(10,))
    stopper.start()
    until_refused(lambda: Wire(site.address))
    gate.opened.set()
    body, _ = curl.communicate(timeout=20)
    assert body == "hello"
    stopper.join(10)
    assert not stopper.is_alive()


def test_an_answer_may_take_longer_than_the_next_request(serve_http2: ServeFixture) -> None:
    def slow(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        time.sleep(0.5)
        return hello(environ, start_response)

    with H2Wire(serve_http2(slow, keep_alive_timeout=0.3)) as wire:
        for _ in range(2):
            assert wire.ask("/").body == b"hello"
        assert wire.goaway is None


def test_connection_that_asks_for_nothing_more_is_said_goodbye(serve_http2: ServeFixture) -> None:
    with H2Wire(serve_http2(hello, keep_alive_timeout=0.3)) as wire:
        wire.ask("/")
        begun = time.monotonic()
        wire.pump_to_end()
        assert wire.goaway == 0
        assert 0.2 < time.monotonic() - begun < 5


def test_connection_that_asks_for_nothing_is_said_goodbye(serve_http2: ServeFixture) -> None:
    with H2Wire(serve_http2(hello, header_timeout=0.3)) as wire:
        wire.pump_to_end()
        assert wire.goaway == 0


def test_http1_client_is_turned_away(serve_http2: ServeFixture) -> None:
    with serve_http2(hello).connect() as wire:
        wire.get()
        assert b"hello" not in wire.read_to_end()


def test_curl_speaks_it(serve_http2: ServeFixture) -> None:
    curl = start_curl(serve_http2(Echo()).url + "/path", "--data", "body")
    seen = json.loads(curl.communicate(timeout=20)[0])
    assert seen["environ"]["SERVER_PROTOCOL"] == "HTTP/2.0"
    assert seen["body"] == "body"


# ---- answers


def test_fields_about_a_connection_are_no_part_of_an_answer(serve_http2: ServeFixture) -> None:
    """A client has to take an answer with one for malformed (RFC 9113 section 8.2.2)."""
    fields = [
        ("Connection", "close"),
        ("Keep-Alive", "timeout=5"),
        ("Proxy-Connection", "keep-alive"),
        ("Transfer-Encoding", "chunked"),
        ("Upgrade", "websocket"),
    ]
    site = serve_http2(answering([b"x"], "426 Upgrade Required", fields))
    with H2Wire(site) as wire:
        for _ in range(2):
            answer = wire.ask("/")
            assert (answer.status, bytes(answer.body)) == (426, b"x")
            assert [answer.get(name.lower()) for name, _ in fields] == [None] * len(fields)


def test_a_head_larger_than_a_frame_is_whole(serve_http2: ServeFixture) -> None:
    """It goes on in CONTINUATION frames (RFC 9113 section 6.10), which nothing comes between."""
    fields = [("Set-Cookie", f"{number}={'v' * 9_000}") for number in range(5)]
    with H2Wire(serve_http2(answering([b"x"], "200 OK", fields))) as wire:
        wire.h2.max_inbound_frame_size = 16_384
        wire.h2.decoder.max_header_list_size = 100_000
        for _ in range(2):
            answer = wire.ask("/")
            got = [value for name, value in answer.fields if name == "set-cookie"]
            assert (got, bytes(answer.body)) == ([value for _, value in fields], b"x")


def test_the_clients_table_may_change_its_size(serve_http2: ServeFixture) -> None:
    """The smallest that it was in between is announced too (RFC 7541 section 4.2): what the client
    has forgotten is not referred to."""
    code = h2.settings.SettingCodes.HEADER_TABLE_SIZE
    with H2Wire(serve_http2(answering([b"x"], "200 OK", [("X-Trace", "a" * 40)]))) as wire:
        for sizes in ([], [0, 4096], [65_536], [100], [4096]):
            for size in sizes:
                wire.h2.update_settings({code: size})
                wire.flush()
            for _ in range(2):
                assert wire.ask("/").get("x-trace") == "a" * 40


def test_head_of_a_stream_states_no_length(serve_http2: ServeFixture) -> None:
    def streamed(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", PLAIN)
        yield from [b"x" * 10] * 3

    with H2Wire(serve_http2(streamed)) as wire:
        answer = wire.ask("/", "HEAD")
        assert (answer.status, answer.get("content-length")) == (200, None)


@pytest.mark.parametrize("leave", ["close", "reset"])
def test_empty_pieces_end_with_the_client_or_its_stream(
    serve_http2: ServeFixture, leave: str
) -> None:
    gate = Gate()

    def pieces() -> Iterator[bytes]:
        end = time.monotonic() + 10
        while time.monotonic() < end:
            yield b""
            time.sleep(0.02)

    body = Closable(pieces())

    def app(environ: Environ, start_response: StartResponse) -> Closable:
        start_response("200 OK", PLAIN)
        gate.entered.set()
        return body

    with H2Wire(serve_http2(app)) as wire:
        stream = wire.start("GET", "/")
        gate.wait_entered()
        if leave == "reset":
            wire.h2.reset_stream(stream)
            wire.flush()
        else:
            wire.socket.close()
        body.expect_closed_once(5)


def test_a_malformed_request_never_reaches_the_application(serve_http2: ServeFixture) -> None:
    """Though its content comes in the same read, before the reset is sent."""
    app = Echo()
    with H2Wire(serve_http2(app)) as wire:
        stream = wire.h2.get_next_available_stream_id()
        pseudo = [(":method", "POST"), (":scheme", "http"), (":authority", "a"), (":path", "/")]
        wire.h2.send_headers(stream, [*pseudo, ("host", "b")])
        wire.h2.send_data(stream, b"content", end_stream=True)
        wire.responses[stream] = H2Response()
        wire.flush()
        response = wire.response(stream)
        assert response.reset is not None or response.status == 400
        assert wire.ask("/").status == 200
    assert len(app.environs) == 1


def test_every_ping_is_answered_with_what_it_says(serve: ServeFixture) -> None:
    pings = [number.to_bytes(8, "big") for number in range(50)]
    with H2Wire(serve(hello)) as wire:
        for ping in pings:
            wire.h2.ping(ping)
        wire.flush()
        while len(wire.pongs) < len(pings):
            wire.pump()
        assert wire.pongs == pings
        assert wire.ask("/").body == b"hello"
