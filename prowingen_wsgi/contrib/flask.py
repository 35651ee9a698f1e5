"""Where Flask finds `run`: the entry point `run` of the group `flask.commands`.

A FlaskGroup puts each such command under its name, over whatever is there: Flask's own `run`, one
that the program wrote itself, or nothing. So the entry point is looked up anew for each group, and
gives back what was there unless that is Flask's own and a server is chosen. Flask does this for
every command it runs: nothing is imported here that `run` alone needs.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from . import is_server_chosen

if TYPE_CHECKING:
    import click


def __getattr__(name: str) -> object:
    if name != "run":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from flask.cli import run_command  # it is what imports this

    displaced = _displaced_command(run_command)
    if displaced is run_command and is_server_chosen():
        return _run_like(run_command)
    return displaced


def _run_like(model: click.Command) -> click.Command:
    """A command with the name, the options and the help of Flask's, which serves by the factory."""
    from click import Command

    return Command(
        model.name,
        params=list(model.params),
        callback=_run,
        help=model.help,
        short_help=model.short_help,
    )


def _run(**options: Any) -> None:
    from .flask_run import run

    run(**options)


def _displaced_command(default: click.Command) -> click.Command | None:
    """What the group that loads its plug-ins has as `run`; None is what click takes for no command.

    No argument tells an entry point who loads it, so the group is looked for among the callers.
    """
    frame = sys._getframe()
    while frame.f_back is not None:
        frame = frame.f_back
        if frame.f_code.co_name == "_load_plugin_commands":
            displaced: click.Command | None = frame.f_locals["self"].commands.get("run")
            return displaced
    return default
