"""`prowingen import-gunicorn gunicorn.conf.py`: the same configuration as a `prowingen.toml`.

The file is run, as gunicorn does, since it is Python. What it sets becomes an option where there is
one; everything else is listed, with what to do instead. gunicorn need not be installed.
"""

from __future__ import annotations

import argparse
import json
import runpy
import sys
import traceback
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..configuration.addresses import with_ipv4
from ..configuration.config import OPTIONS, Config, ConfigError
from ..configuration.conflicts import conflicts
from ..configuration.values import Octal
from ..originals import os
from .equivalents import BECOMES, LACKING, SCHEME_HEADERS, asks_for_something, header_section

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

SUCCESS, FAILURE = 0, 1

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
    parser.add_argument("-o", "--output", metavar="PATH", help="default: standard output")
    parser.add_argument("--force", action="store_true", help="replace a file that is there")
    return parser


def main(arguments: Sequence[str]) -> int:
    """Runs the subcommand with the words behind its name; its exit code."""
    found = make_parser().parse_args(arguments)
    output = Path(found.output) if found.output else None
    if output is not None and output.exists() and not found.force:
        return _fail(f"{output}: it is there already; --force replaces it")
    try:
        settings = _run(Path(found.file))
        text, remarks = convert(settings)
        if output is None:
            sys.stdout.write(text)
        else:
            output.write_text(text, encoding="utf-8")
    except _CannotReadError as error:
        return _fail(str(error))
    except OSError as error:
        return _fail(f"{error.filename or 'standard output'}: {error.strerror}")
    for remark in (*remarks, *_unread_variables(settings, os.environ)):
        print(remark, file=sys.stderr)
    return SUCCESS


def _fail(message: str) -> int:
    print(f"prowingen import-gunicorn: {message}", file=sys.stderr)
    return FAILURE


class _CannotReadError(Exception):
    """One line."""


def _run(path: Path) -> dict[str, Any]:
    """What the file sets, by name."""
    if not path.is_file():
        raise _CannotReadError(f"{path}: there is no such file")
    try:
        sys.path.insert(0, str(Path.cwd()))  # as gunicorn has it, for what the file imports
    except FileNotFoundError:
        raise _CannotReadError("the current directory is gone: change to one that exists") from None
    try:
        with redirect_stdout(sys.stderr):  # what the file prints is no part of the result
            return runpy.run_path(str(path), run_name="__config__")
    except (Exception, SystemExit) as error:  # whatever the user's file raises
        frames = traceback.extract_tb(error.__traceback__)
        line = next((frame.lineno for frame in reversed(frames) if frame.filename == str(path)), 0)
        where = f"{path}: line {line}" if line else str(path)
        raise _CannotReadError(f"{where}: {type(error).__name__}: {error}") from error


def _unread_variables(settings: Mapping[str, Any], environ: Mapping[str, str]) -> Iterator[str]:
    for variable, setting in _VARIABLES.items():
        if variable in environ and (not setting or setting not in settings):
            yield f"{variable}: the variable is not taken over: only the file is read"


def convert(settings: Mapping[str, Any]) -> tuple[str, list[str]]:
    """The text of a `prowingen.toml`, and a line for each setting that is not in it."""
    remarks: list[str] = []
    options: dict[str, Any] = {}
    set_by: dict[str, str] = {}
    limits = _FIELD_LIMITS if not _FIELD_LIMITS.keys().isdisjoint(settings) else {}
    for name, value in {**_DEFAULTS, **limits, **settings}.items():
        if name in BECOMES:
            option = BECOMES[name].option
            try:
                options[option] = OPTIONS[option].accept(BECOMES[name].convert(value), option)
                _toml(options[option]).encode()
            except (ConfigError, TypeError, ValueError) as error:
                options.pop(option, None)
                remarks.append(f"{name}: not taken over: {error}")
            set_by[option] = name
        elif name in LACKING and asks_for_something(name, value):
            remarks.append(f"{name}: {LACKING[name]}")
    if {"max_header_fields", "max_field_line"} <= options.keys():
        options["max_header_bytes"] = header_section(options)
    while conflict := next(conflicts(Config.from_values(options)), None):
        option, why = conflict
        del options[option]
        remarks.append(f"{set_by[option]}: not taken over: {why}")
    remarks.extend(_further_remarks(settings, options))
    app = settings.get("wsgi_app")
    lines = [f"app = {_toml(str(app))}"] if app else []
    for option, value in options.items():
        if value != OPTIONS[option].default:
            comment = "" if set_by.get(option) in settings else f"  # {_reason(option, set_by)}"
            lines.append(f"{option} = {_toml(_shown(option, value))}{comment}")
    return "".join(f"{line}\n" for line in lines), remarks


def _reason(option: str, set_by: Mapping[str, str]) -> str:
    """Why an option is written that no setting says."""
    if option in set_by:
        return "gunicorn's default"
    return "what max_header_fields of max_field_line add up to, as under gunicorn"


def _further_remarks(settings: Mapping[str, Any], options: Mapping[str, Any]) -> Iterator[str]:
    worker = settings.get("worker_class", "sync")
    if isinstance(worker, type):
        worker = f"{worker.__module__}.{worker.__qualname__}"
    if worker not in _THREADED:
        yield (
            f"worker_class: {worker}: applications run in threads here; raise threads for those "
            "that wait much"
        )
    bind = options.get("bind", ())
    for address, place in zip(bind, with_ipv4(bind), strict=True):
        if address != place:
            yield (
                f"bind: {address}: serves IPv4 too, as under gunicorn unless the system's "
                "net.ipv6.bindv6only is set: ipv6_only = true for IPv6 alone"
            )
    needed = options.get("max_header_fields", 0) * options.get("max_field_line", 0)
    limited = [name for name in _FIELD_LIMITS if settings.get(name)]
    if limited and needed > options.get("max_header_bytes", needed):
        size = OPTIONS["max_header_bytes"].kind.format(options["max_header_bytes"])
        yield (
            f"{', '.join(limited)}: header sections are limited to {size} altogether, which is the "
            "largest max_header_bytes"
        )
    unix = any(address.startswith("unix:") for address in options.get("bind", ()))
    if unix and "umask" not in settings:
        yield (
            "umask: not set: gunicorn lets everyone connect to a Unix socket; here its mode "
            "follows the umask of whoever starts the server: set umask, or user and group"
        )


def _shown(option: str, value: Any) -> Any:
    return OPTIONS[option].kind.format(value) if isinstance(OPTIONS[option].kind, Octal) else value


def _toml(value: object) -> str:
    """A value as TOML writes it. Its basic strings are JSON's, but for DEL, which is escaped."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
