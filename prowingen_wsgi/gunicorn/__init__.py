"""A worker class for gunicorn: `gunicorn -k prowingen_wsgi.gunicorn.Worker --threads 8 app:app`.

gunicorn is the process manager: it opens the sockets, forks, watches, reloads and replaces. In each
of its workers one `Server` does the rest: HTTP in native threads, the application in a pool. See
docs/gunicorn.md for what becomes of each of gunicorn's settings.

`gunicorn` is the real one throughout: imports in this package are absolute.
"""

from __future__ import annotations

from .worker import Worker

__all__ = ["Worker"]
