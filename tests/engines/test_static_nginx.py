"""Files beside nginx: the same requests get the same answers."""

from __future__ import annotations

import gzip
import os
import random
from typing import TYPE_CHECKING

import pytest

from harness.proxies import run_nginx_files
from harness.wire import Response, Wire
from test_static_files import app, parts_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from harness.site import ServeFixture

pytestmark = [
    pytest.mark.no_http2("nginx is asked by HTTP/1.1"),
    pytest.mark.no_tls("nginx is asked without"),
    pytest.mark.timeout(120),
]

SMALL = bytes(random.Random(1).randbytes(5_000))
LARGE = bytes(random.Random(2).randbytes(300_000))
MODIFIED = 1_700_000_000


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("root")
    contents = {"small.bin": SMALL, "large.bin": LARGE, "small.bin.gz": gzip.compress(SMALL)}
    for name, content in contents.items():
        (root / name).write_bytes(content)
        os.utime(root / name, (MODIFIED, MODIFIED))
    return root


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Iterator[int]:
    with run_nginx_files(tmp_path_factory.mktemp("nginx"), root) as port:
        yield port


def ask_nginx(port: int, target: str, *fields: str, method: str = "GET") -> Response:
    with Wire(("127.0.0.1", port)) as wire:
        return wire.ask(target, *fields, method=method)


def random_range(draw: random.Random, size: int) -> str:
    def one() -> str:
        first = draw.choice([0, 1, draw.randrange(size), size - 1, size, size + 1])
        last = draw.choice([first, first + draw.randrange(1, 5000), size - 1, size, size * 2])
        last = max(
            first, last
        )  # else it is no range (RFC 9110 section 14.1.1), which nginx calls one
        return draw.choice([f"{first}-{last}", f"{first}-", f"-{draw.randrange(1, size * 2)}"])

    spaces = draw.choice(["", " "])
    return "bytes=" + f",{spaces}".join(one() for _ in range(draw.choice([1, 1, 1, 2, 3, 5])))


def meaning(answer: Response) -> object:
    """What a client takes from it: the status, and each part with its place."""
    if answer.status == 206 and "multipart" in (answer.get("content-type") or ""):
        return 206, parts_of(answer)
    if answer.status == 416:
        return 416, answer.get("content-range")
    place = answer.get("content-range") if answer.status == 206 else None
    return answer.status, place, answer.body, answer.get("content-encoding")


def test_500_ranges_are_the_same(serve: ServeFixture, root: Path, port: int) -> None:
    draw = random.Random(20_251_127)
    seen = set()
    with serve(app, static=f"/={root}").connect() as wire:
        for _ in range(500):
            name, size = draw.choice([("small.bin", len(SMALL)), ("large.bin", len(LARGE))])
            wanted = random_range(draw, size)
            theirs = ask_nginx(port, f"/{name}", f"Range: {wanted}")
            ours = wire.ask(f"/{name}", f"Range: {wanted}")
            assert meaning(ours) == meaning(theirs), (name, wanted)
            seen.add(ours.status)
    assert seen == {200, 206, 416}


@pytest.mark.parametrize(
    "fields",
    [
        ["If-Modified-Since: Tue, 14 Nov 2023 22:13:20 GMT"],
        ["If-Unmodified-Since: Tue, 14 Nov 2023 22:13:19 GMT"],
        ["If-Unmodified-Since: Tue, 14 Nov 2023 22:13:20 GMT"],
        ["Accept-Encoding: gzip"],
        ["Accept-Encoding: gzip;q=0"],
        ["Range: bytes=0-9", "If-Range: Tue, 14 Nov 2023 22:13:20 GMT"],
        ["Range: bytes=0-9", "If-Range: Tue, 14 Nov 2023 22:13:19 GMT"],
        ['If-None-Match: "another"'],
        ['If-Match: "another"'],
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_conditions_and_codings_are_the_same(
    serve: ServeFixture, root: Path, port: int, method: str, fields: list[str]
) -> None:
    if method == "HEAD" and any(field.startswith("Range") for field in fields):
        pytest.skip("a range of HEAD means nothing (RFC 9110 section 14.2), which nginx answers")
    theirs = ask_nginx(port, "/small.bin", *fields, method=method)
    ours = serve(app, static=f"/={root}").ask("/small.bin", *fields, method=method)
    assert ours.status == theirs.status
    if ours.status < 400:  # nginx has pages of its own
        assert ours.body == theirs.body
        for name in ("content-range", "content-encoding", "last-modified", "content-length"):
            assert ours.get(name) == theirs.get(name), name
