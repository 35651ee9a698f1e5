"""What the tests have gunicorn serve; each answer says which process made it."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_SHOWN = (
    "wsgi.multiprocess",
    "wsgi.multithread",
    "wsgi.url_scheme",
    "SCRIPT_NAME",
    "PATH_INFO",
    "REMOTE_ADDR",
    "HTTP_X_ADDED",
    "CONTENT_LENGTH",
    "HTTP_TRANSFER_ENCODING",
)
LOADED_BY = os.getpid()


def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    path: str = environ["PATH_INFO"]
    action = _ACTIONS.get(path)
    result = action(environ) if action else None
    if isinstance(result, _Stream):
        start_response("200 OK", [("Content-Type", "text/plain"), ("X-Made", "bit by bit")])
        return result
    if path == "/too-long":
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "4")])
        return [b"0123456789"]
    if path in _NO_BODIES:
        start_response("200 OK", [("Content-Type", "text/plain")])
        refused: Iterable[bytes] = _NO_BODIES[path]()
        return refused
    if path in _FILES:
        file = _FILES[path](environ)
        start_response("200 OK", [("Content-Type", "text/plain")])
        wrapped: Iterable[bytes] = environ["wsgi.file_wrapper"](file, 4096)
        return wrapped
    seen = {key: environ[key] for key in _SHOWN if key in environ}
    answer = {"pid": os.getpid(), "loaded_by": LOADED_BY, "threads": _worker_threads(), **seen}
    body = json.dumps(answer).encode()
    start_response(
        "200 OK",
        [
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(body))),
            ("X-Answer", "42"),
        ],
    )
    return [body]


def forks(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answers the child's id; at /lives_on the child does not come back."""
    child = os.fork()
    if child == 0 and environ["PATH_INFO"] == "/lives_on":
        for stream in (1, 2):
            os.dup2(0, stream)  # the test waits for the end of what gunicorn says
        time.sleep(60)
        os._exit(0)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(child).encode()]


def forks_late(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Once the answer has begun; both processes come back, with a body of the kind asked for."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    os.fork()
    if environ["PATH_INFO"] == "/fails":
        raise RuntimeError("as asked for")
    return [b"whole"] if environ["PATH_INFO"] == "/whole" else iter([b"bit", b"by bit"])


def _worker_threads() -> int:
    return sum(thread.name.startswith("prowingen-worker-") for thread in threading.enumerate())


def _sleep(environ: WSGIEnvironment) -> None:
    print("sleeping", environ["QUERY_STRING"], file=sys.stderr, flush=True)
    time.sleep(float(environ["QUERY_STRING"]))


def _fail(_environ: WSGIEnvironment) -> None:
    raise ValueError("the application failed")


def _complain(environ: WSGIEnvironment) -> None:
    environ["wsgi.errors"].write("a complaint to wsgi.errors\n")


def _read(environ: WSGIEnvironment) -> None:
    environ["wsgi.input"].read()


def _be_refused(_environ: WSGIEnvironment) -> None:
    raise ConnectionRefusedError("by another server")


class _Stream:
    def __init__(self, _environ: WSGIEnvironment) -> None:
        self._left = 3

    def __iter__(self) -> _Stream:
        return self

    def __next__(self) -> bytes:
        if not self._left:
            raise StopIteration
        self._left -= 1
        return b"0123456789"

    def close(self) -> None:
        print("the stream is closed", file=sys.stderr, flush=True)


def _just_written(_environ: WSGIEnvironment) -> Any:
    file = tempfile.TemporaryFile()  # noqa: SIM115  # closed by the server
    file.write(bytes(700))
    file.seek(0)
    return file


def _pipe(_environ: WSGIEnvironment) -> Any:
    reading, writing = os.pipe()
    os.write(writing, bytes(80))
    os.close(writing)
    return os.fdopen(reading, "rb")


_FILES: dict[str, Any] = {
    "/file": lambda environ: Path(environ["QUERY_STRING"]).open("rb"),  # noqa: SIM115
    "/just-written": _just_written,
    "/pipe": _pipe,
}
_NO_BODIES: dict[str, Any] = {
    "/texts": lambda: ["text"],
    "/text": lambda: "text",
    "/bytes": lambda: b"bytes",
    "/nothing": lambda: None,
    "/later-texts": lambda: iter(["text"]),
}
_ACTIONS: dict[str, Any] = {
    "/sleep": _sleep,
    "/fail": _fail,
    "/unreachable": _be_refused,
    "/complain": _complain,
    "/read": _read,
    "/stream": _Stream,
}
