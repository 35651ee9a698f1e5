"""Serves an application as the command does: in this process, or in workers under a supervisor.

In either case in the same order: sockets, the pid file, another user and group, the application.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from .processes.forking import run_children
from .processes.generation import Generation, Sockets
from .processes.pidfile import PidFile, PidFileError
from .processes.supervisor import Supervisor
from .server import Server
from .systemd import Notifier, Watchdog

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed.wsgi import WSGIApplication

    from .config import Config
    from .ending import LastWord

SUCCESS, FAILURE = 0, 1
INTERRUPTED = 128 + signal.SIGINT


class StartError(Exception):
    """Nothing is served; one line says why."""


def host(
    read: Callable[[], Config], load: Callable[[], WSGIApplication], last_word: LastWord
) -> int:
    """Serves until a signal ends it; the exit code.

    read: reads the configuration; called again when that is reloaded. Raises ConfigError.
    load: loads the application; raises what `Target.load` does.

    Raises StartError, ConfigError, and what `load` raises.
    """
    config = read()
    notifier = Notifier(os.environ)
    if config.umask >= 0:
        os.umask(config.umask)
    if config.workers or config.reload:
        return run_children(lambda: _supervise(read, load, notifier, last_word))
    return _serve_here(config, load, notifier, last_word)


def _supervise(
    read: Callable[[], Config],
    load: Callable[[], WSGIApplication],
    notifier: Notifier,
    last_word: LastWord,
) -> int:
    try:
        supervisor = Supervisor(read, load, notifier)
        pidfile = _write_pidfile(read())
    except OSError as error:
        raise StartError(str(error)) from error
    started, ended_by = supervisor.run()
    if pidfile is not None:
        pidfile.remove()
    return _ended(ended_by, last_word) if started else FAILURE


def _serve_here(
    config: Config, load: Callable[[], WSGIApplication], notifier: Notifier, last_word: LastWord
) -> int:
    sockets = Sockets()
    pidfile = None
    server = None
    watchdog = None
    ended_by = None
    try:
        generation = Generation(1, config, load, sockets)
        pidfile = _write_pidfile(config)
        generation.identity.assume()
        app = load()
        server = Server(app, config, listeners=generation.listeners)
        watchdog = Watchdog(notifier, server.stalled_for)
        ended_by = server.run(on_start=lambda: notifier.ready("serving"), on_stop=notifier.stopping)
    except KeyboardInterrupt:  # before the server took signals over
        ended_by = signal.SIGINT
    except (OSError, RuntimeError) as error:
        raise StartError(str(error)) from error
    finally:
        if server is not None:
            server.stop()
        if watchdog is not None:
            watchdog.end()
        sockets.close()
        if pidfile is not None:
            pidfile.remove()
    code = _ended(ended_by, last_word)
    if server is not None and server.abandoned:
        last_word.now()
    return code


def _ended(ended_by: signal.Signals | None, last_word: LastWord) -> int:
    last_word.interrupted = ended_by == signal.SIGINT
    return INTERRUPTED if last_word.interrupted else SUCCESS


def _write_pidfile(config: Config) -> PidFile | None:
    try:
        return PidFile(config.pidfile) if config.pidfile else None
    except PidFileError as error:
        raise StartError(str(error)) from None
