"""An application mounted below paths: PEP 3333's SCRIPT_NAME."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class Mounts:
    """A WSGI application that hands on what is below its paths and answers 404 to the rest."""

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app
        self._prefixes: dict[str | None, list[str]] = {}

    def add(self, port: str | None, path: str) -> None:
        """Mounts the application at a path, as "/api" or "" for everywhere, of a SERVER_PORT.

        None stands for every port that nothing else is mounted on.
        """
        prefixes = self._prefixes.setdefault(port, [])
        # PATH_INFO has a path's bytes as latin-1.
        prefixes.append(path.encode().decode("latin-1"))
        prefixes.sort(key=len, reverse=True)  # the most specific first

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path: str = environ["PATH_INFO"]
        prefixes = self._prefixes.get(environ["SERVER_PORT"]) or self._prefixes.get(None, [])
        for prefix in prefixes:
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
