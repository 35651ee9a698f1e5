"""`prowingen import-granian -- granian --interface wsgi app:app`: the same as a `prowingen.toml`.

What the command line and the GRANIAN_* variables set becomes an option where there is one;
everything else is listed with what to do instead. As for granian, the command line wins over
variables.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ...configuration.addresses import tcp_text
from ...configuration.config import OPTIONS, nearest
from ...loader import Target, TargetError
from ...originals import os
from ..command import MalformedError, add_output, run
from ..conversion import Becomes, Conversion
from ..limits import both_families, raise_request_line
from .command_line import CommandLine, of_variables, parse, variables_of_file
from .equivalents import BECOMES, DONE, LACKING, number, switch
from .settings import SETTINGS, VARIABLES, Takes
from .static_files import MAX_AGE, take_static_files

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

DEFAULT = "granian's default"
_OF_THE_ADDRESS = ("host", "port", "uds")
_USUAL_NAME = "app"  # which is looked for in a module that is named alone
_BACKLOG = 1024
_NEEDS = {"uds_permissions": "uds", "static_path_expires": "static_path_mount"}
"""What means nothing without another setting."""


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="prowingen import-granian",
        usage="prowingen import-granian [options] -- granian --interface wsgi module:app ...",
        description="Writes what a granian command and its GRANIAN_* variables say as a "
        "prowingen.toml, and lists what is not in it.",
        epilog="The command may also be one word, pasted from where it stands: "
        "'web: granian --interface wsgi app:app --port $PORT'.",
        allow_abbrev=False,
    )
    parser.add_argument("command", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    parser.add_argument(
        "--env-file", metavar="PATH", help="NAME=value lines of GRANIAN_* variables it is run with"
    )
    add_output(parser)
    return parser


def main(arguments: Sequence[str]) -> int:
    """Runs the subcommand with the words behind its name; its exit code."""
    parser = make_parser()
    found = parser.parse_args(arguments)

    words = found.command[1:] if found.command[:1] == ["--"] else found.command
    if not words:
        parser.error("which command? Name it after --, as granian --interface wsgi app:app")

    def read() -> tuple[str, list[str]]:
        of_file = variables_of_file(Path(found.env_file)) if found.env_file else {}
        return convert(words, {**of_file, **os.environ})

    return run("import-granian", found, read)


def convert(words: Sequence[str], environ: Mapping[str, str]) -> tuple[str, list[str]]:
    """The text of a `prowingen.toml`, and a line for each setting that is not in it.

    Raises MalformedError.
    """
    line = parse(words, environ)
    environ = {**environ, **line.variables}
    found = of_variables(environ)
    found.app = line.app
    found.given |= line.given
    found.labels |= line.labels
    conversion = Conversion()
    _take_application(found, conversion)
    _take_address(found, conversion)
    take_static_files(found, conversion)
    _take_settings(found, conversion)
    _take_defaults(found, conversion)
    conversion.settle()
    for variable in sorted(environ):
        if variable.startswith("GRANIAN_") and variable not in VARIABLES:
            conversion.remark(
                variable, f"granian has no such variable{nearest(variable, VARIABLES)}"
            )
    return conversion.text(), conversion.remarks


def _take_application(found: CommandLine, conversion: Conversion) -> None:
    interface = found.given.get("interface", [""])[-1].lower()
    if interface != "wsgi":
        label = found.labels.get("interface", "--interface")
        shown = f'"{interface}"' if interface else "not given, which is rsgi to granian"
        raise MalformedError(
            f"{label}: {shown}: WSGI applications alone are served: name a WSGI application, and "
            "--interface wsgi with it"
        )
    if not found.app:
        raise MalformedError("which application? Name it, as in granian --interface wsgi app:app")
    module, colon, attribute = found.app.partition(":")
    if module.endswith(".py") or "/" in module:
        module = module.removesuffix(".py").removeprefix("./").replace("/", ".")
    conversion.app = f"{module}:{attribute if colon and attribute else _USUAL_NAME}"
    try:
        Target.parse(conversion.app)
        conversion.factory = switch(found.given.get("factory", ["off"])[-1])
    except (TargetError, ValueError) as error:
        raise MalformedError(str(error)) from None


def _take_address(found: CommandLine, conversion: Conversion) -> None:
    label = next((found.labels[name] for name in _OF_THE_ADDRESS if name in found.labels), "")
    try:
        if "uds" in found.given:
            path = found.given["uds"][-1]
            bind = f"unix:{path}"
            for name in ("host", "port"):
                if name in found.given:
                    conversion.remark(found.labels[name], f"not taken over: {path} is served on")
        else:
            port = number(found.given.get("port", ["8000"])[-1])
            bind = tcp_text(found.given.get("host", ["127.0.0.1"])[-1].strip("[]"), port)
        conversion.take(label or "bind", Becomes("bind"), [bind])
    except ValueError as error:
        conversion.remark(label, f"not taken over: {error}")
    for text in both_families(conversion.options.get("bind", ()), "granian"):
        conversion.remark(label, text)


def _take_settings(found: CommandLine, conversion: Conversion) -> None:
    by: dict[str, str] = {}
    for name in SETTINGS:
        if name not in found.given:
            continue
        texts, label = found.given[name], found.labels[name]
        if name in BECOMES:
            option = BECOMES[name].option
            needed = _NEEDS.get(name)
            if needed and needed not in found.given:
                conversion.remark(label, f"not taken over: it needs {SETTINGS[needed].flag}")
            elif option in by:
                conversion.remark(label, f"not taken over: {found.labels[by[option]]} decides")
            else:
                by[option] = name
                conversion.take(label, BECOMES[name], texts)
                if option in conversion.options:
                    for text in _differences(name, found):
                        conversion.remark(label, text)
        elif name in LACKING and _asks_for_something(name, texts):
            conversion.lack(label, LACKING[name], texts[-1])
        elif name in DONE:
            _tell_of_wish(name, texts[-1], label, conversion)


def _differences(name: str, found: CommandLine) -> Iterator[str]:
    """What its user should know of a setting that is taken over."""
    if name == "uds_permissions":
        yield "umask has the same effect, and is for all files that are made"
    if name == "env_files":
        yield "it needs python-dotenv: pip install 'prowingen-wsgi[env-file]'"
    if name == "ssl_keyfile_password":
        yield "it is in the file now: the variable PROWINGEN_KEYFILE_PASSWORD is another place"
    if name == "static_path_expires" and BECOMES[name].convert(found.given[name]) == 0:
        yield "granian says nothing of caching then; here clients are told to ask each time"
    if name == "reload" and switch(found.given[name][-1]):
        yield "it needs watchfiles: pip install 'prowingen-wsgi[reload]'"


def _asks_for_something(name: str, texts: Sequence[str]) -> bool:
    if SETTINGS[name].takes is not Takes.SWITCH:
        return True
    return texts[-1].lower() not in ("off", "0", "false", "f", "no", "n")


def _tell_of_wish(name: str, text: str, label: str, conversion: Conversion) -> None:
    """A switch that is off asks for the opposite, of which only one has an option."""
    if _asks_for_something(name, [text]):
        conversion.remark(label, "nothing to set: it is so anyhow")
    elif name == "log_enabled":
        conversion.take(label, Becomes("log_level"), "critical")
    elif name == "respawn_failed_workers":
        conversion.remark(label, "a worker that ends is always replaced")


def _take_defaults(found: CommandLine, conversion: Conversion) -> None:
    """Where leaving a setting out means another thing to each."""
    if "static" in conversion.options and "static_path_expires" not in found.given:
        conversion.derive("static_max_age", MAX_AGE, DEFAULT)
    if "workers" not in conversion.options:
        conversion.derive("workers", 1, DEFAULT)
    if "certfile" in conversion.options and "tls_min_version" not in conversion.options:
        conversion.derive("tls_min_version", "1.3", DEFAULT)
    raise_request_line(conversion, "http1_buffer_size")
    if "threads" not in conversion.options:
        asked = conversion.options
        workers = max(asked.get("workers", 1), 1)
        at_once = asked.get("max_connections") or asked.get("backlog", _BACKLOG) // workers
        conversion.remark(
            "--blocking-threads",
            f"not given: granian starts threads as they are needed, up to "
            f"{max(at_once // 2, 1)}; here {OPTIONS['threads'].default} are there: set threads to "
            "more if requests wait much",
        )
