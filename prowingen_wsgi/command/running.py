"""What the command does with a command line that it has understood: checks, or serves."""

from __future__ import annotations

import atexit
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from .. import logs
from ..configuration.arguments import Arguments, UsageError
from ..configuration.config import OPTIONS, ConfigError
from ..configuration.sources import LoadedConfig, Sources
from ..loader import LOAD_ERRORS, AppNotFoundError, Target, TargetError, explain
from ..missing_native import why_missing
from ..originals import os
from ..output import print_error, write_output
from ..processes.process_exit import ProcessExit
from ..processes.program import Program
from . import FAILURE, MISUSE, SUCCESS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from _typeshed.wsgi import WSGIApplication

    from ..configuration.config import Config


class _StartError(Exception):
    """Ends the command with one line and exit code 1."""


def run(arguments: Arguments) -> int:
    """Does what the command line says; the exit code."""
    try:
        return _run(arguments)
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
    command = _Command(arguments)
    program = command.read()
    return _check(command, program) if arguments.check else _serve(command, program)


class _Command:
    """What the command line asks for, with what the file and the environment add to it.

    loaded: what the last reading found.
    app: the application that it names.
    app_source: what has named it.
    """

    def __init__(self, arguments: Arguments) -> None:
        """As `Sources` does, raises ConfigError."""
        self._arguments = arguments
        self._sources = Sources(arguments.given, arguments.config, os.environ)
        self._shows_log = False
        self.loaded: LoadedConfig
        self.app = ""
        self.app_source = ""

    def read(self) -> Program:
        """Reads everything, and goes to where the configuration says.

        The log's level is set by the first reading. A later one may fail yet, which is to be seen:
        its level comes with what serves by it.

        Raises ConfigError, UsageError without an application, TargetError if its name is none.
        """
        loaded = self._sources.read()
        app = self._arguments.app or loaded.app
        if not app:
            raise UsageError("which application? Name it, as in hello:app")
        target = Target.parse(app)
        factory = self._arguments.factory or (not self._arguments.app and loaded.factory)
        config = loaded.config
        if config.https:
            config = _with_development_certificate(config)
        folder = self._sources.folder
        if config.chdir:
            folder = (folder / config.chdir).resolve()
            if not folder.is_dir():
                raise ConfigError(f'chdir: "{config.chdir}": there is no such folder')
        _go_to(folder)
        self.loaded, self.app = loaded, app
        self.app_source = "argument" if self._arguments.app else loaded.file
        if not self._shows_log:
            logs.show_on_stderr(config.log_level)
            self._shows_log = True
        for warning in loaded.warnings:
            logs.error_log.warning(warning)
        return Program(config.anchored(folder), lambda: _load(target, factory, loaded, folder))


def _with_development_certificate(config: Config) -> Config:
    try:
        from ..development_certificates import with_development_certificate
    except ImportError as error:
        raise _StartError(why_missing() or str(error)) from error
    return with_development_certificate(config)


def _go_to(folder: Path) -> None:
    # A process that is there already need not have the right to come again.
    if not _is_here(folder):
        try:
            os.chdir(folder)
        except OSError as error:
            raise ConfigError(f'cannot go to the folder "{folder}": {error.strerror}') from None


def _is_here(folder: Path) -> bool:
    try:
        return Path.cwd() == folder
    except FileNotFoundError:  # there may be another one of its name
        return False


def _load(target: Target, factory: bool, loaded: LoadedConfig, folder: Path) -> WSGIApplication:
    # In a worker that replaces another, a later reload that failed may have been elsewhere.
    _go_to(folder)
    logs.show_from(loaded.config.log_level)
    os.environ.update(loaded.variables)
    # `python -m` has put the current directory there, the console script its own folder.
    here = str(folder)
    if sys.path[:1] not in ([here], [""]):
        sys.path.insert(0, here)
    for path in reversed(loaded.config.pythonpath):
        if not Path(path).is_dir():
            raise AppNotFoundError(f'pythonpath: "{path}": there is no such folder')
        sys.path.insert(0, str(Path(path).absolute()))
    app = target.load(factory=factory)
    if not (loaded.config.workers or loaded.config.reload):  # a supervisor tells of its workers
        logs.error_log.info("serving %s", target.text)
    return app


def _check(command: _Command, program: Program) -> int:
    config = program.config
    told: list[str] = []
    try:  # most errors need no native module
        if config.certfile:
            from ..certificates import check_certificates

            told = [text for _, text in check_certificates(config)]
        if config.acme_domain:
            from ..acme_certificates import check_acme

            told += check_acme(config)
        if config.admin_token_file:
            from ..control.token import read_token

            read_token(config.admin_token_file)
        if config.spool_dir:
            from ..spooling import check_spool_dir

            check_spool_dir(config)
    except ImportError as error:
        raise _StartError(why_missing() or str(error)) from error
    app = program.load()
    if config.static or config.sendfile:
        from ..static_mounts import sendfile_mounts, static_mounts

        static_mounts(config, [app])
        sendfile_mounts(config)
    try:  # by now `sys.stdout` may be anything
        write_output("\n".join([*_table(_option_rows(command, app)), *told, ""]))
    except OSError as error:
        raise _StartError(f"standard output: {error.strerror}") from error
    return SUCCESS


def _serve(command: _Command, program: Program) -> int:
    try:
        from .serving import StartError, host  # help and errors need no native module
    except ImportError as error:
        raise _StartError(why_missing() or str(error)) from error
    # Registered before the application's own exit handlers, and so run after them.
    process_exit = ProcessExit()
    atexit.register(process_exit.at_interpreter_exit)
    try:
        return host(program, command.read, process_exit)
    except StartError as error:
        raise _StartError(str(error)) from error


def _versions() -> Iterator[str]:
    import platform

    from .. import __version__  # reads the installed package's metadata

    python = f"{platform.python_implementation()} {platform.python_version()}"
    yield f"prowingen-wsgi {__version__} ({python})"
    try:
        from .. import _native  # versions are worth showing without it
    except ImportError as error:
        yield f"no engine: {why_missing() or error}"
        return
    for engine, version in sorted(_native.engines().items()):
        yield f"{engine}: {version}"


def _option_rows(command: _Command, app: WSGIApplication) -> Iterator[tuple[str, str, str]]:
    resolved = command.loaded.resolved
    yield "option", "value", "source"
    for name, option in OPTIONS.items():
        value = option.kind.format(getattr(resolved.config, name))
        yield name, value or '""', resolved.sources[name]
    yield "app", f"{command.app} ({type(app).__name__})", command.app_source


def _table(rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    table = list(rows)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()
