"""The fields by which other systems find a request again: request_start_header, trace_context and
request_id."""

from __future__ import annotations

import json
import re
import time
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from harness.apps import PLAIN, Echo, Environ, Gate, Routes, StartResponse, hello
from harness.logwatch import Lines
from harness.proxyhead import environ_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from prowingen_wsgi import Request
    from prowingen_wsgi import Response as RawResponse

    from harness.site import ListenFixture, ServeFixture

HERE = "127.0.0.1"
BELIEVED = {"forwarded_allow_ips": HERE}
PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
NEW_TRACE = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-01")


# ---- none of them


def test_by_default_these_are_fields_like_any_other(serve: ServeFixture) -> None:
    site = serve(Echo())
    environ = environ_of(
        site.ask(
            "/", "X-Request-Start: t=1", "X-Request-ID: mine", "traceparent: no", "tracestate: a=1"
        )
    )
    assert environ["HTTP_X_REQUEST_START"] == "t=1"
    assert environ["HTTP_X_REQUEST_ID"] == "mine"
    assert environ["HTTP_TRACEPARENT"] == "no"
    assert environ["HTTP_TRACESTATE"] == "a=1"
    answer = site.ask()
    assert answer.get("x-request-id") is None
    assert not {"HTTP_X_REQUEST_START", "HTTP_X_REQUEST_ID", "HTTP_TRACEPARENT"} & set(
        environ_of(answer)
    )


# ---- when it came


def arrival(environ: dict[str, Any]) -> float:
    """In seconds since the epoch."""
    match = re.fullmatch(r"t=(\d{16})", environ["HTTP_X_REQUEST_START"])
    assert match, environ["HTTP_X_REQUEST_START"]
    return int(match[1]) / 1e6


def test_the_time_at_which_it_came_is_told(serve: ServeFixture) -> None:
    site = serve(Echo(), request_start_header=True)
    before = time.time()
    environ = environ_of(site.ask("/", "X-Request-Start: t=1", "X-Queue-Start: t=2"))
    assert before - 0.1 <= arrival(environ) <= time.time()
    assert "HTTP_X_QUEUE_START" not in environ, "which agents would believe first"


def test_the_time_is_that_before_the_queue(serve: ServeFixture) -> None:
    gate = Gate()
    echo = Echo()

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/first":
            gate.pass_through()
        return echo(environ, start_response)

    site = serve(app, threads=1, request_start_header=True)
    with site.connect() as first, site.connect() as second:
        first.get("/first")
        gate.wait_entered()
        second.get("/second")
        assert second.is_silent(0.3)
        opened = time.time()
        gate.opened.set()
        assert first.response().status == 200
        environ = environ_of(second.response())
    assert arrival(environ) <= opened - 0.2
    waited = echo.environs[1]["prowingen.queue_time"]
    assert isinstance(waited, float)
    assert 0.2 <= waited <= time.time() - arrival(environ)
    assert 0 <= echo.environs[0]["prowingen.queue_time"] < 5


def test_a_proxy_that_is_believed_knows_better(serve: ServeFixture) -> None:
    site = serve(Echo(), request_start_header=True, **BELIEVED)
    environ = environ_of(site.ask("/", "X-Request-Start: t=1512379167.574", "X-Queue-Start: t=2"))
    assert environ["HTTP_X_REQUEST_START"] == "t=1512379167.574"
    assert environ["HTTP_X_QUEUE_START"] == "t=2"
    assert arrival(environ_of(site.ask()))


def test_the_wait_is_not_told_unless_it_is_asked_for(serve: ServeFixture) -> None:
    echo = Echo()
    serve(echo).ask()
    assert "prowingen.queue_time" not in echo.environs[0]


# ---- its trace


def test_a_trace_goes_on(serve: ServeFixture) -> None:
    environ = environ_of(
        serve(Echo(), trace_context=True).ask(
            "/", f"Traceparent: {PARENT}", "tracestate: a=1", "tracestate: b=2"
        )
    )
    assert environ["HTTP_TRACEPARENT"] == PARENT
    assert environ["HTTP_TRACESTATE"].replace(" ", "") == "a=1,b=2"


@pytest.mark.parametrize(
    "fields",
    [
        (),
        (f"traceparent: {PARENT.upper()}",),
        (f"traceparent: {PARENT}-more",),
        (f"traceparent: {PARENT}", f"traceparent: {PARENT}"),
    ],
    ids=["none", "malformed", "too long", "two"],
)
def test_a_trace_begins(serve: ServeFixture, fields: tuple[str, ...]) -> None:
    site = serve(Echo(), trace_context=True)
    told = [environ_of(site.ask("/", *fields, "tracestate: a=1")) for _ in range(2)]
    for environ in told:
        assert NEW_TRACE.fullmatch(environ["HTTP_TRACEPARENT"])
        assert "HTTP_TRACESTATE" not in environ
    assert told[0]["HTTP_TRACEPARENT"] != told[1]["HTTP_TRACEPARENT"]


def test_an_answer_tells_its_trace_if_it_is_to(serve: ServeFixture) -> None:
    site = serve(Echo(), trace_context=True, trace_response=True)
    assert site.ask("/", f"traceparent: {PARENT}").get("traceparent") == PARENT
    made = site.ask()
    assert made.get("traceparent") == environ_of(made)["HTTP_TRACEPARENT"]
    assert serve(Echo(), trace_context=True).ask().get("traceparent") is None


# ---- its name


def test_a_request_has_a_name_of_its_own(serve: ServeFixture) -> None:
    lines = Lines()
    site = serve(Echo(), request_id=True, access_log=lines, access_log_format="%{X-Request-ID}i")
    named = [site.ask("/", "X-Request-ID: made-up", "x-request-id: twice") for _ in range(2)]
    names = [environ_of(answer)["HTTP_X_REQUEST_ID"] for answer in named]
    assert [answer.get("x-request-id") for answer in named] == names
    assert sorted(lines.wait(2)) == sorted(names)
    assert len(set(names)) == 2
    assert [uuid.UUID(name).version for name in names] == [4, 4]


@pytest.mark.parametrize("theirs", ["a", "01HV:x/y+z=~", "x" * 128])
def test_a_proxy_that_is_believed_names_it(serve: ServeFixture, theirs: str) -> None:
    lines = Lines()
    site = serve(Echo(), request_id=True, access_log=lines, access_log_format="json", **BELIEVED)
    answer = site.ask("/", f"X-Request-ID: {theirs}")
    assert environ_of(answer)["HTTP_X_REQUEST_ID"] == theirs
    assert answer.get("x-request-id") == theirs
    assert json.loads(lines.wait(1)[0])["request_id"] == theirs


@pytest.mark.parametrize("theirs", ["two words", "x" * 129, "\xe9", "a\tb"])
def test_a_name_that_is_none_is_replaced(serve: ServeFixture, theirs: str) -> None:
    answer = serve(Echo(), request_id=True, **BELIEVED).ask("/", f"X-Request-ID: {theirs}")
    name = environ_of(answer)["HTTP_X_REQUEST_ID"]
    assert uuid.UUID(name).version == 4
    assert answer.get("x-request-id") == name


def test_an_application_may_name_its_answer(serve: ServeFixture) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [*PLAIN, ("x-request-ID", "its own")])
        return [b"x"]

    assert serve(app, request_id=True).ask().get("x-request-id") == "its own"


def test_failures_are_named_too(serve: ServeFixture) -> None:
    names: list[str] = []

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        names.append(environ["HTTP_X_REQUEST_ID"])
        raise LookupError("lost")

    answer = serve(app, request_id=True).ask()
    assert answer.status == 500
    assert [answer.get("x-request-id")] == names


def test_answers_that_are_given_again_have_no_name_of_others(serve: ServeFixture) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [*PLAIN, ("Cache-Control", "s-maxage=60")])
        return [b"x"]

    site = serve(app, request_id=True, response_cache=1_000_000)
    first, again = site.ask(), site.ask()
    assert first.get("x-request-id")
    assert "hit" in (again.get("cache-status") or "")
    assert again.get("x-request-id") is None


def test_files_are_named_in_the_log(serve: ServeFixture, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    lines = Lines()
    site = serve(
        hello,
        request_id=True,
        static=f"/files={tmp_path}",
        access_log=lines,
        access_log_format="%{X-Request-ID}i",
    )
    assert site.ask("/files/a.txt").body == b"a"
    assert uuid.UUID(lines.wait(1)[0]).version == 4


def test_handlers_of_the_raw_listener_have_it_too(listen: ListenFixture) -> None:
    def handler(request: Request, response: RawResponse) -> None:
        response.body.write(request.headers["X-Request-ID"].encode())

    answer = listen(handler, request_id=True).ask()
    assert answer.get("x-request-id") == answer.text
    assert uuid.UUID(answer.text).version == 4


def test_an_answer_in_pieces_is_named_once(serve: ServeFixture) -> None:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        write = start_response("200 OK", PLAIN)
        write(environ["HTTP_X_REQUEST_ID"].encode())
        return [b"", b"!"]

    answer = serve(Routes(pieces=app), request_id=True).ask("/pieces")
    assert answer.text == f"{answer.get('x-request-id')}!"
