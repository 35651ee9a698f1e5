"""`prowingen import-gunicorn gunicorn.conf.py`: the same configuration as a `prowingen.toml`.

The file is run, as gunicorn does, since it is Python. What it sets becomes an option where there is
one; everything else is listed, with what to do instead. gunicorn need not be installed.
"""

from __future__ import annotations

import argparse
import json
import runpy
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .config import OPTIONS, ConfigError
from .values import Many, Octal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

SUCCESS, FAILURE, MISUSE = 0, 1, 2


@dataclass(frozen=True)
class Becomes:
    """The option that a setting becomes, and how its value does."""

    option: str
    convert: Callable[[Any], Any] = lambda value: value


def _listed(value: Any) -> list[str]:
    return value.split(",") if isinstance(value, str) else list(value)


def _limit(option: str) -> Becomes:
    """0 is no limit to gunicorn."""
    largest: int = OPTIONS[option].kind.maximum  # type: ignore[attr-defined]
    return Becomes(option, lambda value: value or largest)


BECOMES: Mapping[str, Becomes] = {
    "bind": Becomes("bind", _listed),
    "backlog": Becomes("backlog"),
    "workers": Becomes("workers"),
    "threads": Becomes("threads"),
    "worker_connections": Becomes("max_connections"),
    "max_requests": Becomes("max_requests"),
    "max_requests_jitter": Becomes("max_requests_jitter"),
    "timeout": Becomes("worker_timeout"),
    "graceful_timeout": Becomes("graceful_timeout"),
    "keepalive": Becomes("keep_alive_timeout"),
    "limit_request_line": _limit("max_request_line"),
    "limit_request_fields": _limit("max_header_fields"),
    "limit_request_field_size": _limit("max_field_line"),
    "reload": Becomes("reload"),
    "reload_extra_files": Becomes("reload_paths", _listed),
    "preload_app": Becomes("preload"),
    "chdir": Becomes("chdir", str),
    "pythonpath": Becomes("pythonpath", _listed),
    "pidfile": Becomes("pidfile", lambda value: str(value or "")),
    "user": Becomes("user", lambda value: "" if value is None else str(value)),
    "group": Becomes("group", lambda value: "" if value is None else str(value)),
    "umask": Becomes("umask", lambda value: int(value, 8) if isinstance(value, str) else value),
    "accesslog": Becomes("access_log", lambda value: str(value or "")),
    "access_log_format": Becomes("access_log_format"),
    "loglevel": Becomes("log_level"),
}

_HOOK = "hooks have no equivalent: do it in the application, or serve by gunicorn's worker class"
_TLS = "TLS is not part of this server yet: leave it to a proxy"
_PROXY = "what proxies say is not believed by this server yet: do it in the application"
_STRICT = "requests are parsed strictly, which has no exceptions"
_HTTP2 = 'HTTP/2 without TLS: http = "2" with engine = "proxygen"'
_DIRTY = "there are no such workers"
_LOGGING = "errors go to standard error: have that collected, or set up logging in the application"
_STATSD = "there is no statsd client: read the access log"

LACKING: Mapping[str, str] = {
    **dict.fromkeys(
        [
            "on_starting",
            "on_reload",
            "when_ready",
            "pre_fork",
            "post_fork",
            "post_worker_init",
            "worker_int",
            "worker_abort",
            "pre_exec",
            "pre_request",
            "post_request",
            "child_exit",
            "worker_exit",
            "nworkers_changed",
            "on_exit",
            "on_dirty_starting",
            "dirty_post_fork",
            "dirty_worker_init",
            "dirty_worker_exit",
        ],
        _HOOK,
    ),
    **dict.fromkeys(
        [
            "certfile",
            "keyfile",
            "ca_certs",
            "cert_reqs",
            "ciphers",
            "ssl_version",
            "ssl_context",
            "suppress_ragged_eofs",
            "do_handshake_on_connect",
            "http_protocols",
        ],
        _TLS,
    ),
    **dict.fromkeys(
        [
            "forwarded_allow_ips",
            "secure_scheme_headers",
            "forwarder_headers",
            "proxy_protocol",
            "proxy_allow_ips",
        ],
        _PROXY,
    ),
    **dict.fromkeys(
        [
            "permit_obsolete_folding",
            "strip_header_spaces",
            "permit_unconventional_http_method",
            "permit_unconventional_http_version",
            "casefold_http_method",
            "header_map",
            "http_parser",
        ],
        _STRICT,
    ),
    **dict.fromkeys(
        [
            "http2_cleartext",
            "http2_max_concurrent_streams",
            "http2_initial_window_size",
            "http2_max_frame_size",
            "http2_max_header_list_size",
        ],
        _HTTP2,
    ),
    **dict.fromkeys(
        ["dirty_apps", "dirty_workers", "dirty_timeout", "dirty_threads", "dirty_graceful_timeout"],
        _DIRTY,
    ),
    **dict.fromkeys(
        [
            "errorlog",
            "capture_output",
            "logger_class",
            "logconfig",
            "logconfig_dict",
            "logconfig_json",
            "syslog",
            "syslog_addr",
            "syslog_prefix",
            "syslog_facility",
            "disable_redirect_access_to_syslog",
            "enable_stdio_inheritance",
        ],
        _LOGGING,
    ),
    **dict.fromkeys(
        ["statsd_host", "statsd_prefix", "dogstatsd_tags", "enable_backlog_metric"], _STATSD
    ),
    "raw_env": "write the variables to a file, NAME=value on each line, and name it in env_file",
    "daemon": "run it under systemd: see deploy/",
    "initgroups": "the user's further groups are always taken over",
    "reuse_port": "workers share their sockets, evenly",
    "sendfile": "files are sent with sendfile(2) wherever that is possible",
    "proc_name": "processes are not renamed",
    "paste": "give module:application, or a factory",
    "raw_paste_global_conf": "give module:application, or a factory",
    "spew": "trace the application itself",
    "protocol": "HTTP is all that is spoken",
    **dict.fromkeys(
        [
            "worker_tmp_dir",
            "reload_engine",
            "control_socket",
            "control_socket_mode",
            "control_socket_disable",
            "check_config",
            "print_config",
            "config",
            "default_proc_name",
            "asgi_loop",
            "asgi_lifespan",
            "asgi_disconnect_grace_period",
            "websocket_max_message_size",
            "root_path",
            "uwsgi_allow_ips",
            "tmp_upload_dir",
        ],
        "it has no meaning here",
    ),
}
"""Settings without an equivalent, and what to do instead."""

_THREADED = ("sync", "gthread", "prowingen_wsgi.gunicorn.Worker")
# Where leaving a setting out means another thing to each: gunicorn's default.
_DEFAULTS = {"workers": 1, "threads": 1, "timeout": 30, "keepalive": 2}


def main(arguments: Sequence[str]) -> int:
    """Runs the subcommand with the words behind its name; its exit code."""
    parser = argparse.ArgumentParser(prog="prowingen import-gunicorn", allow_abbrev=False)
    parser.add_argument("file", help="gunicorn's configuration file, which is run")
    parser.add_argument("-o", "--output", metavar="PATH", help="default: standard output")
    parser.add_argument("--force", action="store_true", help="replace a file that is there")
    found = parser.parse_args(arguments)
    output = Path(found.output) if found.output else None
    if output is not None and output.exists() and not found.force:
        return _fail(f"{output}: it is there already; --force replaces it")
    try:
        settings = _run(Path(found.file))
    except _CannotReadError as error:
        return _fail(str(error))
    text, remarks = convert(settings)
    if output is None:
        sys.stdout.write(text)
    else:
        output.write_text(text, encoding="utf-8")
    for remark in remarks:
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
    sys.path.insert(0, str(path.absolute().parent))  # for what it imports
    try:
        return runpy.run_path(str(path))
    except Exception as error:  # whatever the user's file raises
        raise _CannotReadError(f"{path}: {type(error).__name__}: {error}") from error


def convert(settings: Mapping[str, Any]) -> tuple[str, list[str]]:
    """The text of a `prowingen.toml`, and a line for each setting that is not in it."""
    remarks: list[str] = []
    lines: list[str] = []
    app = settings.get("wsgi_app")
    if app:
        lines.append(f"app = {_toml(str(app))}")
    for name, value in {**_DEFAULTS, **settings}.items():
        if name in BECOMES:
            try:
                lines.extend(_option_lines(BECOMES[name], value, name, name in settings))
            except (ConfigError, TypeError, ValueError) as error:
                remarks.append(f"{name}: not taken over: {error}")
        elif name in LACKING:
            remarks.append(f"{name}: {LACKING[name]}")
    worker = settings.get("worker_class", "sync")
    if worker not in _THREADED:
        remarks.append(
            f"worker_class: {worker}: applications run in threads here; raise threads for those "
            "that wait much"
        )
    return "".join(f"{line}\n" for line in lines), remarks


def _option_lines(becomes: Becomes, value: Any, setting: str, is_set: bool) -> Iterator[str]:
    option = OPTIONS[becomes.option]
    checked = option.accept(becomes.convert(value), setting)
    if checked == option.default:
        return
    remark = "" if is_set else "  # gunicorn's default"
    if isinstance(option.kind, Many):
        yield f"{option.name} = {_toml(list(checked))}{remark}"  # type: ignore[call-overload]
    elif isinstance(option.kind, Octal):
        yield f"{option.name} = {_toml(option.kind.format(checked))}{remark}"
    else:
        yield f"{option.name} = {_toml(checked)}{remark}"


def _toml(value: object) -> str:
    """A value as TOML writes it. Its basic strings are JSON's, but for DEL, which is escaped."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
