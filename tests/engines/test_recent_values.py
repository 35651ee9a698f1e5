"""Values of fields that come again, or nearly: what an application has kept stays as it was."""

from __future__ import annotations

import io
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from harness.apps import PLAIN, Echo, Environ, StartResponse
from harness.proxyhead import environ_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.site import ServeFixture


def test_kept_values_stay_as_they_were(serve: ServeFixture) -> None:
    kept: list[str] = []

    def keep(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        kept.append(environ["HTTP_X_MARK"])
        start_response("200 OK", PLAIN)
        return [b"kept"]

    site = serve(keep)
    marks = ["the first mark", "another--mark.", "another--mark.", "the third mark"]
    for mark in marks:
        site.ask("/", f"X-Mark: {mark}")
    assert kept == marks


def test_values_are_keys_though_the_last_one_was_looked_up(serve: ServeFixture) -> None:
    known = {"the first mark": b"1", "another--mark.": b"2"}

    def look_up(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", PLAIN)
        return [known.get(environ["HTTP_X_MARK"], b"unknown")]

    site = serve(look_up)
    marks = ["the first mark", "another--mark.", "the first mark", "the other mark"]
    answers = [site.ask("/", f"X-Mark: {mark}").body for mark in marks]
    assert answers == [b"1", b"2", b"1", b"unknown"]


def test_each_value_is_that_of_its_request(serve: ServeFixture) -> None:
    site = serve(Echo())
    longer = "x" * 300
    marks = ["ab", "cd", "a", "b", "caf\xe9", "cafe", "cafe", "ca\xeff", "", "x", longer, "y" * 300]
    for mark in marks:
        environ = environ_of(site.ask("/", f"X-Mark: {mark}"))
        assert environ["HTTP_X_MARK"] == mark


def test_a_field_is_known_by_its_name_and_not_by_its_place(serve: ServeFixture) -> None:
    site = serve(Echo())
    for field, key in [
        ("X-Mark", "HTTP_X_MARK"),
        ("X_Mark", None),  # is dropped, where a proxy may have checked the other
        ("X-Mart", "HTTP_X_MART"),
        ("X_Mark", None),
        ("X-Mark", "HTTP_X_MARK"),
    ]:
        environ = environ_of(site.ask("/", f"{field}: here"))
        assert [name for name in environ if environ[name] == "here"] == ([key] if key else [])


def test_many_fields_are_all_there(serve: ServeFixture) -> None:
    site = serve(Echo())
    for turn in ("first", "later"):
        fields = [f"X-Field-{i}: {turn} value {i}" for i in range(40)]
        environ = environ_of(site.ask("/", *fields))
        for i in range(40):
            assert environ[f"HTTP_X_FIELD_{i}"] == f"{turn} value {i}"


def test_what_an_application_changes_is_not_the_next_ones(serve: ServeFixture) -> None:
    seen: list[dict[str, object]] = []

    def change(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        seen.append(dict(environ))
        for key in list(environ):
            environ[key] = "spoilt"
        start_response("200 OK", PLAIN)
        return [b"changed"]

    site = serve(change, threads=1)
    for _ in range(3):
        site.ask("/path?query")
    assert len(seen) == 3
    for environ in seen:
        assert "spoilt" not in environ.values()
        assert environ["REQUEST_METHOD"] == "GET"
        assert environ["PATH_INFO"] == "/path"
        assert environ["QUERY_STRING"] == "query"


def test_methods_and_targets_that_alternate_are_told_apart(serve: ServeFixture) -> None:
    app = Echo()
    site = serve(app, threads=1)
    asked = [
        ("GET", "/a", "/a", ""),
        ("POST", "/a", "/a", ""),
        ("PATCH", "/b", "/b", ""),
        ("PATCH", "/b?c", "/b", "c"),
        ("GET", "/b", "/b", ""),
        ("DELETE", "/%62", "/b", ""),
        ("GET", "/%62?", "/b", ""),
        ("GET", "/long", "/long", ""),
        ("GET", "/gone", "/gone", ""),
        ("GET", "/", "/", ""),
    ]
    for method, target, _, _ in asked:
        site.ask(target, method=method)
    # The first ones are looked at last: they have been kept all the while.
    for environ, (method, target, path, query) in zip(app.environs, asked, strict=True):
        told = [environ[key] for key in ("REQUEST_METHOD", "REQUEST_URI", "RAW_URI")]
        assert told == [method, target, target]
        assert (environ["PATH_INFO"], environ["QUERY_STRING"]) == (path, query)


def test_each_request_has_the_errors_of_its_time(
    serve: ServeFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = Echo()
    site = serve(app, threads=1)
    streams = [io.StringIO(), io.StringIO()]
    for stream in (streams[0], streams[1], streams[0]):
        monkeypatch.setattr(sys, "stderr", stream)
        site.ask()
    monkeypatch.undo()
    told = [environ["wsgi.errors"] for environ in app.environs]
    assert told == [streams[0], streams[1], streams[0]]


def test_an_input_that_was_closed_is_not_the_next_ones(serve: ServeFixture) -> None:
    read: list[bytes] = []
    sizes: list[int] = []

    def close(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        read.append(environ["wsgi.input"].read())
        environ["wsgi.input"].close()
        environ["wsgi.trailers"].append(("left", "behind"))
        sizes.append(len(environ["wsgi.trailers"]))
        start_response("200 OK", PLAIN)
        return [b"closed"]

    site = serve(close, threads=1)
    bodies = [b"", b"one", b"", b"another"]
    for body in bodies:
        assert (site.post(body) if body else site.ask()).status == 200
    assert read == bodies
    assert sizes == [1] * len(bodies)


def test_an_input_that_was_kept_reads_nothing_of_the_next_ones(serve: ServeFixture) -> None:
    app = Echo()
    site = serve(app, threads=1)
    for body in (b"first", b"second"):
        assert site.post(body).status == 200
    first, second = (environ["wsgi.input"] for environ in app.environs)
    assert first is not second
    assert first.closed
    with pytest.raises(ValueError, match="after the request was answered"):
        first.read()


class Ending(io.StringIO):
    """A file of an application, whose end takes a while."""

    def __init__(self, ends: threading.Event) -> None:
        super().__init__()
        self._ends = ends

    def __del__(self) -> None:
        self._ends.set()
        time.sleep(0.3)  # without the GIL


@pytest.mark.no_http2("a request is written out")
def test_requests_beside_the_end_of_a_standard_error_are_not_mixed(serve: ServeFixture) -> None:
    """As where a log is rotated: whoever has the last reference to the file waits for its end."""

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", PLAIN)
        return [f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}".encode()]

    site = serve(app, threads=4)
    ends = threading.Event()
    before = sys.stderr
    sys.stderr = Ending(ends)
    try:
        assert site.ask("/while").text == "GET /while"
    finally:
        sys.stderr = before
    with ThreadPoolExecutor(1) as others:
        asked = others.submit(lambda: site.ask("/b").text)
        assert ends.wait(10)
        with site.connect() as wire:
            wire.send(b"DELETE /a HTTP/1.1\r\nHost: x\r\n\r\n")
            assert wire.response().text == "DELETE /a"
        assert asked.result() == "GET /b"


def test_a_standard_error_is_each_request_s_own(serve: ServeFixture) -> None:
    errors: list[object] = []

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        errors.append(environ["wsgi.errors"])
        start_response("200 OK", PLAIN)
        return [b""]

    site = serve(app)
    before = sys.stderr
    another = io.StringIO()
    try:
        for each in (before, another, another, before):
            sys.stderr = each
            site.ask("/")
    finally:
        sys.stderr = before
    assert errors == [before, another, another, before]
    site.ask("/")
    errors.clear()
    assert sys.getrefcount(another) == 2, "nothing has it but this"
