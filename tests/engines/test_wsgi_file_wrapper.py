"""wsgi.file_wrapper: files sent by the kernel where they are real, by reading where not."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
from typing import TYPE_CHECKING, Any

import pytest

from harness.apps import Closable, Environ, StartResponse, wrapping
from harness.wire import Truncated

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from harness.logwatch import LogWatch
    from harness.site import ServeFixture

CONTENT = b"".join(b"line %06d\n" % number for number in range(100_000))


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("files") / "content"
    path.write_bytes(CONTENT)
    return path


@pytest.mark.parametrize("block", [None, 1, 8192, 1 << 22])
def test_file_is_sent_whole_at_any_block_size(
    serve: ServeFixture, tmp_path: Path, block: int | None
) -> None:
    small = tmp_path / "small"
    small.write_bytes(CONTENT[:5000])
    with serve(wrapping(lambda: small.open("rb"), block=block)).connect() as wire:
        assert wire.ask().body == CONTENT[:5000]
        assert wire.ask().body == CONTENT[:5000], "the connection should still be in step"


def test_large_file_is_sent_whole(serve: ServeFixture, path: Path) -> None:
    assert serve(wrapping(lambda: path.open("rb"))).ask().body == CONTENT


def test_file_is_sent_from_its_position(serve: ServeFixture, path: Path) -> None:
    def at_offset() -> Any:
        file = path.open("rb")
        file.seek(777_777)
        return file

    assert serve(wrapping(at_offset)).ask().body == CONTENT[777_777:]


def test_position_behind_a_buffered_read_counts(serve: ServeFixture, path: Path) -> None:
    """The descriptor is already further than tell() says: only tell() is right."""

    def partly_read() -> Any:
        file = path.open("rb")
        file.readline()
        return file

    assert serve(wrapping(partly_read)).ask().body == CONTENT[12:]


def test_declared_length_ends_the_file_early(serve: ServeFixture, path: Path) -> None:
    def at_offset() -> Any:
        file = path.open("rb")
        file.seek(100)
        return file

    with serve(wrapping(at_offset, ("Content-Length", "5000"))).connect() as wire:
        response = wire.ask()
        assert response.get("Content-Length") == "5000"
        assert response.body == CONTENT[100:5100]
        assert wire.ask().body == CONTENT[100:5100]


def test_file_shorter_than_declared_is_seen_as_incomplete(
    serve: ServeFixture, tmp_path: Path, error_log: LogWatch
) -> None:
    short = tmp_path / "short"
    short.write_bytes(b"short")
    app = wrapping(lambda: short.open("rb"), ("Content-Length", "500"))
    with serve(app).connect() as wire:
        wire.get()
        try:
            assert wire.response().status == 500
        except Truncated:
            wire.expect_over()


def test_head_sends_no_file(serve: ServeFixture, path: Path) -> None:
    with serve(wrapping(lambda: path.open("rb"), ("Content-Length", "5000"))).connect() as wire:
        assert wire.ask(method="HEAD").body == b""
        assert wire.ask(method="HEAD").get("Content-Length") == "5000"


def test_empty_file(serve: ServeFixture, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.touch()
    assert serve(wrapping(lambda: empty.open("rb"))).ask().body == b""


def test_unbuffered_file(serve: ServeFixture, path: Path) -> None:
    assert serve(wrapping(lambda: path.open("rb", buffering=0))).ask().body == CONTENT


def test_bytes_io_is_read(serve: ServeFixture) -> None:
    def at_offset() -> Any:
        file = io.BytesIO(CONTENT)
        file.seek(500)
        return file

    assert serve(wrapping(at_offset)).ask().body == CONTENT[500:]


def test_object_with_read_alone_is_read(serve: ServeFixture) -> None:
    class Reader:
        def __init__(self) -> None:
            self.pieces = [b"a" * 10, b"b" * 10]

        def read(self, size: int = -1) -> bytes:
            return self.pieces.pop(0) if self.pieces else b""

    assert serve(wrapping(Reader)).ask().body == b"a" * 10 + b"b" * 10


def test_pipe_is_read_to_its_end(serve: ServeFixture) -> None:
    """A descriptor that sendfile() cannot take must fall back, not fail."""

    def pipe() -> Any:
        reading, writing = os.pipe()
        os.write(writing, b"through a pipe")
        os.close(writing)
        return os.fdopen(reading, "rb")

    assert serve(wrapping(pipe)).ask().body == b"through a pipe"


def test_fileno_that_lies_is_not_trusted_with_wrapped_content(
    serve: ServeFixture, path: Path
) -> None:
    """gzip's file object has a fileno(), but of the compressed bytes; read() is what it means."""
    packed = path.with_suffix(".gz")
    with gzip.open(packed, "wb", compresslevel=1) as file:
        file.write(CONTENT[:10_000])
    app = wrapping(lambda: gzip.GzipFile(packed))
    assert serve(app).ask().body == CONTENT[:10_000]


def test_text_file_gives_an_error_not_text(serve: ServeFixture, path: Path) -> None:
    def text() -> Any:
        return path.open("r", encoding="utf-8")

    with serve(wrapping(text)).connect() as wire:
        wire.get("/", "Connection: close")
        with contextlib.suppress(Truncated):
            assert wire.response().status == 500


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_file_is_closed_once(serve: ServeFixture, path: Path, method: str) -> None:
    closes: list[int] = []

    class File(io.FileIO):
        def close(self) -> None:
            if not self.closed:
                closes.append(1)
            super().close()

    site = serve(wrapping(lambda: File(path, "rb")), threads=1)
    site.ask(method=method)
    site.ask(method=method)
    assert closes[:1] == [1], "closed before the only worker took another request"


def test_file_is_closed_when_the_client_left(serve: ServeFixture, tmp_path: Path) -> None:
    """A sparse file far larger than any socket buffer."""
    sparse = tmp_path / "sparse"
    with sparse.open("wb") as file:
        file.truncate(1 << 30)
    watch = Closable([])

    class File(io.FileIO):
        def close(self) -> None:
            super().close()
            if not watch.closed.is_set():
                watch.close()

    with serve(wrapping(lambda: File(sparse, "rb"))).connect() as wire:
        wire.get()
        wire.reply().exactly(1)
        wire.reset()
    watch.expect_closed_once()


def test_wrapper_given_to_middleware_still_iterates(serve: ServeFixture, path: Path) -> None:
    inner = wrapping(lambda: path.open("rb"), block=4096)

    def upper(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        wrapped = inner(environ, start_response)
        try:
            return [piece.upper() for piece in wrapped]
        finally:
            wrapped.close()  # type: ignore[attr-defined]

    assert serve(upper).ask().body == CONTENT.upper()


def test_wrapper_yields_blocks_of_the_size_given(serve: ServeFixture, path: Path) -> None:
    sizes: list[int] = []
    inner = wrapping(lambda: path.open("rb"), block=1000)

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        wrapped = inner(environ, start_response)
        sizes.append(len(next(iter(wrapped))))
        wrapped.close()  # type: ignore[attr-defined]
        return [b"x"]

    serve(app).ask()
    assert sizes == [1000]


def test_many_clients_download_one_file_at_once(serve: ServeFixture, path: Path) -> None:
    site = serve(wrapping(lambda: path.open("rb")))
    wires = [site.connect() for _ in range(8)]
    for wire in wires:
        wire.get()
    for wire in wires:
        assert wire.response().body == CONTENT
