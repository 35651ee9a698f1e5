"""Writes prowingen(1), in man(7)'s macros, from the command line itself.

    python tools/manual_page.py prowingen.1

What is said of the flags is what `prowingen --help` says; files, signals and exit codes are here.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from command_line import Argument, CommandLine, command_lines
from generate_options import ROOT, write_if_changed

if TYPE_CHECKING:
    from collections.abc import Iterator

# What the options are not about. In roff already.
_INTRODUCTION = r"""
.SH NAME
prowingen \- WSGI server whose HTTP runs in native threads
.SH SYNOPSIS
.SY prowingen
.RI [ options ]
.IR module : app
.YS
.SY "prowingen \-\-check"
.RI [ options ]
.IR module : app
.YS
.SY "prowingen import\-gunicorn"
.IR PATH
.RB [ \-o
.IR PATH ]
.RB [ \-\-force ]
.YS
.SY "prowingen dev\-cert"
.RB [ \-\-folder
.IR PATH ]
.RB [ \-\-renew ]
.YS
.SH DESCRIPTION
.B prowingen
serves a WSGI application, such as one of Flask or Django: HTTP runs in native threads that never
touch Python, and the application in a pool of worker threads.
.PP
The application is named by its module, found from the current directory, and its attribute:
.IR hello : app .
A module alone means its
.I application
or
.IR app .
.PP
Each option is also a key of the configuration file and an environment variable: what is
.B \-\-max\-body 10MiB
on the command line is
.B max_body = \(dq10MiB\(dq
in the file and
.B PROWINGEN_MAX_BODY=10MiB
in the environment. The command line wins over the environment, that over the file, and all of them
over the defaults.
.B prowingen \-\-check
shows every value with where it came from.
.PP
Sizes are bytes, or carry a unit: 64KiB, 10k, 1MiB. Durations are seconds, or carry one: 500ms, 2m.
An option that may be given several times is a list in the file.
"""

_CLOSING = r"""
.SH SIGNALS
.TP
.BR SIGTERM ", " SIGINT
Requests finish, for at most
.IR graceful_timeout ;
a second one closes everything at once.
.TP
.B SIGQUIT
Everything is closed at once.
.TP
.B SIGHUP
With workers: the configuration is read anew and the workers are replaced, one after the other,
without a failed request. Without workers it ends the process.
.TP
.B SIGUSR1
The access log's file is opened anew.
.TP
.BR SIGTTIN ", " SIGTTOU
With workers: one more, one less.
.SH EXIT STATUS
.TP
.B 0
after SIGTERM,
.BR \-\-check ", " \-\-version " and " \-\-help
.TP
.B 1
the application or a socket cannot be had
.TP
.B 2
a wrong command line, variable or file
.SH FILES
.TP
.I prowingen.toml
in the current directory: the configuration, if
.B \-\-config
names no other; else the table
.B [tool.prowingen]
of
.I pyproject.toml
.TP
.IR /etc/prowingen/ NAME .toml
the configuration of
.BI prowingen@ NAME .service\fR,
where the server is installed with its systemd units
.SH EXAMPLES
.EX
prowingen hello:app \-\-bind 127.0.0.1:8000 \-\-threads 16
prowingen \-\-workers auto \-\-access\-log \- hello:app
prowingen import\-gunicorn gunicorn.conf.py \-o prowingen.toml
.EE
.SH SEE ALSO
.BR systemd.socket (5),
.BR gunicorn (1)
"""


def escaped(text: str) -> str:
    """Text as roff takes it: no command in it, and its hyphens as they are typed."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("`", "\\(ga")
    # A list without spaces may break behind its commas.
    text = re.sub(r",(?=\S)", r",\\:", text.replace("–", "\\(en"))
    return f"\\&{text}" if text.startswith((".", "'")) else text


def _term(argument: Argument) -> str:
    flags = ", ".join(f"\\fB{escaped(flag)}\\fR" for flag in argument.flags)
    metavar = f"\\fI{escaped(argument.metavar)}\\fR" if argument.metavar else ""
    return " ".join(filter(None, [flags, metavar]))


def _arguments(arguments: tuple[Argument, ...]) -> Iterator[str]:
    for argument in arguments:
        yield ".TP"
        yield _term(argument)
        listed = f" [{', '.join(argument.choices)}]" if argument.choices else ""
        yield escaped(argument.help + listed)


def _subcommands(commands: list[CommandLine]) -> Iterator[str]:
    yield ".SH SUBCOMMANDS"
    for command in commands:
        yield f".SS {escaped(command.name)}"
        yield escaped(command.description)
        for group in command.groups:
            yield from _arguments(group.arguments)


def version() -> str:
    """The project's, from pyproject.toml: read as CMake does, since Python 3.10 has no tomllib."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    return text.partition('\nversion = "')[2].partition('"')[0]


def manual_page() -> Iterator[str]:
    command, *subcommands = command_lines()
    yield '.\\" Made by tools/manual_page.py from the options; edit those.'
    # Without a date: the same sources make the same page.
    yield f'.TH PROWINGEN 1 "" "prowingen\\-wsgi {version()}" "User Commands"'
    yield _INTRODUCTION.strip()
    yield ".SH OPTIONS"
    yield ".ad l"  # values are long, and have no spaces
    for group in command.groups:
        yield f".SS {escaped(group.title)}"
        yield from _arguments(group.arguments)
    yield from _subcommands(subcommands)
    yield _CLOSING.strip()


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print("usage: manual_page.py FILE", file=sys.stderr)
        return 2
    write_if_changed(Path(arguments[0]), manual_page())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
