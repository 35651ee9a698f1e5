"""An application mounted below paths: PEP 3333's SCRIPT_NAME."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class Mounts:
    """A WSGI application that hands on what is below its paths and answers 404 to the rest.

    paths: where the application is, as "/api" or "" for everywhere.
    """

    def __init__(self, app: WSGIApplication, paths: Iterable[str]) -> None:
        self._app = app
        # PATH_INFO has a path's bytes as latin-1. The most specific first.
        self._prefixes = sorted(
            {path.encode().decode("latin-1") for path in paths}, key=len, reverse=True
        )

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path: str = environ["PATH_INFO"]
        for prefix in self._prefixes:
            if path == prefix or path.startswith(f"{prefix}/"):
                environ["SCRIPT_NAME"] += prefix
                environ["PATH_INFO"] = path[len(prefix) :]
                return self._app(environ, start_response)
        body = b"Nothing is mounted at this path.\n"
        start_response(
            "404 Not Found",
            [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))],
        )
        return [body]
