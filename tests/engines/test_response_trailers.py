"""Trailer sections of answers, by environ["prowingen.send_trailers"] (RFC 9110 section 6.5)."""

from __future__ import annotations

import io
import shutil
import subprocess
import tempfile
import threading
import wsgiref.validate
from typing import TYPE_CHECKING, Any

import pytest

from harness.apps import PLAIN, Environ, StartResponse
from harness.certificates import authority_file
from harness.h2wire import H2Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from harness.logwatch import LogWatch
    from harness.site import ServeFixture

pytestmark = pytest.mark.no_http2("its tests are of each version by itself")

TRAILERS = [("X-Checksum", "1"), ("Server-Timing", " app;dur=1 ")]
SENT = [("x-checksum", "1"), ("server-timing", "app;dur=1")]
TAKES = "TE: trailers"


class Answer:
    """Answers with pieces of a body, and with trailers set before or behind them."""

    def __init__(
        self,
        pieces: Iterable[bytes] = (b"one ", b"two"),
        status: str = "200 OK",
        headers: Iterable[tuple[str, str]] = (),
        make: Callable[[Any], Any] = iter,
        early: bool = False,
        trailers: Iterable[tuple[str, str]] = TRAILERS,
    ) -> None:
        self.pieces = pieces
        self.status = status
        self.headers = headers
        self.make = make
        self.early = early
        self.trailers = trailers

    def __call__(self, environ: Environ, start_response: StartResponse) -> Any:
        send_trailers = environ["prowingen.send_trailers"]
        if self.early:
            send_trailers(self.trailers)
        start_response(self.status, [*PLAIN, *self.headers])

        def body() -> Iterator[bytes]:
            yield from self.pieces
            if not self.early:
                send_trailers(self.trailers)

        return self.make(body())


@pytest.mark.parametrize("make", [iter, list, tuple], ids=lambda make: str(make.__name__))
@pytest.mark.parametrize("pieces", [[b"one ", b"two"], [b"x" * 300_000], [], [b""]])
@pytest.mark.parametrize("early", [False, True], ids=["behind the body", "before it"])
def test_they_follow_the_last_chunk(
    serve: ServeFixture, make: Callable[[Any], Any], pieces: list[bytes], early: bool
) -> None:
    with serve(Answer(pieces, make=make, early=early)).connect() as wire:
        for _ in range(2):
            answer = wire.ask("/", TAKES)
            assert answer.body == b"".join(pieces)
            assert answer.all("Transfer-Encoding") == ["chunked"]
            assert answer.trailers == SENT
            assert not answer.closes


@pytest.mark.parametrize("pieces", [[b"one ", b"two"], [b"x" * 300_000], [], [b""]])
@pytest.mark.parametrize("make", [iter, list], ids=["streamed", "listed"])
def test_they_end_a_stream_of_http2(
    serve: ServeFixture, make: Callable[[Any], Any], pieces: list[bytes]
) -> None:
    with H2Wire(serve(Answer(pieces, make=make))) as wire:
        for _ in range(2):
            answer = wire.ask("/")
            assert answer.ended
            assert answer.body == b"".join(pieces)
            assert answer.trailers == SENT


@pytest.mark.parametrize("field", ["X: y", "TE: gzip", "TE: trailer"])
def test_they_are_not_sent_to_who_has_not_said_so(serve: ServeFixture, field: str) -> None:
    with serve(Answer()).connect() as wire:
        answer = wire.ask("/", field)
        assert (answer.body, answer.trailers) == (b"one two", [])
        assert wire.ask("/", field).status == 200


def test_a_list_keeps_its_length_for_who_has_not_said_so(serve: ServeFixture) -> None:
    answer = serve(Answer(make=list, early=True)).ask()
    assert answer.get("Content-Length") == "7"
    assert answer.trailers == []


@pytest.mark.parametrize(
    ("app", "method"),
    [
        (Answer([b"hello"], headers=[("Content-Length", "5")]), "GET"),
        (Answer(early=True), "HEAD"),
        (Answer([], "204 No Content"), "GET"),
        (Answer([], "304 Not Modified"), "GET"),
    ],
    ids=["declared length", "HEAD", "204", "304"],
)
def test_they_are_dropped_where_http1_has_no_place(
    serve: ServeFixture, app: Answer, method: str
) -> None:
    site = serve(app)
    with site.connect() as wire:
        for _ in range(2):
            answer = wire.ask("/", TAKES, method=method)
            assert answer.trailers == []
            assert answer.all("Transfer-Encoding") in ([], ["chunked"])
    with H2Wire(site) as http2:
        has_place = app.status == "200 OK" and method == "GET"
        assert http2.ask("/", method).trailers == (SENT if has_place else [])


def test_http_1_0_knows_none(serve: ServeFixture) -> None:
    with serve(Answer()).connect() as wire:
        wire.get("/", TAKES, version="1.0")
        assert wire.read_to_end().endswith(b"\r\n\r\none two")


def test_application_may_announce_them(serve: ServeFixture) -> None:
    site = serve(Answer(headers=[("Trailer", "X-Checksum")]))
    with site.connect() as wire:
        assert wire.ask("/", TAKES).get("Trailer") == "X-Checksum"
    with H2Wire(site) as http2:
        assert http2.ask("/").get("trailer") == "X-Checksum"


def test_last_call_counts(serve: ServeFixture) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        send_trailers = environ["prowingen.send_trailers"]
        send_trailers([("X-First", "1")])
        start_response("200 OK", PLAIN)
        yield b"body"
        send_trailers(("X-Last", name) for name in "ab")
        if environ["QUERY_STRING"] == "none":
            send_trailers([])

    with serve(app).connect() as wire:
        assert wire.ask("/", TAKES).trailers == [("x-last", "a"), ("x-last", "b")]
        assert wire.ask("/?none", TAKES).trailers == []


def test_files_have_them_too(serve: ServeFixture) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        environ["prowingen.send_trailers"](TRAILERS)
        start_response("200 OK", PLAIN)
        file: Any = tempfile.TemporaryFile()  # noqa: SIM115 - the wrapper closes it
        file.write(b"x" * 100_000)
        file.seek(0)
        wrapped: Iterable[bytes] = environ["wsgi.file_wrapper"](file)
        return wrapped

    site = serve(app)
    with site.connect() as wire:
        answer = wire.ask("/", TAKES)
        assert answer.body == b"x" * 100_000
        assert answer.trailers == SENT
        assert wire.ask("/").get("Content-Length") == "100000"
    with H2Wire(site) as http2:
        assert http2.ask("/").trailers == SENT


FAULTS: list[tuple[object, type[Exception], str]] = [
    ([("Content-Length", "5")], ValueError, "cannot be in a trailer section"),
    ([("Set-Cookie", "a=b")], ValueError, "cannot be in a trailer section"),
    ([("Transfer-Encoding", "chunked")], ValueError, "cannot be in a trailer section"),
    ([("X", "a\r\nSet-Cookie: b")], ValueError, "control character"),
    ([("X: y", "a")], ValueError, "not a token"),
    ([("X", b"a")], TypeError, "must be str, not bytes"),
    ([("X", "\u20ac")], ValueError, "latin-1"),
    (["X"], TypeError, "must be a (name, value) tuple"),
    (None, TypeError, "trailers must be a list of tuples"),
]


@pytest.mark.parametrize(("trailers", "error", "says"), FAULTS, ids=repr)
def test_what_cannot_be_sent_is_an_error(
    serve: ServeFixture, trailers: object, error: type[Exception], says: str
) -> None:
    raised: list[BaseException] = []

    def app(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", PLAIN)
        yield b"body"
        try:
            environ["prowingen.send_trailers"](trailers)
        except error as fault:
            raised.append(fault)

    with serve(app).connect() as wire:
        answer = wire.ask("/", TAKES)
        assert (answer.body, answer.trailers) == (b"body", [])
        assert wire.ask("/").status == 200
    assert says in str(raised[0])
    assert str(raised[0]).startswith("send_trailers: ")


def test_they_come_before_the_end(serve: ServeFixture, error_log: LogWatch) -> None:
    kept: list[Any] = []

    class Late:
        def __init__(self, send_trailers: Callable[..., None]) -> None:
            self.pieces = iter([b"body"])
            self.send_trailers = send_trailers

        def __iter__(self) -> Iterator[bytes]:
            return self.pieces

        def close(self) -> None:
            self.send_trailers(TRAILERS)

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        kept.append(environ["prowingen.send_trailers"])
        start_response("200 OK", PLAIN)
        return Late(kept[-1])

    with serve(app).connect() as wire:
        assert wire.ask("/", TAKES).trailers == []
        error_log.wait_for("AssertionError: send_trailers: called after the answer's end")
        assert wire.ask("/", TAKES).trailers == []
    assert kept[0] is not kept[1], "what an application has kept is not lent again"
    with pytest.raises(ValueError, match="called after the application returned"):
        kept[0](TRAILERS)


def test_answer_of_the_servers_own_has_none(serve: ServeFixture) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        environ["prowingen.send_trailers"](TRAILERS)
        raise RuntimeError("broken")

    site = serve(app)
    with site.connect() as wire:
        answer = wire.ask("/", TAKES)
        assert (answer.status, answer.trailers) == (500, [])
        assert answer.get("Content-Length") is not None
    with H2Wire(site) as http2:
        assert (http2.ask("/").status, http2.ask("/").trailers) == (500, [])


def test_they_may_be_set_by_another_thread(serve: ServeFixture) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", PLAIN)
        yield b"body"
        setter = threading.Thread(target=environ["prowingen.send_trailers"], args=[TRAILERS])
        setter.start()
        setter.join()

    with serve(app).connect() as wire:
        assert wire.ask("/", TAKES).trailers == SENT


def test_validator_finds_no_fault(serve: ServeFixture, error_log: LogWatch) -> None:
    with serve(wsgiref.validate.validator(Answer())).connect() as wire:
        assert wire.ask("/", TAKES).trailers == SENT
    assert "AssertionError" not in error_log.text


@pytest.mark.skipif(shutil.which("nghttp") is None, reason="nghttp is not installed")
def test_nghttp_sees_them(serve: ServeFixture) -> None:
    site = serve(Answer())
    shown = subprocess.run(
        ["nghttp", "-v", "--no-verify-peer", site.url], capture_output=True, text=True, check=True
    ).stdout
    assert "x-checksum: 1" in shown
    assert "server-timing: app;dur=1" in shown


def test_curl_sees_them(serve: ServeFixture, tmp_path: Any) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    secure = ["--cacert", authority_file()]
    heads = tmp_path / "heads"
    command = ["curl", "-sS", "--http1.1", "-H", TAKES, "-D", str(heads), *secure]
    url = serve(Answer()).url.replace("127.0.0.1", "localhost")
    got = subprocess.run([*command, url], capture_output=True, text=True, check=True)
    assert got.stdout == "one two"
    assert io.StringIO(heads.read_text()).read().lower().count("x-checksum: 1") == 1
