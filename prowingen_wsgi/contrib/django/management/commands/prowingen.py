"""`manage.py prowingen`: the project's application in production, with `prowingen`'s own options.

This process becomes `python -m prowingen_wsgi module:application`, without what Django has loaded
to get here, so that a later reload of the code starts from the code alone.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from prowingen_wsgi.configuration.arguments import add_options
from prowingen_wsgi.configuration.config import OPTIONS, ConfigError
from prowingen_wsgi.configuration.values import Many, Secret, Switch

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    Given = dict[str, Sequence[tuple[str, str]]]

_DEFAULT_APPLICATION = "prowingen_wsgi.contrib.django.wsgi:application"


class Command(BaseCommand):  # type: ignore[misc]
    help = "Serves the application that WSGI_APPLICATION names, for production."
    suppressed_base_arguments = {"--verbosity", "--traceback"}  # noqa: RUF012 - as Django has it

    def add_arguments(self, parser: Any) -> None:
        """The options of `prowingen`; --pythonpath is Django's, which means the same."""
        add_options(parser, without=("pythonpath",))
        parser.add_argument(
            "--check",
            action="store_true",
            help="load the application, show each option's value with its source, and exit",
        )
        parser.set_defaults(given={})
        parser.allow_abbrev = False

    def handle(self, *_arguments: object, **options: Any) -> None:
        keywords = _keywords(options)
        variables = {name: value for name, value in keywords.items() if _is_variable(name, value)}
        flags = {name: value for name, value in keywords.items() if name not in variables}
        typed = {name: uses for name, uses in options["given"].items() if name not in keywords}
        given = {**typed, **_as_given(flags)}
        command = [sys.executable, *_interpreter_flags(), "-m", "prowingen_wsgi", *_flags(given)]
        command += ["--check"] if options["check"] else []
        command.append(_target(settings.WSGI_APPLICATION))
        environment = {**os.environ, "DJANGO_SETTINGS_MODULE": settings.SETTINGS_MODULE}
        environment |= {OPTIONS[name].env: value or "" for name, value in variables.items()}
        environment["PYTHONPATH"] = os.pathsep.join(_python_path(options["pythonpath"]))
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os.execve(sys.executable, command, environment)


def _flags(given: Mapping[str, Sequence[tuple[str, str]]]) -> Iterator[str]:
    """The command line again that was noted as `Arguments.given`."""
    for name, uses in given.items():
        for flag, text in uses:
            yield flag if isinstance(OPTIONS[name].kind, Switch) else f"{flag}={text}"


def _keywords(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that `call_command("prowingen", threads=3)` has given, checked."""
    try:
        return {
            name: OPTIONS[name].accept(options[name], name)
            for name in OPTIONS.keys() & options.keys() - {"pythonpath"}
        }
    except ConfigError as error:
        raise CommandError(str(error)) from None


def _is_variable(name: str, value: object) -> bool:
    """Whether a variable hands an option on: a secret, since everybody on the machine can read a
    command line, and a list of none, which no flag says."""
    return isinstance(OPTIONS[name].kind, Secret) or value == ()


def _as_given(values: Mapping[str, Any]) -> Given:
    """Options as a command line gives them."""
    given: Given = {}
    for name, value in values.items():
        option = OPTIONS[name]
        if isinstance(option.kind, Switch):
            given[name] = [(option.flags[-2 if value else -1], "")]
        elif isinstance(option.kind, Many):
            given[name] = [(option.flag, text) for text in value]
        else:
            given[name] = [(option.flag, option.kind.format(value))]
    return given


# Letters of the command line that say how a program runs. Those that say where modules are found
# are left out: the project is found by PYTHONPATH.
_LETTERS = {
    "debug": "d",
    "optimize": "O",
    "dont_write_bytecode": "B",
    "bytes_warning": "b",
    "verbose": "v",
    "quiet": "q",
}


def _interpreter_flags() -> Iterator[str]:
    """This interpreter's own options again, as -O, -X dev and -W error."""
    for attribute, letter in _LETTERS.items():
        if count := int(getattr(sys.flags, attribute)):
            yield f"-{letter * count}"
    for name, value in sys._xoptions.items():
        yield f"-X{name}" if value is True else f"-X{name}={value}"
    for warning in sys.warnoptions:
        yield f"-W{warning}"


def _target(path: str | None) -> str:
    """The setting WSGI_APPLICATION as `prowingen` takes it."""
    if path is None:
        return _DEFAULT_APPLICATION
    module, dot, name = path.rpartition(".")
    if not dot:
        raise CommandError(f'WSGI_APPLICATION: "{path}" must be module.name')
    return f"{module}:{name}"


def _python_path(first: str | None) -> Iterator[str]:
    """Where this process found the project, for one that is started elsewhere."""
    if first:
        yield first  # Django has put it before the folder of manage.py, perhaps twice
    yield next(entry for entry in sys.path if entry != first) or str(Path.cwd())
    if os.environ.get("PYTHONPATH"):
        yield os.environ["PYTHONPATH"]
