"""X-Sendfile and X-Accel-Redirect: the application names the file, and need not open it."""

from __future__ import annotations

import gzip
import os
from typing import TYPE_CHECKING

import flask
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from harness.apps import Environ, StartResponse
    from harness.logwatch import LogWatch
    from harness.site import ServeFixture

CONTENT = b"".join(b"line %06d\n" % number for number in range(50_000))
MODIFIED = 1_700_000_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "private"
    folder.mkdir()
    for name in ("report.pdf", ".hidden", "with space.txt", "100%25.txt"):
        (folder / name).write_bytes(CONTENT)
        os.utime(folder / name, (MODIFIED, MODIFIED))
    (folder / "deep").mkdir()
    (folder / "deep" / "report.pdf").write_bytes(CONTENT)
    (folder / "report.pdf.gz").write_bytes(b"not asked for")
    (tmp_path / "secret.txt").write_bytes(b"secret")
    return folder


class Naming:
    """Answers with these fields, and a body that is not to be sent."""

    def __init__(self, *fields: tuple[str, str], status: str = "200 OK") -> None:
        self.fields = list(fields)
        self.status = status
        self.closed = 0

    def __call__(self, _environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response(self.status, self.fields)
        return self

    def __iter__(self) -> Naming:
        return self

    def __next__(self) -> bytes:
        raise AssertionError("the body was asked for")

    def close(self) -> None:
        self.closed += 1


def named(path: Path | str, *fields: tuple[str, str]) -> Naming:
    return Naming(("Content-Type", "application/x-ours"), *fields, ("X-Sendfile", str(path)))


def test_the_file_is_sent_in_place_of_the_body(serve: ServeFixture, folder: Path) -> None:
    app = named(folder / "report.pdf", ("Content-Length", "0"), ("X-Other", "kept"))
    site = serve(app, sendfile=f"/private={folder}")
    with site.connect() as wire:
        for asked in range(1, 4):
            answer = wire.ask("/any")
            assert (answer.status, answer.body) == (200, CONTENT)
            assert answer.get("content-type") == "application/x-ours"
            assert answer.get("x-other") == "kept"
            assert answer.get("x-sendfile") is None
            assert answer.get("accept-ranges") == "bytes"
            assert answer.get("last-modified") == "Tue, 14 Nov 2023 22:13:20 GMT"
            assert answer.get("cache-control") is None
            assert app.closed == asked


@pytest.mark.parametrize("name", ["report.pdf", ".hidden", "with space.txt", "100%25.txt"])
@pytest.mark.parametrize("encoded", [False, True])
def test_a_path_may_be_encoded(serve: ServeFixture, folder: Path, name: str, encoded: bool) -> None:
    path = str(folder / name)
    if encoded:
        path = path.replace("%", "%25").replace(" ", "%20")
    assert serve(named(path), sendfile=f"/private={folder}").ask().body == CONTENT


def test_a_target_stands_for_a_file(serve: ServeFixture, folder: Path) -> None:
    app = Naming(("X-Accel-Redirect", "/private/with%20space.txt?x=y"))
    answer = serve(app, sendfile=f"/private={folder}").ask()
    assert answer.body == CONTENT
    assert answer.get("content-type") == "text/plain; charset=utf-8"


def test_a_generator_may_name_it(serve: ServeFixture, folder: Path) -> None:
    def app(_environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [("X-Sendfile", str(folder / "report.pdf"))])
        yield b""
        raise AssertionError("the rest of the body was asked for")

    def silent(_environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [("X-Sendfile", str(folder / "report.pdf"))])
        yield from ()

    for each in (app, silent):
        assert serve(each, sendfile=f"/private={folder}").ask().body == CONTENT


def test_what_was_written_goes_before_what_is_named(
    serve: ServeFixture, folder: Path, error_log: LogWatch
) -> None:
    def app(_environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        write = start_response("200 OK", [("X-Sendfile", str(folder / "report.pdf"))])
        write(b"written")
        return []

    assert serve(app, sendfile=f"/private={folder}").ask().body == b"written"
    error_log.wait_for("X-Sendfile", "what came by write() was sent instead")


def test_a_name_that_is_no_ascii(serve: ServeFixture, folder: Path) -> None:
    (folder / "caf\xe9.txt").write_bytes(CONTENT)
    site = serve(named(folder / "caf\xe9.txt"), sendfile=f"/private={folder}")
    assert site.ask().body == CONTENT


def test_conditions_are_of_who_reads(serve: ServeFixture, folder: Path) -> None:
    site = serve(named(folder / "report.pdf"), sendfile=f"/private={folder}")
    assert site.post(b"done", "/", "If-None-Match: *").status == 200


@pytest.mark.no_http2("its windows are the client's to give")
def test_parts_that_are_read_slowly_keep_no_worker(serve: ServeFixture, folder: Path) -> None:
    path = folder / "large.bin"
    with path.open("wb") as file:
        file.truncate(60_000_000)
    site = serve(named(path), threads=1, sendfile=f"/private={folder}")
    with site.connect() as slow, site.connect() as other:
        slow.get("/", "Range: bytes=0-20000000,20000001-50000000")
        assert slow.reply().head().status == 206
        other.get("/", "Range: bytes=0-1")
        assert other.response().body == bytes(2)


def test_head_has_no_content(serve: ServeFixture, folder: Path) -> None:
    site = serve(named(folder / "report.pdf"), sendfile=f"/private={folder}")
    answer = site.ask(method="HEAD")
    assert (answer.status, answer.body) == (200, b"")
    assert answer.get("content-length") == str(len(CONTENT))


def test_ranges_and_conditions_are_seen_to(serve: ServeFixture, folder: Path) -> None:
    app = named(folder / "report.pdf", ("ETag", '"theirs"'))
    site = serve(app, sendfile=f"/private={folder}")
    part = site.ask("/", "Range: bytes=10-29")
    assert (part.status, part.body) == (206, CONTENT[10:30])
    assert part.get("etag") == '"theirs"'
    assert site.ask("/", 'If-None-Match: "theirs"').status == 304
    assert site.ask("/", "Range: bytes=99999999-").status == 416


def test_what_is_no_success_is_sent_whole(serve: ServeFixture, folder: Path) -> None:
    app = Naming(("X-Sendfile", str(folder / "report.pdf")), status="404 Gone Fishing")
    answer = serve(app, sendfile=f"/private={folder}").ask("/", "Range: bytes=0-1")
    assert answer.says("404 Gone Fishing")
    assert answer.body == CONTENT


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("X-Sendfile", "{folder}/../secret.txt"),
        ("X-Sendfile", "{folder}/%2e%2e/secret.txt"),
        ("X-Sendfile", "{folder}/none"),
        ("X-Sendfile", "{folder}"),
        ("X-Sendfile", "{folder}-other/report.pdf"),
        ("X-Sendfile", "/etc/passwd"),
        ("X-Sendfile", "report.pdf"),
        ("X-Sendfile", ""),
        ("X-Accel-Redirect", "/private/../secret.txt"),
        ("X-Accel-Redirect", "/private/%2e%2e%2fsecret.txt"),
        ("X-Accel-Redirect", "/private/report.pdf%00"),
        ("X-Accel-Redirect", "/other/report.pdf"),
        ("X-Accel-Redirect", "%"),
        ("X-Accel-Redirect", "/private/deep/../report.pdf"),
        ("X-Accel-Redirect", "/private/deep%2Freport.pdf"),
        ("X-Sendfile", "{folder}/deep/../report.pdf"),
        ("X-Sendfile", "{folder}/deep%2F..%2Freport.pdf"),
        ("X-Sendfile", "{folder}/deep%2Freport.pdf"),
        ("X-Sendfile", "{folder}//report.pdf"),
    ],
)
def test_what_may_not_be_sent_is_answered_404_and_told(
    serve: ServeFixture, folder: Path, error_log: LogWatch, field: str, value: str
) -> None:
    site = serve(Naming((field, value.format(folder=folder))), sendfile=f"/private={folder}")
    answer = site.ask()
    assert (answer.status, answer.body) == (404, b"Not Found\n")
    error_log.wait_for(f"GET / HTTP/{site.protocol.partition('/')[2]}", field, "it is answered 404")


def test_a_link_out_is_not_followed(serve: ServeFixture, folder: Path) -> None:
    (folder / "out").symlink_to("../secret.txt")
    site = serve(named(folder / "out"), sendfile=f"/private={folder}")
    assert site.ask().status == 404


def test_without_the_option_it_is_a_field_like_any_other(serve: ServeFixture, folder: Path) -> None:
    def app(_environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [("X-Sendfile", str(folder / "report.pdf"))])
        return [b"body"]

    answer = serve(app).ask()
    assert answer.get("x-sendfile") == str(folder / "report.pdf")
    assert answer.body == b"body"


def test_flask_sends_by_it(serve: ServeFixture, folder: Path) -> None:
    app = flask.Flask("naming")
    app.config["USE_X_SENDFILE"] = True

    @app.get("/<name>")
    def download(name: str) -> flask.Response:
        return flask.send_file(folder / name, as_attachment=True)

    site = serve(app, sendfile=f"/private={folder}")
    whole = site.ask("/report.pdf")
    assert whole.body == CONTENT
    assert whole.get("content-disposition") == "attachment; filename=report.pdf"
    part = site.ask("/report.pdf", "Range: bytes=5-9")
    assert (part.status, part.body) == (206, CONTENT[5:10])
    assert part.get("content-range") == f"bytes 5-9/{len(CONTENT)}"
    tag = whole.get("etag")
    assert site.ask("/report.pdf", f"If-None-Match: {tag}").status == 304


def test_a_coding_that_the_application_says_is_the_files(serve: ServeFixture, folder: Path) -> None:
    """The file is sent as it is: who names a compressed one says so, as Werkzeug does of a .gz."""
    packed = gzip.compress(CONTENT)
    (folder / "report.txt.gz").write_bytes(packed)
    app = flask.Flask("packed")
    app.config["USE_X_SENDFILE"] = True

    @app.get("/")
    def download() -> flask.Response:
        return flask.send_file(folder / "report.txt.gz", etag=False)

    site = serve(app, sendfile=f"/private={folder}")
    for fields in ([], ["Accept-Encoding: identity"]):
        whole = site.ask("/", *fields)
        assert (whole.status, whole.body) == (200, packed)
        assert whole.get("content-encoding") == "gzip"
        assert whole.get("content-type") == "text/plain; charset=utf-8"
    part = site.ask("/", "Range: bytes=10-29")
    assert (part.status, part.body, part.get("content-encoding")) == (206, packed[10:30], "gzip")


def test_several_parts_of_a_file_that_is_coded_are_the_whole(
    serve: ServeFixture, folder: Path
) -> None:
    """Of several, the coding would be that of what is around them."""
    app = named(folder / "report.pdf.gz", ("Content-Encoding", "gzip"))
    answer = serve(app, sendfile=f"/private={folder}").ask("/", "Range: bytes=0-1,4-5")
    assert (answer.status, answer.body) == (200, b"not asked for")
    assert answer.get("content-encoding") == "gzip"


@pytest.mark.parametrize(
    ("field", "status"),
    [("If-None-Match: *", 304), ('If-Match: "other"', 412), ("Range: bytes=999-", 416)],
)
def test_what_has_no_content_has_no_coding(
    serve: ServeFixture, folder: Path, field: str, status: int
) -> None:
    app = named(folder / "report.pdf.gz", ("Content-Encoding", "gzip"), ("X-Other", "kept"))
    answer = serve(app, sendfile=f"/private={folder}").ask("/", field)
    assert (answer.status, answer.body) == (status, b"")
    assert answer.get("content-encoding") is None
    assert answer.get("x-other") == "kept"
