"""Files while descriptors have run out: what is there is refused for now, and not called gone."""

from __future__ import annotations

import gzip
import time
from typing import TYPE_CHECKING

import pytest

from harness.descriptors import descriptors_left

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from harness.apps import Environ, StartResponse
    from harness.logwatch import LogWatch
    from harness.site import ServeFixture, Site
    from harness.wire import Response

SHOWN = b"shown " * 20
LARGE = b"large " * 20_000
REMEDY = "it is answered 503 (raise `ulimit -n` or lower max_connections)"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "docs").mkdir()
    for name in ("shown.txt", "coded.txt", "docs/index.html"):
        (tmp_path / name).write_bytes(SHOWN)
    (tmp_path / "coded.txt.gz").write_bytes(gzip.compress(SHOWN))
    (tmp_path / "large.bin").write_bytes(LARGE)
    return tmp_path


def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    fields = [("Content-Type", "text/plain")]
    if environ["PATH_INFO"].startswith("/named/"):
        fields.append(("X-Accel-Redirect", environ["PATH_INFO"]))
    start_response("404 Not Found" if len(fields) == 1 else "200 OK", fields)
    return [b"application"]


@pytest.fixture
def site(serve: ServeFixture, folder: Path) -> Site:
    return serve(app, static=f"/static={folder}", sendfile=f"/named={folder}")


def is_refused_for_now(answer: Response) -> bool:
    page = b"503 Service Unavailable\nthe server is short of file descriptors\n"
    assert answer.get("retry-after") == "1"
    assert answer.get("cache-control") is None
    assert answer.get("content-length") == str(len(page))
    return (answer.status, answer.body) == (503, page)


@pytest.mark.parametrize("prefix", ["/static", "/named"])
@pytest.mark.parametrize(("name", "content"), [("shown.txt", SHOWN), ("large.bin", LARGE)])
def test_what_is_there_is_refused_for_now(
    site: Site, prefix: str, name: str, content: bytes
) -> None:
    with site.connect() as wire:
        assert wire.ask("/").text == "application"
        with descriptors_left(0):
            for _ in range(3):
                assert is_refused_for_now(wire.ask(f"{prefix}/{name}"))
        # At once: it is not remembered for a second, as what was found is.
        assert wire.ask(f"{prefix}/{name}").body == content


def test_a_folder_and_its_page_are_refused_for_now(site: Site) -> None:
    with site.connect() as wire:
        assert wire.ask("/").text == "application"
        with descriptors_left(0):
            assert is_refused_for_now(wire.ask("/static/docs/"))
            assert is_refused_for_now(wire.ask("/static/docs"))
        assert wire.ask("/static/docs/").body == SHOWN
        assert wire.ask("/static/docs").status == 301


def test_head_is_refused_without_the_words(site: Site) -> None:
    with site.connect() as wire:
        assert wire.ask("/").text == "application"
        with descriptors_left(0):
            answer = wire.ask("/static/shown.txt", method="HEAD")
        assert (answer.status, answer.body, answer.get("retry-after")) == (503, b"", "1")
        assert wire.ask("/static/shown.txt").body == SHOWN


def test_what_is_not_there_is_so_without_descriptors_too(site: Site) -> None:
    with site.connect() as wire:
        assert wire.ask("/").text == "application"
        with descriptors_left(0):
            for target in ("/static/none.txt", "/static/none/", "/static/shown.txt/x"):
                assert wire.ask(target).text == "application", target
            assert wire.ask("/named/none.txt").status == 404


def test_a_coding_that_cannot_be_opened_is_not_taken_for_one_that_is_not_there(site: Site) -> None:
    with site.connect() as wire:
        assert wire.ask("/").text == "application"
        # The folder and the file have descriptors then, and nothing else has.
        with descriptors_left(2):
            assert is_refused_for_now(wire.ask("/static/coded.txt"))
            assert wire.ask("/static/shown.txt").body == SHOWN
        answer = wire.ask("/static/coded.txt", "Accept-Encoding: gzip")
        assert answer.get("vary") == "Accept-Encoding"
        assert gzip.decompress(answer.body) == SHOWN


@pytest.mark.parametrize(
    ("prefix", "words"),
    [
        ("/static", ['static: cannot open "', '/shown.txt": Too many open files']),
        ("/named", ["X-Accel-Redirect: /named/shown.txt: Too many open files"]),
    ],
)
def test_it_is_said_once_a_second_at_most(
    site: Site, error_log: LogWatch, prefix: str, words: list[str]
) -> None:
    begun = time.monotonic()
    with site.connect() as wire:
        assert wire.ask("/").text == "application"
        with descriptors_left(0):
            for _ in range(50):
                assert is_refused_for_now(wire.ask(f"{prefix}/shown.txt"))
        # Whatever is to be said of them has been said by then.
        assert wire.ask("/named/none.txt").status == 404
    assert error_log.wait_for(*words).endswith(REMEDY)
    error_log.wait_for("it is answered 404")
    assert 1 <= error_log.text.count(REMEDY) <= 1 + (time.monotonic() - begun)
