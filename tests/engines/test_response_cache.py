"""Answers that their application lets be kept are given again without it: RFC 9111."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from harness.apps import Gate
from harness.pages import KEPT, Pages
from harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from harness.apps import StartResponse
    from harness.site import ServeFixture, Site

SIZE = "1MiB"


def stats(site: Site) -> dict[str, int]:
    prefix = "response_cache_"
    found = site.server.stats().items()
    return {name.removeprefix(prefix): value for name, value in found if name.startswith(prefix)}


def test_a_second_client_is_answered_without_the_application(serve: ServeFixture) -> None:
    pages = Pages(KEPT, ("X-Own", "stays"))
    site = serve(pages, response_cache=SIZE)
    first, second = site.ask("/page?a=b"), site.ask("/page?a=b")
    assert first.get("cache-status") is first.get("age") is None
    assert (second.status, second.reason, second.body) == (200, first.reason, b"answer 1")
    assert second.get("cache-status") in ("prowingen; hit; ttl=60", "prowingen; hit; ttl=59")
    assert second.get("age") in ("0", "1")
    for name in ("date", "content-type", "content-length", "x-own", "cache-control", "server"):
        assert second.all(name) == first.all(name), name
    assert pages.calls == 1
    assert site.server.stats()["requests_taken"] == 1, "no worker was asked"
    counted = stats(site)
    assert 0 < counted.pop("bytes") < 4096
    assert counted == {
        "hits": 1,
        "stale_hits": 0,
        "misses": 1,
        "stored": 1,
        "evicted": 0,
        "entries": 1,
    }


def test_without_the_option_nothing_is_kept(serve: ServeFixture) -> None:
    pages = Pages(KEPT)
    site = serve(pages)
    assert [site.ask().text for _ in range(2)] == ["answer 1", "answer 2"]
    assert set(stats(site).values()) == {0}


def test_a_connection_is_in_step_behind_it(serve: ServeFixture) -> None:
    class Long(Pages):
        def answer(self, number: int, start_response: StartResponse) -> Iterable[bytes]:
            start_response(self.status, self.fields)
            return [b"%d" % number * 100_000]

    site = serve(Long(KEPT), response_cache=SIZE)
    with site.connect() as wire:
        assert wire.ask("/a").body == b"1" * 100_000
        for _ in range(3):
            assert wire.ask("/a").body == b"1" * 100_000
            assert wire.ask("/a", method="HEAD").body == b""
        assert wire.ask("/b").body == b"2" * 100_000


def test_head_is_answered_as_get_and_not_kept_itself(serve: ServeFixture) -> None:
    pages = Pages(KEPT)
    site = serve(pages, response_cache=SIZE)
    with site.connect() as wire:
        assert "hit" not in (wire.ask(method="HEAD").get("cache-status") or "")
        assert wire.ask().text == "answer 2"
        told = wire.ask(method="HEAD")
    assert (told.body, told.get("content-length")) == (b"", "8")
    assert (told.get("cache-status") or "").startswith("prowingen; hit")
    assert pages.calls == 2


# ------------------------------------------------------------------------------ what is varied by


def test_what_is_varied_by_is_told_apart(serve: ServeFixture) -> None:
    site = serve(Pages(KEPT, ("Vary", "accept-LANGUAGE,, X-Beta")), response_cache=SIZE)
    with site.connect() as wire:
        asked: list[tuple[str, ...]] = [
            (),
            ("Accept-Language: de, en",),
            ("Accept-Language: en, de",),
            ("Accept-Language:",),
            ("X-Beta: de,en",),
        ]
        texts = [wire.ask("/", *fields).text for fields in asked]
        assert texts == [f"answer {number}" for number in range(1, len(asked) + 1)]
        assert [wire.ask("/", *fields).text for fields in asked] == texts
        # The same, said otherwise.
        assert wire.ask("/", "ACCEPT-language: de,en").text == texts[1]
        assert wire.ask("/", "Accept-Language: de", "Accept-Language: en").text == texts[1]
        assert wire.ask("/", "Accept: x").text == texts[0]


def test_what_one_answer_varies_by_all_of_its_uri_do(serve: ServeFixture) -> None:
    pages = Pages(KEPT)
    site = serve(pages, response_cache=SIZE)
    with site.connect() as wire:
        assert wire.ask("/", "X-A: 1").text == wire.ask().text == "answer 1"
        pages.fields.append(("Vary", "X-A"))
        wire.ask("/", method="POST")  # it is forgotten
        assert wire.ask("/", "X-A: 1").text == "answer 3"
        assert wire.ask("/", "X-A: 2").text == "answer 4"
        assert wire.ask("/", "X-A: 1").text == "answer 3"


# -------------------------------------------------------------------------------------- conditions


def test_who_has_it_is_told_so(serve: ServeFixture) -> None:
    modified = "Tue, 14 Nov 2023 22:13:20 GMT"
    pages = Pages(
        KEPT,
        ("ETag", '"one"'),
        ("Last-Modified", modified),
        ("Vary", "X-A"),
        ("Content-Language", "en"),
    )
    site = serve(pages, response_cache=SIZE)
    with site.connect() as wire:
        first = wire.ask()
        for field in ('If-None-Match: "two", W/"one"', f"If-Modified-Since: {modified}"):
            told = wire.ask("/", field)
            assert (told.status, told.body) == (304, b"")
            for name in ("etag", "vary", "cache-control", "date", "last-modified"):
                assert told.all(name) == first.all(name), name
            assert told.get("content-type") is told.get("content-language") is None
            assert (told.get("cache-status") or "").startswith("prowingen; hit")
        for field in ('If-None-Match: "two"', "If-Modified-Since: Tue, 14 Nov 2023 22:13:19 GMT"):
            assert wire.ask("/", field).text == "answer 1"
    assert pages.calls == 1


def test_what_has_no_date_is_not_older_than_any(serve: ServeFixture) -> None:
    site = serve(Pages(KEPT), response_cache=SIZE)
    with site.connect() as wire:
        wire.ask()
        far = "If-Modified-Since: Tue, 14 Nov 2090 22:13:20 GMT"
        assert wire.ask("/", far).text == "answer 1"


@pytest.mark.parametrize("field", ["Range: bytes=0-1", 'If-Match: "x"'])
def test_some_questions_are_the_applications(serve: ServeFixture, field: str) -> None:
    site = serve(Pages(KEPT, ("ETag", '"one"')), response_cache=SIZE)
    with site.connect() as wire:
        wire.ask()
        assert wire.ask("/", field).text == "answer 2"
        assert wire.ask("/").text == "answer 1"


# ------------------------------------------------------------------------------------ what it does


def test_it_answers_while_every_worker_is_busy(serve: ServeFixture) -> None:
    gate = Gate()

    class Stuck(Pages):
        def answer(self, number: int, start_response: StartResponse) -> Iterable[bytes]:
            if self.environs[-1]["PATH_INFO"] == "/slow":
                gate.pass_through()
            return super().answer(number, start_response)

    site = serve(Stuck(KEPT), threads=1, response_cache=SIZE)
    assert site.ask("/page").text == "answer 1"
    with site.connect() as waiting:
        waiting.get("/slow")
        gate.wait_entered()
        assert site.ask("/page").text == "answer 1"
        gate.opened.set()
        assert waiting.response().text == "answer 2"


def test_what_was_not_asked_for_for_longest_goes_first(serve: ServeFixture) -> None:
    class Long(Pages):
        def answer(self, number: int, start_response: StartResponse) -> Iterable[bytes]:
            start_response(self.status, self.fields)
            return [b"%05d" % number * 4000]

    site = serve(Long(KEPT), response_cache="64KiB")
    with site.connect() as wire:
        kept = {path: wire.ask(path).body for path in ("/1", "/2", "/3")}
        wire.ask("/1")
        wire.ask("/4")
        assert stats(site)["evicted"] == 1
        assert stats(site)["bytes"] <= 64 * 1024
        assert wire.ask("/1").body == kept["/1"]
        assert wire.ask("/3").body == kept["/3"]
        assert wire.ask("/2").body != kept["/2"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "BREW"])
def test_a_change_is_seen_at_once(serve: ServeFixture, method: str) -> None:
    pages = Pages(KEPT, ("Vary", "X-A"))
    site = serve(pages, response_cache=SIZE)
    with site.connect() as wire:
        wire.ask("/other")
        for field in ("X-A: 1", "X-A: 2"):
            wire.ask("/", field)
        for status in ("404 Not Found", "500 Oh", "405 Method Not Allowed"):
            pages.status = status
            wire.ask(method=method)
            assert wire.ask("/", "X-A: 1").text == "answer 2", status
        pages.status = "303 See Other"
        wire.ask(method=method)
        pages.status = "200 OK"
        assert wire.ask("/", "X-A: 1").text == "answer 8"
        assert wire.ask("/", "X-A: 2").text == "answer 9"
        assert wire.ask("/other").text == "answer 1"


def test_what_was_under_way_while_it_changed_is_not_kept(serve: ServeFixture) -> None:
    gate = Gate()

    class Slow(Pages):
        def answer(self, number: int, start_response: StartResponse) -> Iterable[bytes]:
            if number == 1:
                gate.pass_through()
            return super().answer(number, start_response)

    site = serve(Slow(KEPT), response_cache=SIZE)
    with site.connect() as early, site.connect() as wire:
        early.get()
        gate.wait_entered()
        wire.ask(method="POST")
        gate.opened.set()
        assert early.response().text == "answer 1"
        assert wire.ask().text == "answer 3"


def test_safe_methods_change_nothing(serve: ServeFixture) -> None:
    site = serve(Pages(KEPT), response_cache=SIZE)
    with site.connect() as wire:
        wire.ask()
        assert wire.ask(method="OPTIONS").text == "answer 2"
        assert wire.ask().text == "answer 1"


def test_it_is_in_the_access_log(serve: ServeFixture, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    site = serve(
        Pages(KEPT),
        response_cache=SIZE,
        access_log=str(log),
        access_log_format="%r %s %b %{Cache-Status}o",
    )
    site.ask("/page"), site.ask("/page")
    assert eventually(lambda: log.exists() and log.read_text().count("\n") == 2)
    lines = log.read_text().splitlines()
    assert lines[0] == f"GET /page {site.protocol} 200 8 -"
    assert lines[1].startswith(f"GET /page {site.protocol} 200 8 prowingen; hit; ttl=")


def test_threads_that_ask_at_once_are_all_answered(serve: ServeFixture) -> None:
    pages = Pages(KEPT)
    site = serve(pages, response_cache="64KiB", io_threads=2)
    faults: list[str] = []

    def ask(begin: int) -> None:
        with site.connect() as wire:
            for number in range(200):
                path = f"/{(begin + number) % 50}"
                answer = wire.ask(path, method="POST" if number % 23 == 0 else "GET")
                if answer.status != 200 or not answer.text.startswith("answer "):
                    faults.append(answer.text)

    threads = [threading.Thread(target=ask, args=(begin * 7,)) for begin in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
    counted = stats(site)
    assert counted["hits"] + pages.calls == 1200
    assert counted["bytes"] <= 64 * 1024
