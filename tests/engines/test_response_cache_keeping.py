"""Which answers are kept: those that are marked, whole, and everybody's (RFC 9111 section 3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.apps import Gate
from harness.certificates import server_files
from harness.pages import KEPT, Pages
from harness.site import start_site
from harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    import prowingen_wsgi

    from harness.apps import StartResponse
    from harness.site import ListenFixture, ServeFixture, Site

SIZE = "1MiB"


def is_kept(site: Site, pages: Pages, *fields: tuple[str, str], status: str = "200 OK") -> bool:
    """Whether an answer with these fields is given twice."""
    pages.fields, pages.status = list(fields), status
    path = f"/{pages.calls}"
    with site.connect() as wire:
        return wire.ask(path).body == wire.ask(path).body


def test_what_is_not_marked_is_not_kept(serve: ServeFixture) -> None:
    pages = Pages()
    site = serve(pages, response_cache=SIZE)
    for control in (
        "",
        "max-age=60",
        "public",
        "s-maxage=0",
        "s-maxage",
        "s-maxage=-1",
        "s-maxage=1.5",
        "s-maxage =60",
        "s-maxage=60, s-maxage=30",
        "s-maxage=60, private",
        's-maxage=60, private="set-cookie"',
        "s-maxage=60, no-store",
        "s-maxage=60, No-Cache",
        's-maxage=60, no-cache="x"',
        's-maxage=60, x="',
        "s-maxage=60; public",
        'x="s-maxage=60"',
    ):
        assert not is_kept(site, pages, ("Cache-Control", control)), control
    assert site.server.stats()["response_cache_stored"] == 0


def test_a_directive_may_be_written_otherwise(serve: ServeFixture) -> None:
    pages = Pages()
    site = serve(pages, response_cache=SIZE)
    for control in (
        "S-MAXAGE=60",
        's-maxage="60"',
        ",, public,s-maxage=60 ,",
        's-maxage=60, x="a, no-store"',
        "s-maxage=99999999999",
    ):
        assert is_kept(site, pages, ("Cache-Control", control)), control
    assert is_kept(site, pages, ("Cache-Control", "public"), KEPT)


def test_what_is_one_clients_or_no_whole_is_not_kept(serve: ServeFixture) -> None:
    pages = Pages()
    site = serve(pages, response_cache=SIZE)
    for field in (
        ("Set-Cookie", "a=b"),
        ("Vary", "*"),
        ("Vary", "Accept-Language, *"),
        ("Vary", "not a name"),
        ("Content-Range", "bytes 0-7/8"),
        ("Cache-Control", "private"),
        ("Age", "60"),
        ("Date", "Tue, 14 Nov 2023 22:13:20 GMT"),
    ):
        assert not is_kept(site, pages, KEPT, field), field


def test_statuses_that_are_kept(serve: ServeFixture) -> None:
    pages = Pages()
    site = serve(pages, response_cache=SIZE)
    for status in (200, 203, 300, 301, 308, 404, 405, 410, 414, 501):
        assert is_kept(site, pages, KEPT, status=f"{status} As It Is"), status
    for status in (201, 202, 206, 302, 303, 307, 400, 401, 403, 429, 500, 503):
        assert not is_kept(site, pages, KEPT, status=f"{status} As It Is"), status


def test_the_status_is_given_as_it_was(serve: ServeFixture) -> None:
    site = serve(Pages(KEPT, status="404 Nowhere"), response_cache=SIZE)
    answers = [site.ask() for _ in range(2)]
    assert {(answer.status, answer.reason, answer.text) for answer in answers} == {
        (404, answers[0].reason, "answer 1")
    }


@pytest.mark.parametrize(
    "field",
    ["Cache-Control: no-store", "Range: bytes=0-1", 'If-Match: "x"', "Content-Length: 2"],
)
def test_requests_whose_answers_are_not_kept(serve: ServeFixture, field: str) -> None:
    pages = Pages(KEPT)
    site = serve(pages, response_cache=SIZE)
    with site.connect() as wire:
        lines = ["GET / HTTP/1.1", "Host: test", field, "", ""]
        wire.send("\r\n".join(lines).encode() + (b"ab" if "Length" in field else b""))
        assert wire.response().text == "answer 1"
        assert wire.ask().text == "answer 2"


def test_what_clients_say_of_caches_is_ignored(serve: ServeFixture) -> None:
    site = serve(Pages(KEPT), response_cache=SIZE)
    fields = ["Cache-Control: no-cache", "Cache-Control: max-age=0", "Pragma: no-cache"]
    with site.connect() as wire:
        answers = [wire.ask("/", field) for field in ["Accept: */*", *fields]]
        answers.append(wire.ask("/", "Cache-Control: no-store"))
    assert {answer.text for answer in answers} == {"answer 1"}


def test_by_s_maxage_what_needs_authorization_is_kept_too(serve: ServeFixture) -> None:
    site = serve(Pages(KEPT), response_cache=SIZE)
    assert site.ask("/", "Authorization: Basic YTpi").text == "answer 1"
    assert site.ask().text == "answer 1"


def test_an_answer_in_pieces_is_kept_when_it_is_whole(serve: ServeFixture) -> None:
    gate = Gate()

    class Streaming(Pages):
        def answer(self, number: int, start_response: StartResponse) -> Iterator[bytes]:
            write = start_response(self.status, self.fields)
            write(b"%d written, " % number)
            yield b"yielded, "
            if number == 1:
                gate.pass_through()
            yield b"the end"

    site = serve(Streaming(KEPT), response_cache=SIZE)
    with site.connect() as wire:
        wire.get()
        gate.wait_entered()
        assert site.ask().text == "2 written, yielded, the end"
        gate.opened.set()
        assert wire.response().text == "1 written, yielded, the end"
    again = site.ask()
    assert again.get("content-length") == str(len(again.body))
    assert again.text == "2 written, yielded, the end", "it was asked for later"


def test_what_is_too_long_is_not_kept(serve: ServeFixture) -> None:
    class Long(Pages):
        def answer(self, number: int, start_response: StartResponse) -> Iterable[bytes]:
            start_response(self.status, self.fields)
            path = self.environs[-1]["PATH_INFO"]
            pieces = [b"%d" % number * 1000] * (9 if path.startswith("/short") else 10)
            return pieces if path.endswith("list") else iter(pieces)

    site = serve(Long(KEPT), response_cache=SIZE, response_cache_max_answer=9500)
    with site.connect() as wire:
        for number, path in enumerate(("/long-list", "/long-iterator"), 1):
            assert wire.ask(path).body == b"%d" % (2 * number - 1) * 10_000
            assert wire.ask(path).body == b"%d" % (2 * number) * 10_000
        for path in ("/short-list", "/short-iterator"):
            assert wire.ask(path).body == wire.ask(path).body


@pytest.mark.parametrize("how", ["raises", "is shorter", "is longer"])
def test_what_broke_off_is_not_kept(serve: ServeFixture, how: str) -> None:
    class Broken(Pages):
        def answer(self, number: int, start_response: StartResponse) -> Iterator[bytes]:
            if number > 1:
                start_response(self.status, self.fields)
                yield b"answer %d" % number
                return
            length = {"raises": [], "is shorter": ["9"], "is longer": ["4"]}[how]
            start_response(self.status, [*self.fields, *(("Content-Length", n) for n in length)])
            yield b"part of"
            if how == "raises":
                raise RuntimeError

    site = serve(Broken(KEPT), response_cache=SIZE)
    with site.connect() as wire:
        wire.get("/", "Connection: close")
        wire.reply().head()
    assert eventually(lambda: site.server.stats()["workers_running"] == 0)
    assert site.ask().text == "answer 2"


def test_files_are_not_kept(serve: ServeFixture, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"in a file")

    class Files(Pages):
        def answer(self, number: int, start_response: StartResponse) -> Iterable[bytes]:
            if self.environs[-1]["PATH_INFO"] == "/named":
                start_response(self.status, [*self.fields, ("X-Sendfile", str(tmp_path / "file"))])
                return []
            start_response(self.status, self.fields)
            opened = (tmp_path / "file").open("rb")  # which the wrapper closes
            wrapped: Iterable[bytes] = self.environs[-1]["wsgi.file_wrapper"](opened)
            return wrapped

    pages = Files(KEPT)
    site = serve(pages, response_cache=SIZE, sendfile=f"/named={tmp_path}")
    for _ in range(2):
        assert site.ask("/named").text == site.ask("/wrapped").text == "in a file"
    assert pages.calls == 4


def test_what_trailers_follow_is_not_kept(serve: ServeFixture) -> None:
    class Trailing(Pages):
        def answer(self, number: int, start_response: StartResponse) -> Iterator[bytes]:
            start_response(self.status, self.fields)
            yield b"answer %d" % number
            if self.environs[-1]["PATH_INFO"] == "/trailers":
                self.environs[-1]["prowingen.send_trailers"]([("X-Sum", "1")])

    site = serve(Trailing(KEPT), response_cache=SIZE)
    with site.connect() as wire:
        for field in ("Accept: */*", "TE: trailers"):
            assert wire.ask("/trailers", field).text != wire.ask("/trailers", field).text
        assert wire.ask("/none").text == wire.ask("/none").text


def test_what_is_sent_by_https_alone_goes_with_it_from_here_too(
    engine: str,
) -> None:
    with start_site(
        Pages(KEPT), engine, response_cache=SIZE, hsts="1d", **vars(server_files())
    ) as site:
        answers = [site.ask() for _ in range(2)]
    assert answers[1].get("age") is not None
    assert [a.all("strict-transport-security") for a in answers] == [["max-age=86400"]] * 2


def test_a_listeners_answers_are_kept(listen: ListenFixture) -> None:
    calls = []

    def handler(request: prowingen_wsgi.Request, response: prowingen_wsgi.Response) -> None:
        calls.append(request.method)
        response.headers["Cache-Control"] = "s-maxage=60"
        response.body.write(b"by a listener")

    site = listen(handler, response_cache=SIZE)
    assert [site.ask().text for _ in range(2)] == ["by a listener"] * 2
    assert len(calls) == 1
