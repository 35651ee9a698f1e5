"""Small WSGI apps that tests build on."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

Environ = dict[str, Any]
StartResponse = Callable[..., Callable[[bytes], object]]
App = Callable[[Environ, StartResponse], Iterable[bytes]]

PLAIN = [("Content-Type", "text/plain")]


def hello(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", PLAIN)
    return [b"hello"]


def answering(
    body: Iterable[bytes], status: str = "200 OK", headers: Iterable[tuple[str, str]] = ()
) -> App:
    """An app that returns just this iterable."""

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response(status, [*PLAIN, *headers])
        return body

    return app


def wrapping(
    open_file: Callable[[], Any], *headers: tuple[str, str], block: int | None = None
) -> App:
    """An app that returns a file by wsgi.file_wrapper."""

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [*PLAIN, *headers])
        wrapper = environ["wsgi.file_wrapper"]
        result: Iterable[bytes] = wrapper(open_file(), block) if block else wrapper(open_file())
        return result

    return app


def wire_environ(environ: Mapping[str, Any]) -> dict[str, str]:
    """The environ's strings: what came over the wire and what CGI names."""
    return {key: value for key, value in environ.items() if isinstance(value, str)}


class Echo:
    """Answers with its environ and body as JSON, and keeps what it was asked."""

    def __init__(self) -> None:
        self.environs: list[Environ] = []
        self._lock = threading.Lock()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        body = environ["wsgi.input"].read()
        with self._lock:
            self.environs.append(environ)
        seen = {"environ": wire_environ(environ), "body": body.decode("latin-1")}
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(seen).encode()]


class Gate:
    """An event pair for apps that must be seen running and told to go on."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.opened = threading.Event()

    def pass_through(self, timeout: float = 10) -> None:
        self.entered.set()
        assert self.opened.wait(timeout), "nobody opened the gate"

    def wait_entered(self, timeout: float = 10) -> None:
        assert self.entered.wait(timeout), "the app was never called"


class Closable:
    """An iterable that counts its close() calls and tells when the first came."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self.closes = 0
        self.closed = threading.Event()

    def __iter__(self) -> Closable:
        return self

    def __next__(self) -> bytes:
        return next(self._chunks)

    def close(self) -> None:
        self.closes += 1
        self.closed.set()

    def expect_closed_once(self, timeout: float = 10) -> None:
        assert self.closed.wait(timeout), "close() was never called"
        assert self.closes == 1


class Routes:
    """Calls the app registered for PATH_INFO; others get 404."""

    def __init__(self, **apps: App) -> None:
        self.apps = {f"/{name}": app for name, app in apps.items()}

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        app = self.apps.get(environ["PATH_INFO"])
        if app is None:
            start_response("404 Not Found", PLAIN)
            return [b"no such page"]
        return app(environ, start_response)
