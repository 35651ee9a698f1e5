"""Plain WSGI for servers in processes of their own, driven by what the client sends."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

Environ = dict[str, Any]
StartResponse = Callable[..., Any]

BLOCK = b"\xa5" * 65536
PLAIN = [("Content-Type", "text/plain")]


def hello(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", PLAIN)
    return [b"hello"]


def large(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """8 MiB, memory of its own for each answer."""
    start_response("200 OK", PLAIN)
    return [BLOCK * 128]


def slow(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    """Two pieces, with as many milliseconds between them as the query says."""
    start_response("200 OK", PLAIN)
    yield b"begun "
    time.sleep(int(environ["QUERY_STRING"] or 0) / 1000)
    yield b"done"


def upload(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Counts the body without keeping it."""
    count = 0
    while piece := environ["wsgi.input"].read(len(BLOCK)):
        count += len(piece)
    start_response("200 OK", PLAIN)
    return [str(count).encode()]


def download(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """As many bytes as the query says, generated while they are sent."""
    blocks, rest = divmod(int(environ["QUERY_STRING"]), len(BLOCK))
    start_response("200 OK", [*PLAIN, ("Content-Length", environ["QUERY_STRING"])])

    def generate() -> Iterator[bytes]:
        for _ in range(blocks):
            yield BLOCK
        if rest:
            yield BLOCK[:rest]

    return generate()


def noted(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Writes the query to the file NOTES names: proof that this request was accepted."""
    with open(os.environ["NOTES"], "a") as notes:  # noqa: PTH123 - O_APPEND keeps lines whole
        notes.write(environ["QUERY_STRING"] + "\n")
    time.sleep(0.002)
    start_response("200 OK", PLAIN)
    return [environ["QUERY_STRING"].encode()]


def failing(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    raise RuntimeError("as asked for")


PAGES = {
    "/": hello,
    "/slow": slow,
    "/upload": upload,
    "/download": download,
    "/noted": noted,
    "/failing": failing,
}


def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    return PAGES[environ["PATH_INFO"]](environ, start_response)
