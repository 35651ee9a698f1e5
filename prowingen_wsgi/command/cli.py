"""The command `prowingen`, also `python -m prowingen_wsgi`. Its subcommands are import-gunicorn,
import-uwsgi, import-granian, dev-cert, ctl and top.

Exit codes: 0 after SIGTERM, `--check`, `--version` and `--help`; 1 if the application or a socket
cannot be had; 2 for a wrong command line or variable; death by SIGINT after Ctrl-C, as shells
expect of what they run (they show it as 130).

What is not asked for is not imported: help comes at once, and shells complete by it.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING

from ..configuration.arguments import UsageError, parse_arguments
from . import MISUSE

if TYPE_CHECKING:
    from collections.abc import Sequence

SUBCOMMANDS = {
    "import-gunicorn": "prowingen_wsgi.gunicorn.importer",
    "import-uwsgi": "prowingen_wsgi.importers.uwsgi.importer",
    "import-granian": "prowingen_wsgi.importers.granian.importer",
    "dev-cert": "prowingen_wsgi.command.dev_cert",
    "ctl": "prowingen_wsgi.control.command",
    "top": "prowingen_wsgi.control.top",
}
"""Modules with a `main` of their own, which nobody else needs."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code. `sys.argv` is used without arguments."""
    if None in (sys.stdin, sys.stdout, sys.stderr):
        from .standard_streams import open_missing

        open_missing()
    words = sys.argv[1:] if arguments is None else list(arguments)
    if words and words[0] in SUBCOMMANDS:
        code: int = import_module(SUBCOMMANDS[words[0]]).main(words[1:])
        return code
    try:
        understood = parse_arguments(words)
    except UsageError as error:
        from ..output import print_error

        print_error(f"{error} (see --help)")
        return MISUSE
    from .running import run

    return run(understood)
