"""The command `prowingen`, also `python -m prowingen_wsgi`.

Exit codes: 0 after SIGTERM, `--check`, `--version` and `--help`; 1 if the application or a socket
cannot be had; 2 for a wrong command line or variable; death by SIGINT after Ctrl-C, as shells
expect of what they run (they show it as 130).
"""

from __future__ import annotations

import atexit
import os
import platform
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from . import logs
from .arguments import Arguments, UsageError, parse_arguments, print_error
from .config import OPTIONS, ConfigError
from .loader import AppFailedError, AppNotFoundError, Target, TargetError
from .sources import Effective, arguments_layer, environment_layer, merge, unknown_variables

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from _typeshed.wsgi import WSGIApplication

    from .server import Server

SUCCESS, FAILURE, MISUSE = 0, 1, 2
INTERRUPTED = 128 + signal.SIGINT


class _StartError(Exception):
    """Ends the command with one line and exit code 1."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code. `sys.argv` is used without arguments."""
    try:
        return _run(parse_arguments(sys.argv[1:] if arguments is None else arguments))
    except (UsageError, ConfigError, TargetError) as error:
        print_error(f"{error} (see --help)" if isinstance(error, UsageError) else str(error))
        return MISUSE
    except (AppNotFoundError, _StartError) as error:
        print_error(str(error))
    except AppFailedError as error:
        print_error(f"{error}:\n{error.traceback}")
    return FAILURE


def _run(arguments: Arguments) -> int:
    if arguments.version:
        print("\n".join(_versions()))
        return SUCCESS
    if arguments.app is None:
        raise UsageError("which application? Name it, as in hello:app")
    target = Target.parse(arguments.app)
    effective = merge(environment_layer(os.environ), arguments_layer(arguments.given))
    logs.show_on_stderr(effective.config.log_level)
    for warning in unknown_variables(os.environ):
        logs.error_log.warning(warning)
    if arguments.check:
        app = _load(target, arguments)
        print("\n".join(_table(_effective_rows(arguments.app, app, effective))))
        return SUCCESS
    return _serve(target, arguments, effective)


def _load(target: Target, arguments: Arguments) -> WSGIApplication:
    # `python -m` has put the current directory there, the console script its own folder.
    here = str(Path.cwd())
    if sys.path[:1] not in ([here], [""]):
        sys.path.insert(0, here)
    app = target.load(factory=arguments.factory)
    logs.keep_after_application_set_up()
    return app


def _serve(target: Target, arguments: Arguments, effective: Effective) -> int:
    # Registered before the application's own exit handlers, and so run after them.
    last_word = _LastWord()
    atexit.register(last_word.speak)
    try:
        app = _load(target, arguments)
        logs.error_log.info("serving %s", target.text)
        server = _server(app, effective)
        try:
            ended_by = server.run()
        except (OSError, RuntimeError) as error:
            raise _StartError(str(error)) from error
        finally:
            server.stop()
    except KeyboardInterrupt:  # before the server took signals over
        ended_by = signal.SIGINT
        server = None
    last_word.interrupted = ended_by == signal.SIGINT
    if server is not None and server.abandoned:
        last_word.now()
    return INTERRUPTED if last_word.interrupted else SUCCESS


def _server(app: WSGIApplication, effective: Effective) -> Server:
    try:
        from .server import Server  # help and errors need no native module
    except ImportError as error:
        raise _StartError(f"the native module cannot be loaded: {error}") from error
    try:
        return Server(app, effective.config)
    except OSError as error:
        raise _StartError(str(error)) from error


class _LastWord:
    """Ends the process by SIGINT if that is what ended the server.

    A shell that waits for a command stops its script only if the command died of the signal.
    """

    def __init__(self) -> None:
        self.interrupted = False

    def speak(self) -> None:
        if self.interrupted:
            self._die()

    def now(self) -> NoReturn:
        """Ends the process without the interpreter's clean-up.

        That would unwind threads which are still in the application, through native frames.
        """
        if self.interrupted:
            self._die()
        self._flush()
        os._exit(SUCCESS)

    def _die(self) -> None:
        self._flush()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)

    def _flush(self) -> None:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):  # its reader is gone, or it is closed
                stream.flush()


def _versions() -> Iterator[str]:
    from . import __version__  # reads the installed package's metadata

    python = f"{platform.python_implementation()} {platform.python_version()}"
    yield f"prowingen-wsgi {__version__} ({python})"
    try:
        from . import _native  # versions are worth showing without it
    except ImportError as error:
        yield f"no engine: the native module cannot be loaded: {error}"
        return
    for engine, version in sorted(_native.engines().items()):
        yield f"{engine}: {version}"


def _effective_rows(
    target: str, app: WSGIApplication, effective: Effective
) -> Iterator[tuple[str, str, str]]:
    yield "option", "value", "source"
    for name, option in OPTIONS.items():
        value = option.kind.format(getattr(effective.config, name))
        yield name, value or '""', effective.sources[name]
    yield "app", f"{target} ({type(app).__name__})", "argument"


def _table(rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    table = list(rows)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()
