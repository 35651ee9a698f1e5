"""The WSGI applications that every server is given: raw callables, no framework.

Each answers in the cheapest correct way, so that what is measured is the server.
Names are lower case because socketify lower-cases its `module:attribute` argument.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

HELLO = b"Hello, World!"
ANSWER = b"a" * (1 << 20)
CHUNK = b"c" * 1024
CHUNKS = 100
SLOW_PATH = "/slow"


def _answer(start_response: StartResponse, body: bytes) -> list[bytes]:
    headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))]
    start_response("200 OK", headers)
    return [body]


def hello(_environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    return _answer(start_response, HELLO)


def kept(_environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """For longer than any row is measured."""
    length = ("Content-Length", str(len(HELLO)))
    headers = [("Content-Type", "text/plain"), length, ("Cache-Control", "s-maxage=86400")]
    start_response("200 OK", headers)
    return [HELLO]


def answer_1mib(_environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    return _answer(start_response, ANSWER)


def echo(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    return _answer(start_response, body)


def stream_100(_environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """No Content-Length: the server frames each chunk, as it would for a template."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return _chunks()


def _chunks() -> Iterator[bytes]:
    for _ in range(CHUNKS):
        yield CHUNK


def sleep_10ms(_environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    time.sleep(0.010)
    return _answer(start_response, HELLO)


def mixed(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    if environ["PATH_INFO"] == SLOW_PATH:
        time.sleep(0.050)
    return _answer(start_response, HELLO)
