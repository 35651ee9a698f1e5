"""`prowingen import-gunicorn gunicorn.conf.py`: the same configuration as a `prowingen.toml`.

The file is run, as gunicorn does, since it is Python. What it sets becomes an option where there is
one; everything else is listed, with what to do instead. gunicorn need not be installed.
"""

from __future__ import annotations

import argparse
import runpy
import sys
import traceback
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..configuration.config import OPTIONS
from ..importers.command import CannotReadError, MalformedError, add_output, run
from ..importers.conversion import Conversion
from ..importers.limits import both_families
from ..originals import os
from .equivalents import BECOMES, LACKING, SCHEME_HEADERS, asks_for_something, header_section

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_THREADED = {
    "sync",
    "gthread",
    "gunicorn.workers.sync.SyncWorker",
    "gunicorn.workers.gthread.ThreadWorker",
    "egg:gunicorn#sync",
    "egg:gunicorn#gthread",
    "prowingen_wsgi.gunicorn.Worker",
    "prowingen_wsgi.gunicorn.worker.Worker",
}
# Where leaving a setting out means another thing to each: gunicorn's default.
_DEFAULTS = {
    "workers": 1,
    "threads": 1,
    "timeout": 30,
    "keepalive": 2,
    "forwarded_allow_ips": "127.0.0.1,::1",
    "secure_scheme_headers": SCHEME_HEADERS,
}
# The same for what is set together: a header section's limit here is one of its own.
_FIELD_LIMITS = {"limit_request_fields": 100, "limit_request_field_size": 8190}
# Variables that gunicorn reads, and the setting that makes it pass one over.
_VARIABLES = {
    "GUNICORN_CMD_ARGS": "",
    "WEB_CONCURRENCY": "workers",
    "PORT": "bind",
    "FORWARDED_ALLOW_IPS": "forwarded_allow_ips",
}


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="prowingen import-gunicorn",
        description="Writes gunicorn's configuration as a prowingen.toml.",
        allow_abbrev=False,
    )
    parser.add_argument("file", metavar="PATH", help="gunicorn's configuration file, which is run")
    add_output(parser)
    return parser


def main(arguments: Sequence[str]) -> int:
    """Runs the subcommand with the words behind its name; its exit code."""
    found = make_parser().parse_args(arguments)

    def read() -> tuple[str, list[str]]:
        settings = _run(Path(found.file))
        text, remarks = convert(settings)
        return text, [*remarks, *_unread_variables(settings, os.environ)]

    return run("import-gunicorn", found, read)


def _run(path: Path) -> dict[str, Any]:
    """What the file sets, by name."""
    if not path.is_file():
        raise CannotReadError(f"{path}: there is no such file")
    try:
        sys.path.insert(0, str(Path.cwd()))  # as gunicorn has it, for what the file imports
    except FileNotFoundError:
        raise CannotReadError("the current directory is gone: change to one that exists") from None
    try:
        with redirect_stdout(sys.stderr):  # what the file prints is no part of the result
            return runpy.run_path(str(path), run_name="__config__")
    except (Exception, SystemExit) as error:  # whatever the user's file raises
        frames = traceback.extract_tb(error.__traceback__)
        line = next((frame.lineno for frame in reversed(frames) if frame.filename == str(path)), 0)
        where = f"{path}: line {line}" if line else str(path)
        raise MalformedError(f"{where}: {type(error).__name__}: {error}") from error


def _unread_variables(settings: Mapping[str, Any], environ: Mapping[str, str]) -> Iterator[str]:
    for variable, setting in _VARIABLES.items():
        if variable in environ and (not setting or setting not in settings):
            yield f"{variable}: the variable is not taken over: only the file is read"


def convert(settings: Mapping[str, Any]) -> tuple[str, list[str]]:
    """The text of a `prowingen.toml`, and a line for each setting that is not in it."""
    conversion = Conversion()
    limits = _FIELD_LIMITS if not _FIELD_LIMITS.keys().isdisjoint(settings) else {}
    for name, value in {**_DEFAULTS, **limits, **settings}.items():
        if name in BECOMES:
            reason = "" if name in settings else "gunicorn's default"
            conversion.take(name, BECOMES[name], value, reason=reason)
        elif name in LACKING and asks_for_something(name, value):
            conversion.lack(name, LACKING[name], value)
    if {"max_header_fields", "max_field_line"} <= conversion.options.keys():
        conversion.derive(
            "max_header_bytes",
            header_section(conversion.options),
            "what max_header_fields of max_field_line add up to, as under gunicorn",
        )
    conversion.settle()
    for name, text in _further_remarks(settings, conversion.options):
        conversion.remark(name, text)
    app = settings.get("wsgi_app")
    conversion.app = str(app) if app else ""
    return conversion.text(), conversion.remarks


def _further_remarks(
    settings: Mapping[str, Any], options: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    worker = settings.get("worker_class", "sync")
    if isinstance(worker, type):
        worker = f"{worker.__module__}.{worker.__qualname__}"
    if worker not in _THREADED:
        yield (
            "worker_class",
            f"{worker}: applications run in threads here; raise threads for those that wait much",
        )
    bind = options.get("bind", ())
    for text in both_families(bind, "gunicorn"):
        yield "bind", text
    needed = options.get("max_header_fields", 0) * options.get("max_field_line", 0)
    limited = [name for name in _FIELD_LIMITS if settings.get(name)]
    if limited and needed > options.get("max_header_bytes", needed):
        size = OPTIONS["max_header_bytes"].kind.format(options["max_header_bytes"])
        yield (
            ", ".join(limited),
            f"header sections are limited to {size} altogether, which is the "
            "largest max_header_bytes",
        )
    unix = any(address.startswith("unix:") for address in options.get("bind", ()))
    if unix and "umask" not in settings:
        yield (
            "umask",
            "not set: gunicorn lets everyone connect to a Unix socket; here its mode "
            "follows the umask of whoever starts the server: set umask, or user and group",
        )
