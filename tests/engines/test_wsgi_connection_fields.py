"""Fields about the connection, which applications set though it is the server's (PEP 3333 "Other
HTTP Features"): those that mean nothing are left out, `Connection: close` is heeded, and what the
client could not read is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.apps import PLAIN, Environ, StartResponse, answering
from harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from prowingen_wsgi import Request, Response

    from harness.logwatch import LogWatch
    from harness.site import ListenFixture, ServeFixture

MEANINGLESS = [
    ("Connection", "keep-alive"),
    ("connection", "Keep-Alive, X-Private"),
    ("Keep-Alive", "timeout=5"),
    ("Proxy-Authenticate", "Basic"),
    ("Proxy-Authorization", "Basic eDp5"),
    ("Proxy-Connection", "keep-alive"),
    ("TE", "trailers"),
    ("Trailers", "Expires"),
    ("Transfer-Encoding", "chunked"),
    ("transfer-encoding", " Identity "),
    ("Upgrade", "h2c"),
]


@pytest.mark.parametrize("field", MEANINGLESS, ids=": ".join)
def test_field_without_a_meaning_is_left_out_and_said(
    serve: ServeFixture, error_log: LogWatch, field: tuple[str, str]
) -> None:
    app = answering([b"one ", b"two"], headers=[field, ("X-Kept", "yes")])
    with serve(app).connect() as wire:
        for _ in range(2):
            answer = wire.ask()
            assert (answer.status, answer.body) == (200, b"one two")
            assert answer.get("Content-Length") == "7"
            assert answer.get("X-Kept") == "yes"
            assert answer.all(field[0]) == []
    line = error_log.wait_for("GET /", f"{field[0]}: {field[1]}", "is left out")
    assert error_log.text.count("is left out") == 1, "what each answer has is said once"
    assert "WARNING" in line


def test_each_field_is_said_once_a_server(serve: ServeFixture, error_log: LogWatch) -> None:
    site = serve(answering([b"x"], headers=MEANINGLESS))
    for _ in range(3):
        site.ask()
    names = {name.lower() for name, _ in MEANINGLESS}
    assert eventually(lambda: error_log.text.count("is left out") == len(names), 5)


def test_streamed_answer_with_the_fields_of_tutorials(serve: ServeFixture) -> None:
    def events(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        fields = [("Content-Type", "text/event-stream"), ("Connection", "keep-alive")]
        start_response("200 OK", [*fields, ("Transfer-Encoding", "chunked")])
        yield b"data: 1\n\n"
        yield b"data: 2\n\n"

    with serve(events).connect() as wire:
        for _ in range(2):
            answer = wire.ask()
            assert answer.all("Transfer-Encoding") == (["chunked"] if wire.pipelines else [])
            assert answer.body == b"data: 1\n\ndata: 2\n\n"
            assert not answer.closes


@pytest.mark.no_http2("no field is about a connection")
@pytest.mark.parametrize("value", ["close", "Close", "keep-alive, close", " ,close ,"])
@pytest.mark.parametrize("make_body", [list, iter], ids=["list", "stream"])
def test_connection_close_closes_after_the_answer(
    serve: ServeFixture, value: str, make_body: Callable[[list[bytes]], Iterable[bytes]]
) -> None:
    with serve(answering(make_body([b"x"]), headers=[("Connection", value)])).connect() as wire:
        answer = wire.ask()
        assert answer.body == b"x"
        assert answer.all("Connection") == ["close"]
        wire.expect_closed()


@pytest.mark.no_http2("streams are not pipelined")
def test_connection_close_ends_a_pipeline(serve: ServeFixture) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        last = environ["PATH_INFO"] == "/last"
        start_response("200 OK", [*PLAIN, ("Connection", "close")] if last else PLAIN)
        return [environ["PATH_INFO"].encode()]

    with serve(app).connect() as wire:
        wire.get("/first")
        wire.get("/last")
        wire.get("/never")
        assert wire.response().body == b"/first"
        assert wire.response().body == b"/last"
        wire.expect_closed()


def test_connection_close_is_taken_back_with_its_head(serve: ServeFixture) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [*PLAIN, ("Connection", "close")])
        try:
            raise ValueError("anew")
        except ValueError as error:
            start_response("200 OK", PLAIN, (type(error), error, error.__traceback__))
        return [b"x"]

    with serve(app).connect() as wire:
        assert not wire.ask().closes
        assert wire.ask().body == b"x"


@pytest.mark.no_http2("no field is about a connection")
def test_status_426_names_the_protocol_to_upgrade_to(
    serve: ServeFixture, error_log: LogWatch
) -> None:
    """RFC 9110 section 15.5.22: it must."""
    fields = [("Upgrade", "websocket"), ("Connection", "Upgrade")]
    with serve(answering([b"x"], "426 Upgrade Required", fields)).connect() as wire:
        answer = wire.ask()
        assert (answer.status, answer.get("Upgrade")) == (426, "websocket")
        assert answer.all("Connection") == ["upgrade"]
        assert wire.ask().body == b"x"
    assert "is left out" not in error_log.text


@pytest.mark.parametrize("coding", ["gzip", "gzip, chunked", "chunked, chunked", "x", ""])
def test_transfer_coding_of_the_applications_own_is_refused(
    serve: ServeFixture, error_log: LogWatch, coding: str
) -> None:
    """The server frames the answer, and the client would not be told what else was done to it."""
    answer = serve(answering([b"x"], headers=[("Transfer-Encoding", coding)])).ask()
    assert answer.status == 500
    error_log.wait_for("Transfer-Encoding", "only the server can apply a transfer coding")


def test_switching_protocols_is_refused(serve: ServeFixture) -> None:
    fields = [("Upgrade", "websocket"), ("Connection", "Upgrade")]
    assert serve(answering([], "101 Switching Protocols", fields)).ask().status == 500


@pytest.mark.no_http2("no field is about a connection")
def test_raw_listener_treats_them_alike(listen: ListenFixture, error_log: LogWatch) -> None:
    def handler(request: Request, response: Response) -> None:
        response.headers["Keep-Alive"] = "timeout=5"
        response.headers["Connection"] = "close"
        with pytest.raises(ValueError, match="only the server can apply a transfer coding"):
            response.headers["Transfer-Encoding"] = "gzip"
        response.body.write(b"x")

    with listen(handler).connect() as wire:
        answer = wire.ask()
        assert answer.all("Connection") == ["close"]
        assert answer.all("Keep-Alive") == []
        wire.expect_closed()
    error_log.wait_for("Keep-Alive: timeout=5", "is left out")
