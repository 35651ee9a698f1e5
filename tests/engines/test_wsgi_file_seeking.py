"""What is given a wsgi.file_wrapper can use it as the file, and need not read what it skips."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.apps import PLAIN

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.apps import Environ, StartResponse
    from harness.site import ServeFixture

CONTENT = b"".join(b"line %06d\n" % number for number in range(1000))
COUNTERS = Path("/proc/self/io")


def test_wrapper_can_be_used_as_its_file(serve: ServeFixture, tmp_path: Path) -> None:
    path = tmp_path / "content"
    path.write_bytes(CONTENT)
    seen: dict[str, object] = {}

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", PLAIN)
        wrapper = environ["wsgi.file_wrapper"](path.open("rb"))
        seen["seekable"] = wrapper.seekable()
        wrapper.seek(12)
        seen["tell"] = wrapper.tell()
        seen["read"] = wrapper.read(11)
        seen["name"] = wrapper.name
        wrapper.seek(-12, os.SEEK_END)
        return wrapper  # type: ignore[no-any-return]

    assert serve(app).ask().body == CONTENT[-12:]
    assert seen == {"seekable": True, "tell": 12, "read": b"line 000001", "name": str(path)}


def test_wrapper_has_no_more_than_its_file(serve: ServeFixture) -> None:
    class Reader:
        def read(self, size: int = -1) -> bytes:
            return b""

        def __len__(self) -> int:
            return 5

    missing: list[str] = []

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", PLAIN)
        wrapper = environ["wsgi.file_wrapper"](Reader())
        missing.extend(
            name for name in ("seekable", "fileno", "__len__") if not hasattr(wrapper, name)
        )
        return wrapper  # type: ignore[no-any-return]

    assert serve(app).ask().status == 200
    assert missing == ["seekable", "fileno", "__len__"]


@pytest.mark.skipif(not COUNTERS.exists(), reason="the system does not count reads")
@pytest.mark.parametrize(
    ("wanted", "length"), [("bytes=-4", 4), ("bytes=1000000000-1000000009", 10), ("bytes=0-3", 4)]
)
def test_range_of_a_large_file_reads_no_more_than_that(
    serve: ServeFixture, tmp_path: Path, wanted: str, length: int
) -> None:
    """Flask's send_file(): Werkzeug seeks if it can, and reads what it does not want otherwise."""
    flask = pytest.importorskip("flask")
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(1 << 30)
    app = flask.Flask(__name__)
    app.add_url_rule("/", view_func=lambda: flask.send_file(large, conditional=True))
    site = serve(app)
    site.ask(method="HEAD")  # what the first request imports is not counted
    before = bytes_read()
    answer = site.ask("/", f"Range: {wanted}")
    assert (answer.status, answer.body) == (206, bytes(length))
    assert bytes_read() - before < 1 << 20


def bytes_read() -> int:
    """By this process so far, from files and sockets."""
    with COUNTERS.open() as counters:
        return int(counters.readline().removeprefix("rchar: "))
