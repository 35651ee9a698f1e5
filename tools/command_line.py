"""The command line as data, for what is written from it: the manual page and shells' completions.

It is read off the parsers that the command itself uses, so that a flag that it takes is in both.
Needs no installed package, and no native module: only the Python that runs it.
"""

from __future__ import annotations

import argparse
import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from generate_options import load_config

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Argument:
    """One flag with its other spellings, or a word that stands by itself.

    flags: as written; empty for a word by itself.
    metavar: stands for its value; empty if it takes none.
    help: what it means, in one line.
    choices: the values that there are; empty if they cannot be listed.
    repeats: it may be given several times.
    """

    flags: tuple[str, ...]
    metavar: str
    help: str
    choices: tuple[str, ...] = ()
    repeats: bool = False

    @property
    def is_path(self) -> bool:
        return self.metavar == "PATH"


MODULES = (
    "configuration.arguments",
    "gunicorn.importer",
    "importers.uwsgi.importer",
    "importers.granian.importer",
    "command.dev_cert",
    "control.command",
    "control.top",
)
"""Each with a `make_parser`: the command's, and those of its subcommands."""


@dataclass(frozen=True)
class Group:
    title: str
    arguments: tuple[Argument, ...]

    @property
    def flags(self) -> Iterator[Argument]:
        return (each for each in self.arguments if each.flags)


@dataclass(frozen=True)
class CommandLine:
    """name: as it is typed, with the subcommand's.
    groups: in the order of --help."""

    name: str
    description: str
    groups: tuple[Group, ...]

    @property
    def arguments(self) -> list[Argument]:
        return [each for group in self.groups for each in group.arguments]


def command_lines() -> list[CommandLine]:
    """The command's, and after it those of its subcommands."""
    options = load_config().OPTIONS
    package = "prowingen_wsgi"
    modules = [importlib.import_module(f"{package}.{name}") for name in MODULES]
    return [_read(module.make_parser(), options) for module in modules]


def _read(parser: argparse.ArgumentParser, options: dict[str, Any]) -> CommandLine:
    groups = [
        Group(group.title or "", tuple(_argument(action, options) for action in members))
        for group in parser._action_groups
        if (members := [each for each in group._group_actions if each.help != argparse.SUPPRESS])
    ]
    return CommandLine(parser.prog, parser.description or "", tuple(groups))


def _argument(action: argparse.Action, options: dict[str, Any]) -> Argument:
    metavar = "" if action.nargs == 0 else str(action.metavar or action.dest)
    kind = options[action.dest].kind if action.dest in options else None
    return Argument(
        flags=tuple(action.option_strings),
        metavar=metavar,
        # As argparse itself reads it.
        help=(action.help or "").replace("%%", "%"),
        choices=tuple(getattr(kind, "choices", ())),
        repeats=type(kind).__name__ == "Many",
    )
