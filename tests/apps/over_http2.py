"""What clients of HTTP/2 are tried on: an echo, trailers, hints, and an answer without end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

Environ = dict[str, Any]
StartResponse = Callable[..., Any]

PIECE = b"x" * 16384
ENDLESS_ENDED = threading.Event()
"""The answer without end was given up."""


def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    what = environ["PATH_INFO"]
    body = environ["wsgi.input"].read()
    if what == "/endless":
        start_response("200 OK", [])
        return endless()
    if what == "/echo":
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]
    if what == "/trailers":
        start_response("200 OK", [])
        return with_trailers(environ, dict(environ["wsgi.trailers"]))
    if what == "/hints":
        environ["wsgi.early_hints"]([("Link", "</style.css>; rel=preload")])
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{environ['SERVER_PROTOCOL']} {environ['REMOTE_PORT']}".encode()]


def endless() -> Iterator[bytes]:
    try:
        while True:
            yield PIECE
    finally:
        ENDLESS_ENDED.set()


def with_trailers(environ: Environ, sent: dict[str, str]) -> Iterator[bytes]:
    """The trailer section that came is what is sent."""
    yield b"body"
    environ["prowingen.send_trailers"](sorted(sent.items()))
