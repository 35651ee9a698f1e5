"""How long a kept answer is given, and what is asked for anew meanwhile: RFC 9111, RFC 5861."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.apps import Gate
from harness.pages import KEPT, Pages
from harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.apps import Environ, StartResponse
    from harness.site import ServeFixture, Site
    from harness.wire import Response

SIZE = "1MiB"
BRIEFLY = ("Cache-Control", "s-maxage=1, stale-while-revalidate=60")


def is_stale(answer: Response) -> bool:
    ttl = (answer.get("cache-status") or "").partition("prowingen; hit; ttl=")[2]
    return bool(ttl) and int(ttl) <= 0


def become_stale(site: Site) -> None:
    """Asks by HEAD until it is, so that nothing is asked for anew by then."""
    with site.connect() as wire:
        assert eventually(lambda: (wire.ask().get("age") or "0") != "0")


class Gated(Pages):
    """Its calls after the first one wait, and may fail."""

    def __init__(self, *fields: tuple[str, str]) -> None:
        super().__init__(*fields)
        self.gate = Gate()

    def answer(self, number: int, start_response: StartResponse) -> Iterable[bytes]:
        if number > 1:
            self.gate.pass_through()
        return super().answer(number, start_response)


def test_what_is_no_more_fresh_is_asked_for(serve: ServeFixture) -> None:
    pages = Pages(("Cache-Control", "s-maxage=1"))
    site = serve(pages, response_cache=SIZE)
    with site.connect() as wire:
        assert wire.ask().text == wire.ask().text == "answer 1"
        assert eventually(lambda: wire.ask().text == "answer 2")
    assert site.server.stats()["response_cache_entries"] == 1


def test_its_age_counts_from_where_it_came_from(serve: ServeFixture) -> None:
    pages = Pages(KEPT, ("Age", "50"))
    site = serve(pages, response_cache=SIZE)
    with site.connect() as wire:
        assert wire.ask().all("age") == ["50"]
        answer = wire.ask()
    assert answer.all("age") in (["50"], ["51"])
    assert answer.get("cache-status") in ("prowingen; hit; ttl=10", "prowingen; hit; ttl=9")


def test_another_caches_status_stands_before_its_own(serve: ServeFixture) -> None:
    site = serve(Pages(KEPT, ("Cache-Status", "origin; fwd=miss")), response_cache=SIZE)
    with site.connect() as wire:
        wire.ask()
        first, second = wire.ask().all("cache-status")
    assert first == "origin; fwd=miss"
    assert second.startswith("prowingen; hit")


# --------------------------------------------------------------------------- stale-while-revalidate


def test_a_stale_answer_is_given_while_it_is_asked_for_anew(serve: ServeFixture) -> None:
    pages = Gated(BRIEFLY)
    site = serve(pages, response_cache=SIZE)
    with site.connect() as wire:
        first = wire.ask("/", "X-Mark: a", 'If-None-Match: "x"', "Accept: text/plain")
        assert first.text == "answer 1"
        become_stale(site)
        pages.gate.wait_entered()
        for _ in range(5):
            answer = wire.ask()
            assert answer.text == "answer 1"
            assert is_stale(answer)
        assert pages.calls == 2, "once, however many ask"
        pages.gate.opened.set()
        assert eventually(lambda: wire.ask().text == "answer 2")
        assert wire.ask().get("age") in ("0", "1")
    assert site.server.stats()["response_cache_stale_hits"] >= 6


def test_the_request_of_its_own_is_the_clients_without_its_conditions(
    serve: ServeFixture,
) -> None:
    pages = Gated(BRIEFLY, ("ETag", '"one"'), ("Vary", "X-Mark"))
    site = serve(pages, response_cache=SIZE)
    fields = (
        "X-Mark: a",
        'If-None-Match: "one"',
        "If-Modified-Since: Tue, 14 Nov 2023 22:13:20 GMT",
    )
    with site.connect() as wire:
        wire.ask("/page?a", "X-Mark: a")

        def revalidates() -> bool:
            answer = wire.ask("/page?a", *fields, method="HEAD")
            assert answer.status == 304
            return is_stale(answer)

        assert eventually(revalidates)
        pages.gate.opened.set()
        assert eventually(lambda: pages.calls == 2)
        environ = pages.environs[1]
        assert environ["REQUEST_METHOD"] == "GET"
        assert environ["PATH_INFO"] + "?" + environ["QUERY_STRING"] == "/page?a"
        assert environ["HTTP_X_MARK"] == "a"
        assert environ["HTTP_HOST"] == "test"
        assert not [name for name in environ if name.startswith("HTTP_IF_")]
        assert environ["REMOTE_ADDR"] == "127.0.0.1"
        assert eventually(lambda: wire.ask("/page?a", "X-Mark: a").text == "answer 2")


def test_a_failure_leaves_what_is_there(serve: ServeFixture) -> None:
    class Failing(Gated):
        def answer(self, number: int, start_response: StartResponse) -> Iterable[bytes]:
            if number == 2:
                raise RuntimeError
            self.status = "503 Not Now" if number == 3 else "200 OK"
            passes = number < 4
            return super().answer(1 if passes else number, start_response)

    pages = Failing(BRIEFLY)
    site = serve(pages, response_cache=SIZE)
    with site.connect() as wire:
        wire.ask()
        become_stale(site)
        assert eventually(lambda: wire.ask().text == "answer 1" and pages.calls == 4)
        pages.gate.opened.set()
        assert eventually(lambda: wire.ask().text == "answer 4")


def test_what_may_no_more_be_kept_goes(serve: ServeFixture) -> None:
    pages = Pages(BRIEFLY)
    site = serve(pages, response_cache=SIZE)

    def is_gone() -> bool:
        if site.server.stats()["response_cache_entries"] == 0:
            return True
        site.ask()
        return False

    site.ask()
    pages.fields = [("Cache-Control", "private")]
    assert eventually(is_gone)
    assert site.server.stats()["response_cache_stale_hits"] > 0
    assert site.ask().get("cache-status") is None


@pytest.mark.parametrize("forbids", ["must-revalidate", "Proxy-Revalidate"])
def test_who_forbids_it_is_asked_by_the_client(serve: ServeFixture, forbids: str) -> None:
    pages = Pages((BRIEFLY[0], f"{BRIEFLY[1]}, {forbids}"))
    site = serve(pages, response_cache=SIZE)
    with site.connect() as wire:
        texts = [wire.ask().text]
        while texts[-1] != "answer 2":
            texts.append(wire.ask().text)
    assert site.server.stats()["response_cache_stale_hits"] == 0


def test_a_client_that_wants_nothing_kept_has_nothing_asked_for(serve: ServeFixture) -> None:
    pages = Pages(BRIEFLY)
    site = serve(pages, response_cache=SIZE)
    with site.connect() as wire:
        wire.ask()
        for _ in range(2):
            assert eventually(lambda: is_stale(wire.ask("/", "Cache-Control: no-store")))
        assert pages.calls == 1


def test_a_server_stops_while_it_asks(serve: ServeFixture) -> None:
    entered = Gate()

    class Waiting(Pages):
        def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
            answer = super().__call__(environ, start_response)
            if self.calls == 1:
                return answer
            return self.pieces(entered)

        def pieces(self, entered: Gate) -> Iterable[bytes]:
            entered.entered.set()
            while True:  # until it is told that nobody hears it
                yield b"more"

    site = serve(Waiting(BRIEFLY), response_cache=SIZE)
    with site.connect() as wire:
        wire.ask()
        become_stale(site)
        entered.wait_entered()
    site.server.stop(graceful=0)
    assert site.server.stats()["workers_running"] == 0
