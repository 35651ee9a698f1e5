"""Serves an application as the command does: in this process, or in workers under a supervisor.

In either case in the same order: the pid file, sockets, another user and group, the application.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..control.alone import ControlThread
from ..control.door import Door
from ..control.socket_file import ControlSocket, ControlSocketError
from ..originals import os, signal
from ..processes.forking import run_children
from ..processes.generation import Generation, Sockets
from ..processes.pidfile import PidFile, PidFileError
from ..processes.process_exit import warn_of_remaining_threads
from ..processes.signal_pipe import SignalPipe
from ..processes.supervisor import SIGNALS, Supervisor
from ..server import Server
from ..systemd import Notifier, Watchdog
from . import FAILURE, SUCCESS

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..configuration.config import Config
    from ..processes.process_exit import ProcessExit
    from ..processes.program import Program

INTERRUPTED = 128 + signal.SIGINT


class StartError(Exception):
    """Nothing is served; one line says why."""


def host(program: Program, read: Callable[[], Program], process_exit: ProcessExit) -> int:
    """Serves until a signal ends it; the exit code.

    read: reads the program anew, for a reload; raises ConfigError and other errors of the user's.

    Raises StartError, ConfigError, and what `program.load` raises.
    """
    config = program.config
    notifier = Notifier(os.environ)
    if config.umask >= 0:
        os.umask(config.umask)
    if config.workers or config.reload:
        return run_children(lambda: _supervise(program, read, notifier, process_exit))
    return _serve_here(program, notifier, process_exit)


def _supervise(
    program: Program, read: Callable[[], Program], notifier: Notifier, process_exit: ProcessExit
) -> int:
    signals = SignalPipe(SIGNALS)  # before the pid file says where to send them
    pidfile = control = supervisor = None
    try:
        pidfile = _write_pidfile(program.config)
        control = _open_control(program.config)
        try:
            supervisor = Supervisor(program, read, notifier, signals, control)
        except OSError as error:
            raise StartError(str(error)) from error
        started, ended_by = supervisor.run()
    finally:
        signals.end()
        if pidfile is not None:
            pidfile.remove()  # which does nothing in a worker, who comes by here too
        if supervisor is not None:
            supervisor.dismiss()  # likewise
        if control is not None:
            control.close()  # likewise
    return _ended(ended_by, process_exit) if started else FAILURE


def _serve_here(program: Program, notifier: Notifier, process_exit: ProcessExit) -> int:
    config = program.config
    sockets = Sockets()
    pidfile = control = asked = door = None
    server = None
    watchdog = None
    ended_by = None
    try:
        pidfile = _write_pidfile(config)
        control = _open_control(config)
        generation = Generation(1, program, sockets)
        seats = generation.take_seats()
        if control is not None and not generation.identity.is_ours:
            control.give_to(*generation.identity.numbers)
        generation.identity.assume()
        generation.keep_from_application()
        app = program.load()
        if generation.admins:
            door = Door(lambda: bool(generation.admin_token))
        server = Server(
            app,
            generation.config,
            listeners=generation.listeners,
            redirects=generation.redirects,
            admins=generation.admins,
            seats=seats,
            door=-1 if door is None else door.outside,
            admin_token=generation.admin_token,
        )
        watchdog = Watchdog(notifier, server.stalled_for)
        if control is not None or door is not None:
            asked = ControlThread(control, server, door)
        ended_by = server.run(
            on_start=_calling(asked.start if asked else None, lambda: notifier.ready("serving")),
            on_stop=_calling(asked.stops if asked else None, notifier.stopping),
        )
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
        if asked is not None:
            asked.end()
        for source in (control, door):
            if source is not None:
                source.close()
    code = _ended(ended_by, process_exit)
    if server is not None and server.abandoned:
        process_exit.exit_now()
    warn_of_remaining_threads()
    return code


def _ended(ended_by: signal.Signals | None, process_exit: ProcessExit) -> int:
    process_exit.interrupted = ended_by == signal.SIGINT
    return INTERRUPTED if process_exit.interrupted else SUCCESS


def _calling(*functions: Callable[[], object] | None) -> Callable[[], None]:
    """Calls those that there are, one after the other."""

    def call() -> None:
        for function in functions:
            if function is not None:
                function()

    return call


def _open_control(config: Config) -> ControlSocket | None:
    try:
        return ControlSocket(config.control_socket) if config.control_socket else None
    except ControlSocketError as error:
        raise StartError(str(error)) from None


def _write_pidfile(config: Config) -> PidFile | None:
    try:
        return PidFile(config.pidfile) if config.pidfile else None
    except PidFileError as error:
        raise StartError(str(error)) from None
