"""wsgi.file_wrapper sends what a file's read() would return, whatever its descriptor has."""

from __future__ import annotations

import codecs
import io
import lzma
import os
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.apps import wrapping
from harness.wire import Truncated

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.logwatch import LogWatch
    from harness.site import ServeFixture


def rewritten(path: Path) -> Any:
    """Read, rewound, and written inside its buffer: the descriptor has the old bytes."""
    path.write_bytes(b"old bytes " * 100)
    file = path.open("r+b")
    file.read(10)
    file.seek(0)
    file.write(b"NEW")
    file.seek(0)
    return file


def grown(path: Path) -> Any:
    """Likewise, so that the descriptor's size is an old one, too."""
    path.write_bytes(b"short")
    file = path.open("r+b")
    file.read(3)
    file.seek(0)
    file.write(b"longer now")
    file.seek(0)
    return file


def just_written(path: Path) -> Any:
    file = tempfile.TemporaryFile()  # noqa: SIM115  # the server closes it
    file.write(b"just written")
    file.seek(0)
    return file


def appended(path: Path) -> Any:
    """The position is inside what the descriptor has, the end is not."""
    path.write_bytes(b"a" * 5000)
    file = path.open("r+b")
    file.seek(0, os.SEEK_END)
    file.write(b"b" * 50)
    file.seek(4990)
    return file


def with_a_read_of_its_own(path: Path) -> Any:
    """One object, not its type."""
    path.write_bytes(b"encrypted")
    file = io.FileIO(path)
    pieces = [b"plain"]
    file.read = lambda size=-1: pieces.pop() if pieces else b""  # type: ignore[method-assign]
    return file


def over_a_raw_with_a_readinto_of_its_own(path: Path) -> Any:
    path.write_bytes(b"encrypted")
    file = path.open("rb")
    source = io.BytesIO(b"plain")
    file.raw.readinto = source.readinto  # type: ignore[method-assign]
    return file


class Rot13(io.FileIO):
    def readinto(self, buffer: Any) -> int:
        count = super().readinto(buffer) or 0
        text = bytes(buffer[:count]).decode()
        buffer[:count] = codecs.encode(text, "rot13").encode()
        return count

    def read(self, size: int | None = -1) -> bytes:
        return codecs.encode((super().read(size) or b"").decode(), "rot13").encode()


def encrypted(path: Path) -> Any:
    path.write_text("cynva")
    return Rot13(path)


def encrypted_and_buffered(path: Path) -> Any:
    path.write_text("cynva")
    return io.BufferedReader(Rot13(path))


def decompressed(path: Path) -> Any:
    path.write_bytes(lzma.compress(b"plain"))
    return lzma.open(path)


def from_an_archive(path: Path) -> Any:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("member", b"plain")
    return zipfile.ZipFile(path).open("member")


def spooled(path: Path) -> Any:
    file = tempfile.SpooledTemporaryFile(max_size=10)  # noqa: SIM115
    file.write(b"rolled over to a file")
    file.seek(0)
    return file


def made_up_without_a_size(path: Path) -> Any:
    return Path("/proc/version").open("rb")


def made_up_of_a_page(path: Path) -> Any:
    return Path("/sys/kernel/mm/transparent_hugepage/enabled").open("rb")


@pytest.mark.parametrize(
    "open_file",
    [
        rewritten,
        grown,
        just_written,
        appended,
        with_a_read_of_its_own,
        over_a_raw_with_a_readinto_of_its_own,
        encrypted,
        encrypted_and_buffered,
        decompressed,
        from_an_archive,
        spooled,
        made_up_without_a_size,
        made_up_of_a_page,
    ],
)
def test_what_read_would_return_is_sent(
    serve: ServeFixture, tmp_path: Path, open_file: Callable[[Path], Any]
) -> None:
    """Whatever the descriptor has."""
    try:
        with open_file(tmp_path / "content") as file:
            expected = file.read(1 << 16)
    except FileNotFoundError as missing:
        pytest.skip(f"{missing.filename}: this system has no such file")
    with serve(wrapping(lambda: open_file(tmp_path / "content"))).connect() as wire:
        assert wire.ask().body == expected
        assert wire.ask().body == expected, "the connection should still be in step"


def test_file_that_cannot_be_flushed_is_an_error_and_not_old_bytes(
    serve: ServeFixture, error_log: LogWatch
) -> None:
    def unwritable() -> Any:
        file = Path("/dev/full").open("r+b")  # noqa: SIM115  # the server closes it
        file.write(b"lost")
        return file

    assert serve(wrapping(unwritable)).ask().status == 500
    error_log.wait_for("No space left on device")


def test_file_open_for_writing_alone_is_an_error(
    serve: ServeFixture, tmp_path: Path, error_log: LogWatch
) -> None:
    written = tmp_path / "written"
    assert serve(wrapping(lambda: io.FileIO(written, "w"))).ask().status == 500
    error_log.wait_for("not open for reading")


class Unread:
    """A client that has asked for a file larger than what the sockets hold, and reads none yet."""

    def __init__(self, serve: ServeFixture, folder: Path) -> None:
        self.path = folder / "changing"
        self.size = 16 << 20
        with self.path.open("wb") as file:
            file.truncate(self.size)
        self.wire = serve(wrapping(lambda: self.path.open("rb"))).connect()
        self.wire.get()
        self.reply = self.wire.reply()
        self.reply.exactly(1)


def test_file_that_becomes_longer_is_sent_as_it_was(serve: ServeFixture, tmp_path: Path) -> None:
    unread = Unread(serve, tmp_path)
    with unread.path.open("ab") as file:
        file.write(b"more")
    assert len(unread.reply.rest().body) == unread.size
    assert unread.wire.ask().body[-4:] == b"more"


def test_file_that_becomes_shorter_is_cut_and_said(
    serve: ServeFixture, tmp_path: Path, error_log: LogWatch
) -> None:
    unread = Unread(serve, tmp_path)
    with unread.path.open("r+b") as file:
        file.truncate(1000)
    with pytest.raises((Truncated, ConnectionResetError)):
        unread.reply.rest()
    error_log.wait_for("GET /: the file became shorter while it was sent")
