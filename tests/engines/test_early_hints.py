"""Interim answers 103 by environ["wsgi.early_hints"], as gunicorn has it (RFC 8297)."""

from __future__ import annotations

import importlib
import shutil
import subprocess
import threading
import wsgiref.validate
from typing import TYPE_CHECKING, Any

import pytest

from harness.apps import PLAIN, App, Environ, Gate, StartResponse
from harness.certificates import authority_file
from harness.h2wire import Fields, H2Response, H2Wire

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from harness.logwatch import LogWatch
    from harness.site import ServeFixture
    from harness.wire import Wire

pytestmark = pytest.mark.no_http2("its tests are of each version by itself")

HINTS = [("Link", "</style.css>; rel=preload; as=style"), ("Link", " </app.js>; rel=preload ")]
SENT = [("link", "</style.css>; rel=preload; as=style"), ("link", "</app.js>; rel=preload")]
OF_HTTP2 = [(":status", "103"), *SENT]


def hints_of(answer: H2Response) -> list[Fields]:
    """A server may say what time it is (RFC 9110 section 6.6.1); proxygen's codec does."""
    return [[field for field in head if field[0] != "date"] for head in answer.informational]


def hinting(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    environ["wsgi.early_hints"](HINTS)
    start_response("200 OK", PLAIN)
    return [b"page"]


class Waiting:
    """Sends hints, and works on until the gate is opened."""

    def __init__(self) -> None:
        self.gate = Gate()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        environ["wsgi.early_hints"](HINTS)
        self.gate.pass_through()
        environ["wsgi.early_hints"]([("Link", "</late.css>")])
        start_response("200 OK", [*PLAIN, ("X-Final", "1")])
        environ["wsgi.early_hints"]((name, "v") for name in ("X-Even", "X-Now"))
        return [b"page"]


def test_hints_arrive_while_the_application_works(serve: ServeFixture) -> None:
    app = Waiting()
    with serve(app).connect() as wire:
        for _ in range(2):
            app.gate.opened.clear()
            wire.get()
            reply = wire.reply()
            assert reply.continued() == 103
            app.gate.opened.set()
            answer = reply.rest()
            assert answer.informational == [103, 103, 103]
            assert answer.interim_fields == [
                SENT,
                [("link", "</late.css>")],
                [("x-even", "v"), ("x-now", "v")],
            ]
            assert (answer.body, answer.get("X-Final")) == (b"page", "1")
            assert answer.all("Link") == []
            assert answer.get("Content-Length") == "4"


def test_hints_of_a_stream_arrive_while_the_application_works(serve: ServeFixture) -> None:
    app = Waiting()
    with H2Wire(serve(app, threads=2)) as wire:
        streams = [wire.start("GET", "/"), wire.start("GET", "/")]
        for stream in streams:
            while not wire.responses[stream].informational:
                wire.pump()
            assert hints_of(wire.responses[stream]) == [OF_HTTP2]
            assert wire.responses[stream].fields == []
        app.gate.opened.set()
        for stream in streams:
            answer = wire.response(stream)
            assert hints_of(answer)[1:] == [
                [(":status", "103"), ("link", "</late.css>")],
                [(":status", "103"), ("x-even", "v"), ("x-now", "v")],
            ]
            assert (answer.status, answer.body) == (200, b"page")


def test_interim_answer_has_nothing_else(serve: ServeFixture) -> None:
    app = Waiting()
    with serve(app).connect() as wire:
        wire.get()
        raw = b""
        while not raw.endswith(b"\r\n\r\n"):
            raw += wire.take()
        assert raw == (
            b"HTTP/1.1 103 Early Hints\r\n"
            b"Link: </style.css>; rel=preload; as=style\r\n"
            b"Link: </app.js>; rel=preload\r\n\r\n"
        )
        app.gate.opened.set()
        wire.response()


def test_http_1_0_gets_none(serve: ServeFixture) -> None:
    with serve(hinting).connect() as wire:
        wire.get("/", version="1.0")
        raw = wire.read_to_end()
    assert raw.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"103" not in raw
    assert b"Link" not in raw


@pytest.mark.parametrize(
    ("status", "method"), [("200 OK", "HEAD"), ("204 No Content", "GET"), ("304 Not", "GET")]
)
def test_answers_without_content_may_have_hints(
    serve: ServeFixture, status: str, method: str
) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        environ["wsgi.early_hints"](HINTS)
        start_response(status, [])
        return []

    site = serve(app)
    with site.connect() as wire:
        for _ in range(2):
            answer = wire.ask(method=method)
            assert answer.informational == [103]
            assert answer.body == b""
    with H2Wire(site) as http2:
        assert hints_of(http2.ask("/", method)) == [OF_HTTP2]


def test_hints_of_pipelined_requests_keep_their_places(serve: ServeFixture) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        environ["wsgi.early_hints"]([("X-Path", environ["PATH_INFO"])])
        start_response("200 OK", PLAIN)
        return [environ["PATH_INFO"].encode()]

    with serve(app).connect() as wire:
        for number in range(8):
            wire.get(f"/{number}")
        for number in range(8):
            answer = wire.response()
            assert answer.interim_fields == [[("x-path", f"/{number}")]]
            assert answer.body == f"/{number}".encode()


def test_hints_and_continue(serve: ServeFixture) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        environ["wsgi.early_hints"](HINTS)
        body = environ["wsgi.input"].read()
        environ["wsgi.early_hints"](HINTS)
        start_response("200 OK", PLAIN)
        return [body]

    with serve(app).connect() as wire:
        wire.send(
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"
        )
        reply = wire.reply("POST")
        assert sorted([reply.continued(), reply.continued()]) == [100, 103]
        wire.send(b"body")
        answer = reply.rest()
    assert sorted(answer.informational) == [100, 103, 103]
    assert answer.body == b"body"


FAULTS: list[tuple[object, type[Exception], str]] = [
    ([("Content-Length", "5")], ValueError, "cannot be in an interim answer"),
    ([("Transfer-Encoding", "chunked")], ValueError, "cannot be in an interim answer"),
    ([("Connection", "close")], ValueError, "cannot be in an interim answer"),
    ([("Link", "a\r\n\r\nHTTP/1.1 200 OK")], ValueError, "control character"),
    ([("Link\r\nX", "a")], ValueError, "not a token"),
    ([("Link", b"a")], TypeError, "must be str, not bytes"),
    ([("Link", "\u20ac")], ValueError, "latin-1"),
    ([["Link", "a"]], TypeError, "must be a (name, value) tuple"),
    ("Link", TypeError, "must be a (name, value) tuple"),
    (None, TypeError, "headers must be a list of tuples"),
]


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize(("hints", "error", "says"), FAULTS, ids=repr)
def test_what_cannot_be_sent_is_an_error(
    serve: ServeFixture, version: str, hints: object, error: type[Exception], says: str
) -> None:
    raised: list[BaseException] = []

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        try:
            environ["wsgi.early_hints"](hints)
        except error as fault:
            raised.append(fault)
        start_response("200 OK", PLAIN)
        return [b"page"]

    with serve(app).connect() as wire:
        wire.get("/", version=version)
        answer = wire.response()
        assert (answer.informational, answer.body) == ([], b"page")
    assert says in str(raised[0])
    assert str(raised[0]).startswith("early_hints: ")


def test_hints_come_before_the_head(serve: ServeFixture, error_log: LogWatch) -> None:
    kept: list[Any] = []

    def app(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        kept.append(environ["wsgi.early_hints"])
        start_response("200 OK", PLAIN)
        yield b"page"
        with pytest.raises(AssertionError, match="called after the answer's head was sent"):
            kept[-1](HINTS)

    site = serve(app)
    with H2Wire(site) as http2:
        for answer in (site.ask(), http2.ask("/")):
            assert (answer.status, answer.body, answer.informational) == (200, b"page", [])
    assert kept[0] is not kept[1]
    with pytest.raises(ValueError, match="called after the application returned"):
        kept[0](HINTS)
    assert "Error" not in error_log.text


def test_application_of_a_client_that_left_is_told(serve: ServeFixture) -> None:
    from prowingen_wsgi import ClientDisconnected

    gate = Gate()
    raised = threading.Event()

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        gate.pass_through()
        try:
            while True:
                environ["wsgi.early_hints"]([("X", "y" * 10_000)])
        except ClientDisconnected:
            raised.set()
            raise

    with serve(app).connect() as wire:
        wire.get()
        gate.wait_entered()
        wire.reset()
        gate.opened.set()
        assert raised.wait(10)


def hint_for_ever(made: list[int]) -> App:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        for number in range(20_000):
            environ["wsgi.early_hints"]([("X", "y" * 10_000)])
            made.append(number)
        start_response("200 OK", PLAIN)
        return [b"page"]

    return app


def test_client_that_does_not_read_holds_its_application(serve: ServeFixture) -> None:
    """The memory of the hints is that of an answer: what is not taken is not made."""
    made: list[int] = []
    site = serve(hint_for_ever(made), write_timeout=1)
    for open_wire in (_open_http1, _open_http2):
        made.clear()
        with open_wire(site):
            stopped = _until_it_stops(made)
            assert stopped < 10_000, "100 MB of hints were made"


def _open_http1(site: Any) -> Wire:
    wire: Wire = site.connect(receive_buffer=65536)
    wire.get()
    return wire


def _open_http2(site: Any) -> H2Wire:
    wire = H2Wire(site)
    wire.start("GET", "/")
    return wire


def _until_it_stops(made: list[int]) -> int:
    """How many were made, once no further one is for a while."""
    pause = threading.Event()
    before = -1
    while before != len(made) or not made:
        before = len(made)
        pause.wait(0.3)
    return before


def test_work_after_hints_has_its_time(serve: ServeFixture) -> None:
    """Hints that are sent are no answer that its client is slow to take."""
    app = Waiting()
    pause = threading.Event()
    with H2Wire(serve(app, write_timeout=0.3), window=0) as wire:
        stream = wire.start("GET", "/")
        while not wire.responses[stream].informational:
            wire.pump()
        pause.wait(1)
        app.gate.opened.set()
        while not wire.responses[stream].fields:
            wire.pump()
        wire.open_window(stream, 100)
        assert wire.response(stream).body == b"page"


def test_validator_finds_no_fault(serve: ServeFixture, error_log: LogWatch) -> None:
    with serve(wsgiref.validate.validator(hinting)).connect() as wire:
        assert wire.ask().informational == [103]
    assert "AssertionError" not in error_log.text


# ---- frameworks and clients that people use


def werkzeug_app() -> Any:
    wrappers = pytest.importorskip("werkzeug.wrappers")

    @wrappers.Request.application  # type: ignore[untyped-decorator]
    def app(request: Any) -> Any:
        request.environ["wsgi.early_hints"](HINTS[:1])
        return wrappers.Response("hinted")

    return app


def framework_app(name: str) -> Any:
    pytest.importorskip(name)
    return importlib.import_module(f"apps.{name}_app").app


@pytest.mark.parametrize("framework", ["werkzeug", "flask", "django"])
def test_frameworks_can_send_them(serve: ServeFixture, framework: str) -> None:
    app = werkzeug_app() if framework == "werkzeug" else framework_app(framework)
    site = serve(app)
    with site.connect() as wire:
        for _ in range(3):
            answer = wire.ask("/hints")
            assert answer.interim_fields == [SENT[:1]]
            assert (answer.status, answer.body) == (200, b"hinted")
    with H2Wire(site) as http2:
        assert hints_of(http2.ask("/hints")) == [OF_HTTP2[:2]]


@pytest.mark.parametrize("version", ["--http1.1", "--http2", "--http2-prior-knowledge"])
def test_curl_shows_them(serve: ServeFixture, version: str) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    site = serve(hinting)
    url = site.url.replace("127.0.0.1", "localhost")
    if url.startswith("https") == (version == "--http2-prior-knowledge"):
        pytest.skip("is for the other of TLS and none")
    command = ["curl", "-sS", "-i", version, "--cacert", authority_file(), url]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout.lower()
    first, final = shown.split("\n\n" if "\r" not in shown else "\r\n\r\n", 1)
    assert " 103" in first.splitlines()[0]
    assert "link: </style.css>; rel=preload; as=style" in first
    assert " 200" in final.splitlines()[0]
    assert final.endswith("page")
