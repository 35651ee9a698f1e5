"""What a worker does in its own process: load, serve, report, leave."""

from __future__ import annotations

import faulthandler
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..configuration.config import ConfigError
from ..control.in_worker import WorkerLink
from ..forks import close_in_children
from ..loader import LOAD_ERRORS, explain, summary
from ..machine import worker_count
from ..originals import os, signal
from ..output import print_error
from ..server import Server
from .process_exit import ProcessExit, warn_of_remaining_threads
from .worker import BOOT_FAILED

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

    from .. import _native
    from ..datagrams import Seat
    from .generation import Generation

# What threads may need beyond `graceful_timeout` before an orphan just exits, in seconds.
_ORPHAN_MARGIN = 5.0


@dataclass(frozen=True)
class Post:
    """A worker's place among the others.

    number: its slot on the scoreboard.
    status: the writing end of its status pipe.
    lifeline: the reading end of a pipe that ends with the supervisor.
    rates: where it counts clients, with the others.
    seats: its sockets of UDP, for each of its generation's ports.
    link: its end of what the control socket asks it by; -1: there is none.
    door: the outer end of the way to who answers that socket; -1: it does not serve administrators.
    """

    number: int
    status: int
    lifeline: int
    scoreboard: _native.Scoreboard
    rates: _native.RateTable
    seats: list[Seat | None] = field(default_factory=list)
    link: int = -1
    door: int = -1

    @property
    def doors(self) -> list[int]:
        return [self.door] if self.door >= 0 else []


def serve(post: Post, generation: Generation, app: WSGIApplication | None = None) -> int:
    """Serves until the supervisor says otherwise; the exit code.

    app: the application, if it is loaded already; this process is then who it should be, too.
    While it is loaded, signals have their default actions: nothing can hold up a stop. They are
    handled before the first connection can be accepted, and for as long as the process lives.
    """
    serves = False

    def has_started() -> None:
        nonlocal serves
        serves = True

    config = generation.config
    # SIGABRT from the supervisor shows what a stuck worker is doing, whatever sys.stderr is.
    faulthandler.enable(file=2)
    link = WorkerLink(post.link)
    try:
        # Their ends tell the supervisor of this process's, and this process of the supervisor's.
        close_in_children([post.status, post.lifeline, *post.doors])
        generation.keep_from_application()
        for seat in post.seats:
            if seat is not None:
                seat.keep_from_application()
        if app is None:
            generation.identity.assume()
            app = generation.load()
        server = Server(
            app,
            config,
            listeners=generation.listeners,
            redirects=generation.redirects,
            admins=generation.admins,
            seats=post.seats,
            door=post.door,
            admin_token=generation.admin_token,
            multiprocess=worker_count(config) > 1,
        )
        server.supervised_by(lambda native: _introduce(native, post, generation, link))
        server.run((signal.SIGTERM, signal.SIGQUIT), on_start=has_started)
    except (*LOAD_ERRORS, ConfigError, OSError, RuntimeError) as error:
        if serves:
            raise
        link.tell_failure(summary(error))
        print_error(explain(error))
        return BOOT_FAILED
    if server.abandoned:
        ProcessExit().exit_now()
    warn_of_remaining_threads()
    return 0


def _introduce(
    native: _native.Server, post: Post, generation: Generation, link: WorkerLink
) -> None:
    config = generation.config
    native.supervise(
        post.scoreboard,
        post.number,
        lifeline=os.dup(post.lifeline),
        status_pipe=post.status,
        tells_ready=True,
        max_requests=generation.draw_request_limit(),
        grace=config.graceful_timeout + _ORPHAN_MARGIN,
        ticket_key=generation.ticket_key,
        rates=post.rates,
    )
    link.serve(native)
