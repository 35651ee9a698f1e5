"""Files beneath a mount are answered without the application: RFC 9110, on every engine."""

from __future__ import annotations

import email
import gzip
import os
import re
import threading
import time
from email.utils import formatdate, parsedate_to_datetime
from typing import TYPE_CHECKING

import pytest

from harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from harness.apps import Environ, StartResponse
    from harness.logwatch import LogWatch
    from harness.site import ServeFixture, Site
    from harness.wire import Response

TEXT = b"".join(b"line %05d\n" % number for number in range(500))
LARGE = os.urandom(3_000_000)
LONG_AGO = 1_700_000_000
MODIFIED = "Tue, 14 Nov 2023 22:13:20 GMT"


def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    body = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']} by the application".encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("static")
    contents = {
        "notes.txt": TEXT,
        "large.bin": LARGE,
        "empty.css": b"",
        "css/site.css": b"body {}",
        "css/site.0123456789ab.css": b"body { color: red }",
        "css/backup.202511270815.css": b"no hash",
        "docs/index.html": b"<p>Docs",
        "na\xefve caf\xe9.txt": b"by another name",
        "bundle.js": b"let x = 1;" * 100,
        "bundle.js.gz": gzip.compress(b"let x = 1;" * 100),
        "bundle.js.br": b"stands for brotli",
        "stale.js": b"new",
        "stale.js.gz": gzip.compress(b"old"),
        "archive.tar.gz": b"an archive",
        "UPPER.PNG": b"picture",
        "unknown.thing": b"?",
    }
    for name, content in contents.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (LONG_AGO, LONG_AGO))
    os.utime(folder / "stale.js.gz", (LONG_AGO - 10, LONG_AGO - 10))
    return folder


@pytest.fixture
def site(serve: ServeFixture, folder: Path) -> Site:
    return serve(app, static=f"/static={folder}")


def test_a_file_is_answered_whole_with_what_a_cache_needs(site: Site) -> None:
    answer = site.ask("/static/notes.txt")
    assert answer.status == 200
    assert answer.body == TEXT
    assert answer.get("content-length") == str(len(TEXT))
    assert answer.get("content-type") == "text/plain; charset=utf-8"
    assert answer.get("last-modified") == MODIFIED
    assert answer.get("accept-ranges") == "bytes"
    assert answer.get("cache-control") == "public, max-age=60"
    assert re.fullmatch(r'"[0-9a-f]+-[0-9a-f]+"', answer.get("etag") or "")
    assert answer.get("vary") is None
    assert site.server.stats()["static_files"] == 1
    assert site.server.stats()["requests_taken"] == 0, "no worker was asked"


@pytest.mark.parametrize("name", ["large.bin", "notes.txt", "empty.css"])
def test_a_connection_is_in_step_behind_it(site: Site, folder: Path, name: str) -> None:
    content = (folder / name).read_bytes()
    with site.connect() as wire:
        for _ in range(3):
            assert wire.ask(f"/static/{name}").body == content
            assert wire.ask("/other").text == "GET /other by the application"


def test_head_says_what_get_would(site: Site) -> None:
    with site.connect() as wire:
        got, told = wire.ask("/static/notes.txt"), wire.ask("/static/notes.txt", method="HEAD")
    assert told.body == b""
    varying = ("date",)
    assert [f for f in told.fields if f[0] not in varying] == [
        f for f in got.fields if f[0] not in varying
    ]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("css/site.css", "text/css; charset=utf-8"),
        ("bundle.js", "text/javascript; charset=utf-8"),
        ("UPPER.PNG", "image/png"),
        ("archive.tar.gz", "application/gzip"),
        ("unknown.thing", "application/octet-stream"),
    ],
)
def test_the_type_is_the_suffixes(site: Site, name: str, kind: str) -> None:
    assert site.ask(f"/static/{name}").get("content-type") == kind


def test_a_name_may_be_encoded(site: Site) -> None:
    assert site.ask("/static/na%C3%AFve%20caf%c3%a9.txt").body == b"by another name"
    assert site.ask("/%73tatic/%6eotes.txt?query=is#ignored".partition("#")[0]).body == TEXT


@pytest.mark.parametrize(
    ("name", "control"),
    [
        ("css/site.0123456789ab.css", "public, max-age=31536000, immutable"),
        ("css/backup.202511270815.css", "public, max-age=60"),
    ],
)
def test_what_has_a_hash_in_its_name_never_changes(site: Site, name: str, control: str) -> None:
    assert site.ask(f"/static/{name}").get("cache-control") == control


def test_without_a_time_a_client_asks_again(serve: ServeFixture, folder: Path) -> None:
    site = serve(app, static=f"/static={folder}", static_max_age=0)
    assert site.ask("/static/notes.txt").get("cache-control") == "no-cache"


# ------------------------------------------------------------------ what is left to the application


@pytest.mark.parametrize(
    "target", ["/", "/static", "/static/", "/static/none.txt", "/staticnotes.txt", "/static/css/"]
)
def test_what_no_file_is_there_for_is_the_applications(site: Site, target: str) -> None:
    assert site.ask(target).text == f"GET {target} by the application"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_other_methods_are_the_applications(site: Site, method: str) -> None:
    answer = site.ask("/static/notes.txt", "Content-Length: 0", method=method)
    assert answer.text == f"{method} /static/notes.txt by the application"


def test_a_folder_is_its_index(site: Site) -> None:
    answer = site.ask("/static/docs/")
    assert answer.body == b"<p>Docs"
    assert answer.get("content-type") == "text/html; charset=utf-8"
    moved = site.ask("/static/docs?a=b")
    # Relative, as a proxy may show it elsewhere.
    assert (moved.status, moved.get("location")) == (301, "./docs/?a=b")


def test_the_root_may_be_a_mount_over_the_application(serve: ServeFixture, folder: Path) -> None:
    site = serve(app, static=[f"/={folder}"])
    with site.connect() as wire:
        assert wire.ask("/notes.txt").body == TEXT
        assert wire.ask("/api").text == "GET /api by the application"
        assert wire.ask("/docs/").body == b"<p>Docs"


def test_of_several_mounts_the_longest_that_has_it(
    serve: ServeFixture, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_bytes(b"over")
    site = serve(app, static=[f"/a={folder}", f"/a/css={tmp_path}"])
    with site.connect() as wire:
        assert wire.ask("/a/css/notes.txt").body == b"over"
        assert wire.ask("/a/css/site.css").body == b"body {}"


def test_files_are_served_while_every_worker_is_busy(serve: ServeFixture, folder: Path) -> None:
    release = threading.Event()
    entered = threading.Event()

    def stuck(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        entered.set()
        release.wait(20)
        return app(environ, start_response)

    site = serve(stuck, threads=1, static=f"/static={folder}")
    try:
        with site.connect() as waiting:
            waiting.get("/slow")
            assert entered.wait(10)
            assert site.ask("/static/notes.txt").body == TEXT
            release.set()
            assert waiting.response().text == "GET /slow by the application"
    finally:
        release.set()


def test_files_are_served_while_the_queue_is_full(serve: ServeFixture, folder: Path) -> None:
    release = threading.Event()
    entered = threading.Event()

    def stuck(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        entered.set()
        release.wait(20)
        return app(environ, start_response)

    site = serve(stuck, threads=1, queue_size=1, io_threads=1, static=f"/static={folder}")
    wires = [site.connect() for _ in range(24)]
    try:
        wires[0].get("/slow")
        assert entered.wait(10)
        wires[1].get("/queued")
        assert eventually(lambda: site.server.stats()["queue_length"] == 1)
        for at, wire in enumerate(wires[2:]):
            wire.get("/refused" if at % 4 == 0 else "/static/notes.txt")
        statuses = [wire.response().status for wire in wires[2:]]
        assert statuses == [503 if at % 4 == 0 else 200 for at in range(len(statuses))]
        release.set()
        assert wires[0].response().status == wires[1].response().status == 200
    finally:
        release.set()


# -------------------------------------------------------------------------------------- conditions


def test_who_knows_it_is_told_so(site: Site) -> None:
    tag = site.ask("/static/notes.txt").get("etag")
    with site.connect() as wire:
        for field in (
            f"If-None-Match: {tag}",
            f"If-None-Match: W/{tag}",
            f'If-None-Match: "other", {tag}',
            "If-None-Match: *",
            f"If-Modified-Since: {MODIFIED}",
            "If-Modified-Since: Tuesday, 14-Nov-23 22:13:20 GMT",
            "If-Modified-Since: Tue Nov 14 22:13:20 2023",
            "If-Modified-Since: Sun, 01 Nov 2025 00:00:00 GMT",
        ):
            answer = wire.ask("/static/notes.txt", field)
            assert (answer.status, answer.body) == (304, b""), field
            assert answer.get("etag") == tag
            assert answer.get("cache-control") == "public, max-age=60"
            assert answer.get("content-length") in (None, str(len(TEXT)))


def test_who_knows_another_gets_it(site: Site) -> None:
    tag = site.ask("/static/notes.txt").get("etag")
    with site.connect() as wire:
        for fields in (
            ['If-None-Match: "other"'],
            ["If-Modified-Since: Tue, 14 Nov 2023 22:13:19 GMT"],
            ["If-Modified-Since: yesterday"],
            ['If-None-Match: "other"', f"If-Modified-Since: {MODIFIED}"],
            [f"If-Match: {tag}"],
            [f"If-Unmodified-Since: {MODIFIED}"],
        ):
            assert wire.ask("/static/notes.txt", *fields).status == 200, fields


def test_what_was_to_be_as_it_was_and_is_not(site: Site) -> None:
    tag = site.ask("/static/notes.txt").get("etag")
    with site.connect() as wire:
        for field in (
            'If-Match: "other"',
            f"If-Match: W/{tag}",
            "If-Unmodified-Since: Tue, 14 Nov 2023 22:13:19 GMT",
        ):
            answer = wire.ask("/static/notes.txt", field)
            assert (answer.status, answer.body) == (412, b""), field


# ------------------------------------------------------------------------------------------ ranges


@pytest.mark.parametrize("name", ["notes.txt", "large.bin"])
@pytest.mark.parametrize(
    ("wanted", "part"),
    [
        ("bytes=0-0", slice(0, 1)),
        ("bytes=10-99", slice(10, 100)),
        ("BYTES=10-99", slice(10, 100)),
        ("bytes=-7", slice(-7, None)),
        ("bytes=100-", slice(100, None)),
        ("bytes=100-99999999999999999999999", slice(100, None)),
        ("bytes=-99999999999", slice(0, None)),
        ("bytes= 5-6", slice(5, 7)),
        ("bytes=99999999-, 5-6", slice(5, 7)),
    ],
)
def test_one_range(site: Site, folder: Path, name: str, wanted: str, part: slice) -> None:
    content = (folder / name).read_bytes()
    answer = site.ask(f"/static/{name}", f"Range: {wanted}")
    assert (answer.status, answer.body) == (206, content[part])
    first, end, _ = part.indices(len(content))
    assert answer.get("content-range") == f"bytes {first}-{end - 1}/{len(content)}"


def parts_of(answer: Response) -> list[tuple[str, bytes]]:
    kind = answer.get("content-type") or ""
    message = email.message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + answer.body)
    found = []
    for part in message.walk():
        if not part.is_multipart():
            content = part.get_payload(decode=True)
            assert isinstance(content, bytes)
            found.append((part["Content-Range"], content))
    return found


def test_several_ranges_come_in_the_order_asked_for(site: Site) -> None:
    answer = site.ask("/static/notes.txt", "Range: bytes=100-109,0-9,-3,99999-")
    assert answer.status == 206
    size = len(TEXT)
    assert parts_of(answer) == [
        (f"bytes 100-109/{size}", TEXT[100:110]),
        (f"bytes 0-9/{size}", TEXT[:10]),
        (f"bytes {size - 3}-{size - 1}/{size}", TEXT[-3:]),
    ]


@pytest.mark.parametrize("wanted", ["bytes=5500-", "bytes=-0", "bytes=5500-5600,9999-"])
def test_ranges_that_it_has_not(site: Site, wanted: str) -> None:
    answer = site.ask("/static/notes.txt", f"Range: {wanted}")
    assert (answer.status, answer.body) == (416, b"")
    assert answer.get("content-range") == f"bytes */{len(TEXT)}"


@pytest.mark.parametrize(
    "wanted",
    [
        "lines=1-2",
        "bytes=2-1",
        "bytes=a-b",
        "bytes=",
        "bytes=-",
        "bytes=1-2;3",
        "bytes=0-,0-,0-",
        "bytes=" + ",".join(f"{n}-{n}" for n in range(101)),
    ],
)
def test_ranges_that_are_none_or_too_many_are_the_whole(site: Site, wanted: str) -> None:
    answer = site.ask("/static/notes.txt", f"Range: {wanted}")
    assert (answer.status, answer.body) == (200, TEXT)


def test_a_range_of_what_it_was_is_the_whole_of_what_it_is(site: Site) -> None:
    tag = site.ask("/static/notes.txt").get("etag")
    with site.connect() as wire:
        for condition, status in (
            (tag, 206),
            (f"W/{tag}", 200),
            ('"other"', 200),
            (MODIFIED, 206),
            ("Tue, 14 Nov 2023 22:13:21 GMT", 200),
            ("nonsense", 200),
        ):
            fields = ("Range: bytes=0-4", f"If-Range: {condition}")
            assert wire.ask("/static/notes.txt", *fields).status == status, condition
        twice = (f"If-Range: {tag}", f"If-Range: {tag}")
        assert wire.ask("/static/notes.txt", "Range: bytes=0-4", *twice).status == 200


def test_a_date_is_a_strong_validator_once_its_second_is_over(site: Site, folder: Path) -> None:
    """RFC 9110 section 8.8.2.2: within that second the file may change once more."""
    path = folder / "fresh.txt"
    path.write_bytes(TEXT)
    with site.connect() as wire:
        changed = int(time.time())
        os.utime(path, (changed, changed))
        date = formatdate(changed, usegmt=True)

        def is_part() -> bool:
            answer = wire.ask("/static/fresh.txt", "Range: bytes=0-4", f"If-Range: {date}")
            assert answer.get("last-modified") == date
            dated = parsedate_to_datetime(answer.get("date") or "").timestamp()
            assert answer.status == 200 or dated > changed, answer
            assert answer.status == 206 or answer.body == TEXT
            return answer.status == 206

        assert not is_part()
        assert eventually(is_part)


# ----------------------------------------------------------------------------------------- codings


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip", "gzip"),
        ("x-gzip", "gzip"),
        ("gzip, br", "br"),
        ("gzip;q=1, br;q=0.5", "gzip"),
        ("br;q=0, gzip", "gzip"),
        ("*", "br"),
        ("br;q=0, *;q=0.1", "gzip"),
        ("gzip;q=0.5, identity", None),
        ("gzip;q=0, br;q=0.000", None),
        ("gzip;q=2", None),
        ("deflate", None),
        ("", None),
    ],
)
def test_the_coding_is_the_one_that_its_client_likes_best(
    site: Site, folder: Path, accepted: str, coding: str | None
) -> None:
    suffix = {"gzip": ".gz", "br": ".br", None: ""}[coding]
    answer = site.ask("/static/bundle.js", f"Accept-Encoding: {accepted}")
    assert answer.get("content-encoding") == coding
    assert answer.body == (folder / f"bundle.js{suffix}").read_bytes()
    assert answer.get("content-type") == "text/javascript; charset=utf-8"
    assert answer.get("vary") == "Accept-Encoding"


def test_each_coding_is_known_by_a_tag_of_its_own(site: Site) -> None:
    with site.connect() as wire:
        plain = wire.ask("/static/bundle.js").get("etag")
        packed = wire.ask("/static/bundle.js", "Accept-Encoding: gzip").get("etag")
        assert plain != packed
        known = f"If-None-Match: {packed}"
        assert wire.ask("/static/bundle.js", known, "Accept-Encoding: gzip").status == 304
        assert wire.ask("/static/bundle.js", known).status == 200


def test_several_parts_of_what_is_coded_are_the_whole(site: Site, folder: Path) -> None:
    answer = site.ask("/static/bundle.js", "Accept-Encoding: gzip", "Range: bytes=0-1,5-9")
    assert (answer.status, answer.get("content-encoding")) == (200, "gzip")
    assert answer.body == (folder / "bundle.js.gz").read_bytes()


def test_no_file_is_of_the_future(serve: ServeFixture, tmp_path: Path) -> None:
    path = tmp_path / "new.txt"
    path.write_bytes(b"new")
    os.utime(path, (4_000_000_000, 4_000_000_000))
    answer = serve(app, static=f"/static={tmp_path}").ask("/static/new.txt")
    assert answer.get("last-modified") != "Wed, 03 Oct 2096 07:06:40 GMT"


def test_what_is_older_than_its_source_is_not_served_for_it(site: Site) -> None:
    answer = site.ask("/static/stale.js", "Accept-Encoding: gzip")
    assert (answer.body, answer.get("content-encoding")) == (b"new", None)


# -------------------------------------------------------------------------------- files that change


def test_a_change_is_seen_soon(serve: ServeFixture, tmp_path: Path) -> None:
    path = tmp_path / "page.txt"
    site = serve(app, static=f"/static={tmp_path}")

    def becomes(said: str) -> None:
        end = time.monotonic() + 10
        while site.ask("/static/page.txt").text != said:
            assert time.monotonic() < end, said

    becomes("GET /static/page.txt by the application")
    path.write_text("one")
    becomes("one")
    path.write_text("two")
    becomes("two")
    other = tmp_path / "other"
    other.write_text("six")
    os.utime(other, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    other.rename(path)
    becomes("six")
    path.unlink()
    becomes("GET /static/page.txt by the application")


def test_a_release_may_take_the_place_of_another(serve: ServeFixture, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "page.txt").write_text(name)
    current = tmp_path / "current"
    current.symlink_to("one")
    site = serve(app, static=f"/static={current}")
    assert site.ask("/static/page.txt").text == "one"
    (tmp_path / "next").symlink_to("two")
    (tmp_path / "next").rename(current)
    end = time.monotonic() + 10
    while site.ask("/static/page.txt").text != "two":
        assert time.monotonic() < end


@pytest.mark.no_http2("the end of an HTTP/1 connection is what tells")
def test_a_file_that_becomes_shorter_ends_the_connection(
    serve: ServeFixture, tmp_path: Path
) -> None:
    """What was announced cannot be kept, and must not look whole."""
    from harness.wire import Truncated

    path = tmp_path / "large"
    path.write_bytes(bytes(40_000_000))
    site = serve(app, static=f"/static={tmp_path}")
    with site.connect() as wire:
        wire.get("/static/large")
        reply = wire.reply()
        reply.head()
        path.write_bytes(b"")
        with pytest.raises(Truncated):
            reply.rest()


# -------------------------------------------------------------------------------------------- logs


def test_the_access_log_has_them(serve: ServeFixture, folder: Path) -> None:
    lines: list[str] = []
    came = threading.Event()

    def note(line: str) -> None:
        lines.append(line)
        if len(lines) == 2:
            came.set()

    site = serve(app, static=f"/static={folder}", access_log=note, access_log_format="%s %B %U")
    site.ask("/static/notes.txt")
    site.ask("/static/notes.txt", "Range: bytes=0-9")
    assert came.wait(10)
    assert lines == [f"200 {len(TEXT)} /static/notes.txt", "206 10 /static/notes.txt"]


def test_a_folder_that_vanishes_is_told_once_each_time(
    serve: ServeFixture, tmp_path: Path, error_log: LogWatch
) -> None:
    folder, away = tmp_path / "shown", tmp_path / "away"
    folder.mkdir()
    for name in "abcdefg":
        (folder / f"{name}.txt").write_bytes(TEXT)
    site = serve(app, static=f"/static={folder}")
    gone = f'ERROR static: the folder "{folder}" is gone; the application is asked'

    # Each file once: what was found at a path is believed for a second.
    with site.connect() as wire:
        assert wire.ask("/static/a.txt").body == TEXT
        for times, (missing, there) in enumerate((("bc", "d"), ("ef", "g")), 1):
            folder.rename(away)
            for name in missing:
                assert wire.ask(f"/static/{name}.txt").text.endswith("by the application")
            assert eventually(lambda: error_log.text.count(gone) == times)  # noqa: B023
            away.rename(folder)
            assert wire.ask(f"/static/{there}.txt").body == TEXT
    assert error_log.text.count(gone) == 2
