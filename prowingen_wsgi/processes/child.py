"""What a worker does in its own process: load, serve, report, leave."""

from __future__ import annotations

import faulthandler
import os
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..configuration.arguments import print_error
from ..configuration.config import ConfigError
from ..configuration.machine import worker_count
from ..loader import LOAD_ERRORS, explain
from ..server import Server
from .process_exit import ProcessExit, warn_of_remaining_threads

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

    from .. import _native
    from .generation import Generation

READY, LIMIT = b"R", b"L"
"""What a worker writes to its status pipe: it serves; it has taken `max_requests`."""
BOOT_FAILED = 3
"""The exit code of a worker that could not start; it has said why."""

# What threads may need beyond `graceful_timeout` before an orphan just exits, in seconds.
_ORPHAN_MARGIN = 5.0


@dataclass(frozen=True)
class Post:
    """A worker's place among the others.

    number: its slot on the scoreboard.
    status: the writing end of its status pipe.
    lifeline: the reading end of a pipe that ends with the supervisor.
    """

    number: int
    status: int
    lifeline: int
    scoreboard: _native.Scoreboard


def serve(post: Post, generation: Generation, app: WSGIApplication | None = None) -> int:
    """Serves until the supervisor says otherwise; the exit code.

    app: the application, if it is loaded already; this process is then who it should be, too.
    """
    config = generation.config
    faulthandler.enable()  # SIGABRT from the supervisor shows what a stuck worker is doing
    try:
        if app is None:
            generation.identity.assume()
            app = generation.load()
        server = Server(
            app,
            config,
            listeners=generation.listeners,
            multiprocess=worker_count(config) > 1,
        )
        server.supervised_by(lambda native: _introduce(native, post, generation))
        server.start()
    except (*LOAD_ERRORS, ConfigError, OSError, RuntimeError) as error:
        print_error(explain(error))
        return BOOT_FAILED
    os.write(post.status, READY)
    try:
        server.run((signal.SIGTERM, signal.SIGQUIT))
    finally:
        server.stop()
    if server.abandoned:
        ProcessExit().exit_now()
    warn_of_remaining_threads()
    return 0


def _introduce(native: _native.Server, post: Post, generation: Generation) -> None:
    config = generation.config
    native.supervise(
        post.scoreboard,
        post.number,
        lifeline=os.dup(post.lifeline),
        status_pipe=post.status,
        max_requests=generation.draw_request_limit(),
        grace=config.graceful_timeout + _ORPHAN_MARGIN,
        ticket_key=generation.ticket_key,
    )
