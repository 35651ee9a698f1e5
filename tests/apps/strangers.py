"""What clients that fill memory ask for; each piece of an answer is an object of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .plain import PLAIN, Environ, StartResponse, hello, upload

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PIECE = 64 * 1024


def generated(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    """As many bytes as the query says."""
    start_response("200 OK", PLAIN)
    for _ in range(int(environ["QUERY_STRING"]) // PIECE):
        yield bytes(PIECE)


ROUTES = {"/hello": hello, "/upload": upload, "/generated": generated}


def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    return ROUTES[environ["PATH_INFO"]](environ, start_response)
