"""The command line, made from the options: what it accepts, and how its help reads."""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from itertools import groupby
from typing import TYPE_CHECKING, Any, NoReturn

from .config import OPTIONS, Option, nearest
from .values import Switch

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Sequence

PROGRAM = "prowingen"

_EPILOG = """\
An option can also be set by an environment variable, PROWINGEN_ and its name in capitals:
PROWINGEN_THREADS=16. Sizes take 512, 64KiB, 10k, 1MiB; durations take 30, 500ms, 2m.

SIGTERM and SIGINT let requests finish; SIGQUIT, or a second one, closes everything at once. SIGUSR1
reopens the access log. With workers, SIGHUP reloads code and configuration.

prowingen import-gunicorn gunicorn.conf.py writes gunicorn's configuration as a prowingen.toml; so
do import-uwsgi app.ini uWSGI's, and import-granian -- granian ... what that command says.
prowingen dev-cert makes a certificate for localhost, by which --https serves.
prowingen ctl asks a server that runs with --control-socket what it does, and tells it what to do.
"""


@dataclass
class Arguments:
    """What a command line says, not yet interpreted."""

    app: str | None = None
    factory: bool = False
    config: str = ""
    check: bool = False
    version: bool = False
    given: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    """For each option named, the flags as written with their texts."""


class UsageError(Exception):
    """A command line that cannot be understood."""


def parse_arguments(arguments: Sequence[str]) -> Arguments:
    """Raises UsageError, or SystemExit(0) after printing the help."""
    found = Arguments()
    _, unknown = make_parser().parse_known_args(arguments, namespace=found)
    if unknown:
        raise UsageError(_about_unknown(unknown))
    return found


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        # argparse would print its own kind of message here, and a usage line of 30 options.
        raise UsageError(message)


class _Record(argparse.Action):
    """Notes which flag was used with which text; what that means is decided with other sources."""

    def __call__(
        self,
        _parser: argparse.ArgumentParser,
        namespace: Any,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        assert option_string is not None
        if isinstance(values, str):
            text = values
        else:
            text = "off" if option_string.startswith("--no-") else "on"
        namespace.given.setdefault(self.dest, []).append((option_string, text))


class _HelpFormatter(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog: str, **settings: Any) -> None:
        # Made for each option that is added, which asks it nothing of the width.
        super().__init__(prog, max_help_position=34, **{"width": _width(), **settings})

    def _format_action_invocation(self, action: argparse.Action) -> str:
        # argparse would repeat the metavariable after each flag.
        flags = ", ".join(action.option_strings)
        takes_value = flags and action.nargs != 0
        return f"{flags} {action.metavar}" if takes_value else flags or str(action.metavar)


@cache
def _width() -> int:
    """As shutil's get_terminal_size() finds it, which all that packs archives is imported for."""
    with suppress(ValueError):
        if (columns := int(os.environ.get("COLUMNS", ""))) > 0:
            return columns - 2
    with suppress(ValueError, OSError):  # it is closed, or no terminal
        terminal = sys.__stdout__.fileno() if sys.__stdout__ else -1
        if (columns := os.get_terminal_size(terminal).columns) > 0:
            return columns - 2
    return 78


def make_parser() -> argparse.ArgumentParser:
    """What understands the command line; its manual page and completions are made from it, too."""
    parser = _Parser(
        prog=PROGRAM,
        usage=f"{PROGRAM} [options] module:app",
        description="Serves a WSGI application.",
        epilog=_EPILOG,
        formatter_class=_HelpFormatter,
        allow_abbrev=False,
        add_help=False,
    )
    application = parser.add_argument_group("Application")
    application.add_argument(
        "app",
        nargs="?",
        metavar="module:app",
        help="module, module:attribute or module:factory(), found from the current directory; a "
        "module alone means its application or app",
    )
    application.add_argument(
        "--factory", action="store_true", help="call what is named; it returns the application"
    )
    application.add_argument(
        "--config",
        metavar="PATH",
        help="configuration file (default prowingen.toml, or [tool.prowingen] in pyproject.toml)",
    )
    add_options(parser)
    other = parser.add_argument_group("Other")
    other.add_argument(
        "--check",
        action="store_true",
        help="load the application, show each option's value with its source, and exit",
    )
    other.add_argument("--version", action="store_true", help="show versions and exit")
    other.add_argument("-h", "--help", action="help", help="show this and exit")
    return parser


def add_options(parser: argparse.ArgumentParser, *, without: Container[str] = ()) -> None:
    """Adds the server's options, but for those of these names, each in its group.

    Parsing needs a namespace with a dictionary `given`, as `Arguments` has it.
    """
    options = [option for option in OPTIONS.values() if option.name not in without]
    for group, members in groupby(options, key=lambda option: option.group):
        _add_group(parser.add_argument_group(group), members)


def _add_group(group: argparse._ArgumentGroup, options: Iterable[Option]) -> None:
    for option in options:
        settings: dict[str, Any] = {"nargs": 0}
        if not isinstance(option.kind, Switch):
            settings = {"metavar": option.kind.metavar}
        group.add_argument(
            *option.flags,
            dest=option.name,
            action=_Record,
            default=argparse.SUPPRESS,
            help=_help(option).replace("%", "%%"),
            **settings,
        )


def _help(option: Option) -> str:
    default = option.kind.format(option.default)
    return f"{option.help} (default {default})" if default else option.help


def _about_unknown(unknown: Sequence[str]) -> str:
    """About the first unknown flag: what follows may just be its value."""
    flags = [text.partition("=")[0] for text in unknown if text.startswith("-")]
    if not flags:
        return f'unexpected argument "{unknown[0]}"'
    known = {flag for option in OPTIONS.values() for flag in option.flags}
    known |= {"--factory", "--config", "--check", "--version", "--help"}
    return f'unknown option "{flags[0]}"{nearest(flags[0], known)}'
