"""`prowingen import-uwsgi app.ini`: the same configuration as a `prowingen.toml`.

The file is read as uWSGI reads it, with what it includes and what its placeholders stand for, on
this machine and with this environment. What it sets becomes an option where there is one;
everything else is listed, with its line and with what to do instead.
"""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING

from ...configuration.config import nearest
from ...originals import os
from ..command import add_output, run
from ..conversion import Becomes, Conversion
from ..limits import both_families, largest, raise_request_line
from . import addresses, application
from .equivalents import ALIASES, BECOMES, DONE, switch
from .families import FAMILIES
from .lacking import LACKING
from .magic import CORES, cores
from .reader import Reader, acts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from .files import Entry

DEFAULT = "uWSGI's default"
_LOGS = ("req-logger", "logger", "logto2", "logto", "daemonize2", "daemonize")
_ERRORS_TOO = "the access log goes there; errors go to standard error: have that collected"
# uWSGI opens these before it goes to chdir, and this server after.
_BEFORE_CHDIR = (*_LOGS, "pidfile", "safe-pidfile")
_KNOWN = {*BECOMES, *DONE, *LACKING, *addresses.NAMES, *application.NAMES, "protocol"}
_UNSET = re.compile(r"\$\([^)]*\)|@\([^)]*\)|%\([\w .-]+\)")
# Not a log's lines, whose placeholders are another thing, nor variables, which may be secrets.
_TAKEN = {*BECOMES, *addresses.NAMES, *application.NAMES} - {"log-format"}


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="prowingen import-uwsgi",
        description="Writes uWSGI's configuration as a prowingen.toml, and lists what is not in "
        "it.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "file",
        metavar="PATH",
        help="uWSGI's configuration: ini, JSON or YAML, perhaps with a section: app.ini:name",
    )
    add_output(parser)
    return parser


def main(arguments: Sequence[str]) -> int:
    """Runs the subcommand with the words behind its name; its exit code."""
    found = make_parser().parse_args(arguments)

    def read() -> tuple[str, list[str]]:
        reader = Reader(os.environ)
        return convert(reader.read(found.file), reader.referred)

    return run("import-uwsgi", found, read)


def convert(entries: Iterable[Entry], referred: Iterable[str] = ()) -> tuple[str, list[str]]:
    """The text of a `prowingen.toml`, and a line for each setting that is not in it.

    referred: names that placeholders have asked for, which need no word of their own.
    """
    conversion = Conversion()
    given = _by_name(entries, conversion)
    _take_application(given, conversion)
    found = _take_addresses(given, conversion)
    _take_options(given, conversion, found)
    _take_defaults(given, conversion)
    _tell_of_others(given, conversion, frozenset(referred))
    conversion.settle()
    return conversion.text(), conversion.remarks


_Given = dict[str, list[tuple[str, str]]]
"""Values of each option, with what a remark calls it."""


def is_known(name: str) -> bool:
    """Whether an option has a place in the tables."""
    return ALIASES.get(name, name) in _KNOWN or acts(name) or _family(name) is not None


def _by_name(entries: Iterable[Entry], conversion: Conversion) -> _Given:
    given: _Given = {}
    for entry in entries:
        name = ALIASES.get(entry.key, entry.key)
        label = f"{entry.place}: {entry.key}"
        unset = _UNSET.search(entry.value)
        if unset and name in _TAKEN:
            conversion.remark(
                label,
                f"not taken over: {entry.value}: nothing is known of {unset[0]}: set it and import "
                "again",
            )
        else:
            value = entry.value if entry.value == CORES else cores(entry.value)
            given.setdefault(name, []).append((value, label))
    return given


def _is_on(given: _Given, name: str) -> bool:
    return name in given and switch(given[name][-1][0])


def _take_application(given: _Given, conversion: Conversion) -> None:
    chdir = given["chdir"][-1][0] if "chdir" in given else ""
    found = application.application(given, chdir)
    conversion.app = found.target
    for label, text in found.remarks:
        conversion.remark(label, text)
    if found.pythonpath:
        own = [(folder, "wsgi-file") for folder in found.pythonpath]
        given["pythonpath"] = [*given.get("pythonpath", ()), *own]


def _take_addresses(given: _Given, conversion: Conversion) -> addresses.Sockets:
    asked = [
        (name, value, label) for name in addresses.NAMES for value, label in given.get(name, ())
    ]
    protocol = given["protocol"][-1][0] if "protocol" in given else "uwsgi"
    found = addresses.sockets(asked, protocol)
    for label, text in found.remarks:
        conversion.remark(label, text)
    if found.bind:
        conversion.take(found.label, Becomes("bind"), found.bind)
        for text in both_families(conversion.options.get("bind", ()), "uWSGI"):
            conversion.remark(found.label, text)
    if found.certificates:
        chains, keys = zip(*found.certificates, strict=True)
        for option, value in (
            ("certfile", chains),
            ("keyfile", keys),
            ("ciphers", found.ciphers),
            ("ca_certs", found.authorities),
            ("redirect_http", found.redirects),
        ):
            if value:
                conversion.take(found.label, Becomes(option), value)
        if found.authorities:
            demand = "required" if found.demands else "optional"
            conversion.take(found.label, Becomes("cert_reqs"), demand)
    if found.proxies:
        fields = "X-Forwarded-Proto" if found.scheme_alone else "X-Forwarded-For and -Proto"
        reason = f"the proxy on this machine, which has to set {fields}"
        conversion.derive("forwarded_allow_ips", tuple(found.proxies), reason)
        if found.scheme_alone:
            conversion.derive("forwarded_fields", ("proto",), "what uWSGI believes over HTTP")
    return found


def _take_options(given: _Given, conversion: Conversion, found: addresses.Sockets) -> None:
    quiet = _is_on(given, "disable-logging")
    by: dict[str, str] = {}
    for name, becomes in BECOMES.items():
        if name not in given or (name in _LOGS and quiet):
            continue
        if name == "chmod-socket" and not found.has_files:
            continue
        values = [value for value, _ in given[name]]
        label = given[name][-1][1]
        if becomes.option in by:
            conversion.remark(label, f"not taken over: {by[becomes.option]} decides")
            continue
        by[becomes.option] = name
        conversion.take(label, becomes, values)
        if becomes.option in conversion.options:
            for text in _differences(name, values[-1]):
                conversion.remark(label, text)
            path = str(conversion.options[becomes.option])
            if name in _BEFORE_CHDIR and "chdir" in given and not path.startswith(("/", "-")):
                conversion.remark(label, f"{path}: relative paths begin at chdir here")
    for name in ("http-timeout", "socket-timeout"):
        if by.get("body_timeout") == name and "body_timeout" in conversion.options:
            seconds = conversion.options["body_timeout"]
            conversion.derive("write_timeout", seconds, f"{name}, for answers")
    raise_request_line(conversion, "buffer-size")
    _spread_restarts(conversion)


def _differences(name: str, value: str) -> Iterator[str]:
    """What its user should know of an option that is taken over."""
    if name == "chmod-socket":
        yield f"{value}: umask has the same effect, and is for all files that are made"
    if name in _LOGS and name != "req-logger":
        yield f"{value}: {_ERRORS_TOO}"
    if name == "enable-proxy-protocol":
        yield (
            "name your proxies in proxy_allow_ips: a connection from elsewhere, or without a PROXY "
            "header, is closed"
        )
    if name == "harakiri":
        yield (
            f"{value}: the client is answered 504 and another thread is begun, and no process is "
            "killed: see docs/deadlines.md"
        )


def _spread_restarts(conversion: Conversion) -> None:
    """The delta is there once more for each further worker, and here the most by chance."""
    delta = conversion.options.get("max_requests_jitter", 0)
    workers = conversion.options.get("workers", 1)
    if delta:
        workers = (os.cpu_count() or 1) if workers == "auto" else workers
        most = min(delta * max(workers - 1, 1), largest("max_requests_jitter"))
        conversion.options["max_requests_jitter"] = most


def _take_defaults(given: _Given, conversion: Conversion) -> None:
    """Where leaving a setting out means another thing to each."""
    defaults = {"workers": 1, "threads": 1}
    if not _is_on(given, "disable-logging"):
        defaults["access_log"] = "-"  # type: ignore[assignment]
    lazy = _is_on(given, "lazy-apps") or _is_on(given, "lazy")
    if not lazy and not conversion.options.get("reload"):
        defaults["preload"] = True
    for option, value in defaults.items():
        if option not in conversion.options:
            conversion.derive(option, value, DEFAULT)


def _tell_of_others(given: _Given, conversion: Conversion, referred: frozenset[str]) -> None:
    done = []
    quiet = _is_on(given, "disable-logging")
    for name, values in given.items():
        value, label = values[-1]
        logs_errors = quiet and name in _LOGS
        if name in DONE:
            if switch(value):
                done.append(name)
        elif name in BECOMES and not logs_errors:
            if name in ("daemonize", "daemonize2"):
                conversion.lack(label, LACKING[name], value)
            elif name == "chmod-socket" and "umask" not in conversion.options:
                done.append(name)
        elif name == "chown-socket" and value == _owner(given):
            done.append(name)
        elif name in LACKING or logs_errors:
            for each, its_label in values:
                if switch(each):
                    conversion.lack(its_label, LACKING[name], each)
        elif acts(name) or name in _KNOWN or name in referred:
            pass
        elif (family := _family(name)) is not None:
            for each, its_label in values:
                if switch(each):
                    conversion.remark(its_label, family)
        else:
            conversion.remark(
                label,
                "unknown here: an option of uWSGI that needs a look, or a variable that nothing "
                f"refers to{nearest(name.replace('_', '-'), _KNOWN)}",
            )
    if done:
        conversion.remark(", ".join(done), "nothing to set: it is so anyhow")


def _owner(given: _Given) -> str:
    return ":".join(given[name][-1][0] for name in ("uid", "gid") if name in given)


def _family(name: str) -> str | None:
    fitting = [beginning for beginning in FAMILIES if name.startswith(beginning)]
    return FAMILIES[max(fitting, key=len)] if fitting else None
