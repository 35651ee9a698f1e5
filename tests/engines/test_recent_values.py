"""Values of fields that come again, or nearly: what an application has kept stays as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
