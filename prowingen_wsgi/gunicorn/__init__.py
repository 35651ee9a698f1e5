"""A worker class for gunicorn: `gunicorn -k prowingen_wsgi.gunicorn.Worker --threads 8 app:app`.

gunicorn is the process manager: it opens the sockets, forks, watches, reloads and replaces. In each
of its workers one `Server` does the rest: HTTP in native threads, the application in a pool. See
docs/gunicorn.md for what becomes of each of gunicorn's settings.

    worker       the worker class; sharing, routing and observing are parts of it
    settings     what becomes of each setting, by the tables in tables and equivalents
    importer     `prowingen import-gunicorn`, which needs no gunicorn

`gunicorn` is the real one throughout: imports in this package are absolute.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .worker import Worker as Worker

__all__ = ["Worker"]


def __getattr__(name: str) -> object:
    # gunicorn itself is imported only by who runs under it: the importer does not.
    if name == "Worker":
        from .worker import Worker

        return Worker
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
