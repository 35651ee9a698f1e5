"""The command `prowingen`, also `python -m prowingen_wsgi`.

Exit codes: 0 after SIGTERM, `--check`, `--version` and `--help`; 1 if the application or a socket
cannot be had; 2 for a wrong command line or variable; death by SIGINT after Ctrl-C, as shells
expect of what they run (they show it as 130).
"""

from __future__ import annotations

import atexit
import os
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from . import logs
from .arguments import Arguments, UsageError, parse_arguments, print_error
from .config import OPTIONS, ConfigError
from .ending import LastWord
from .loader import LOAD_ERRORS, Target, TargetError, explain
from .sources import Effective, arguments_layer, environment_layer, merge, unknown_variables

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from _typeshed.wsgi import WSGIApplication

SUCCESS, FAILURE, MISUSE = 0, 1, 2


class _StartError(Exception):
    """Ends the command with one line and exit code 1."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code. `sys.argv` is used without arguments."""
    try:
        return _run(parse_arguments(sys.argv[1:] if arguments is None else arguments))
    except (UsageError, ConfigError, TargetError) as error:
        print_error(f"{error} (see --help)" if isinstance(error, UsageError) else str(error))
        return MISUSE
    except (*LOAD_ERRORS, _StartError) as error:
        print_error(explain(error))
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
    try:
        from .hosting import StartError, host  # help and errors need no native module
    except ImportError as error:
        raise _StartError(f"the native module cannot be loaded: {error}") from error
    # Registered before the application's own exit handlers, and so run after them.
    last_word = LastWord()
    atexit.register(last_word.speak)

    def load() -> WSGIApplication:
        app = _load(target, arguments)
        if not (config.workers or config.reload):  # a supervisor tells of its workers itself
            logs.error_log.info("serving %s", target.text)
        return app

    config = effective.config

    try:
        return host(lambda: effective.config, load, last_word)
    except StartError as error:
        raise _StartError(str(error)) from error


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
