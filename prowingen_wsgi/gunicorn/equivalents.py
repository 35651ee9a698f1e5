"""What each setting of gunicorn is here: an option, or what to do instead.

    BECOMES   it becomes an option
    LACKING   it has no equivalent, which its user should hear of
    USUAL     values of those that ask for nothing: they need no word

`wsgi_app` and `worker_class` are in none: see `importer`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ..configuration.config import OPTIONS
from ..importers.conversion import Becomes

if TYPE_CHECKING:
    from collections.abc import Mapping

# What an access log takes in gunicorn's notation; docs/access_log.md has the meanings.
_LOG_FIELD = re.compile(r"%(?:%|\((?:[hlurtsmUqHbBfaTDMLp]|\{[^}]+\}[io])\)[sd])")


def _listed(value: Any) -> list[str]:
    texts = value.split(",") if isinstance(value, str) else value
    return [str(text).strip() for text in texts if text]


def _addresses(value: Any) -> list[str]:
    # gunicorn takes an empty one for every interface.
    return [text.removeprefix("tcp://") for text in _listed(value)] or ["0.0.0.0:8000"]


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _one_path(value: Any) -> list[str]:
    return [str(value)] if value else []


def _octal(value: Any) -> Any:
    """gunicorn reads a text as Python reads a number, and 022 as 0o22."""
    if not isinstance(value, str):
        return value
    return int(re.sub(r"^0(?=\d)", "0o", value), 0)


def _log_format(value: Any) -> str:
    text = str(value)
    if "%" in (rest := _LOG_FIELD.sub("", text)):
        where = rest[rest.index("%") :].split()[0]
        raise ValueError(f'"{where}" is no field of the access log: see docs/access_log.md')
    return text


def _statsd(value: Any) -> str:
    if not value:
        return ""
    text = str(value).removeprefix("udp://")
    if re.fullmatch(r"unix:\d+", text):  # a host of this name, to gunicorn
        return f"udp://{text}"
    return text


def _statsd_prefix(value: Any) -> str:
    """gunicorn's own names have a part of their own behind it: gunicorn.requests."""
    text = str(value or "").rstrip(".")
    return f"{text}.prowingen." if text else "prowingen."


def _limit(option: str) -> Becomes:
    """0 is no limit to gunicorn."""
    largest: int = OPTIONS[option].kind.maximum  # type: ignore[attr-defined]
    return Becomes(option, lambda value: value or largest)


def header_section(options: Mapping[str, Any]) -> int:
    """What the limits of field lines add up to, which is gunicorn's limit for a header section, or
    what `max_header_bytes` can be that is the nearest to it."""
    kind: Any = OPTIONS["max_header_bytes"].kind
    line_end = len("\r\n")
    lines: int = options["max_header_fields"] * (options["max_field_line"] + line_end)
    nearest: int = min(max(lines + 2 * line_end, kind.minimum), kind.maximum)
    return nearest


def _cert_reqs(value: Any) -> str:
    """Of ssl.CERT_NONE, CERT_OPTIONAL and CERT_REQUIRED, as numbers or texts of them."""
    names = ("none", "optional", "required")
    number = int(value or 0)
    if not 0 <= number < len(names):
        raise ValueError("must be 0, 1 or 2")
    return names[number]


def _proxies(value: Any) -> list[str]:
    # gunicorn trusts every Unix socket's peer.
    return [*_listed(value or ""), "unix"]


def _is_on(value: Any) -> bool:
    """Of proxy_protocol, which older versions have as a switch."""
    if isinstance(value, str):
        return value.strip().lower() not in ("false", "off", "0", "none", "")
    return bool(value)


# gunicorn's default for secure_scheme_headers.
SCHEME_HEADERS = {
    "X-FORWARDED-PROTOCOL": "ssl",
    "X-FORWARDED-PROTO": "https",
    "X-FORWARDED-SSL": "on",
}


def _scheme_fields(value: Any) -> list[str]:
    if not isinstance(value, dict):
        raise ValueError("must be a dictionary")
    headers = {str(name).upper(): text for name, text in value.items()}
    if not headers:
        return []
    if headers.get("X-FORWARDED-PROTO") != "https" or not headers.items() <= SCHEME_HEADERS.items():
        raise ValueError("X-Forwarded-Proto, with http or https, is the only one that is read")
    return ["proto"]


BECOMES: Mapping[str, Becomes] = {
    "bind": Becomes("bind", _addresses),
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
    "chdir": Becomes("chdir", _text),
    "pythonpath": Becomes("pythonpath", lambda value: _listed(value or "")),
    "pidfile": Becomes("pidfile", _text),
    "user": Becomes("user", _text),
    "group": Becomes("group", _text),
    "umask": Becomes("umask", _octal),
    "accesslog": Becomes("access_log", _text),
    "access_log_format": Becomes("access_log_format", _log_format),
    "loglevel": Becomes("log_level"),
    "certfile": Becomes("certfile", _one_path),
    "keyfile": Becomes("keyfile", _one_path),
    "ca_certs": Becomes("ca_certs", _text),
    "cert_reqs": Becomes("cert_reqs", _cert_reqs),
    "ciphers": Becomes("ciphers", _text),
    "forwarded_allow_ips": Becomes("forwarded_allow_ips", _proxies),
    "secure_scheme_headers": Becomes("forwarded_fields", _scheme_fields),
    "proxy_protocol": Becomes("proxy_protocol", _is_on),
    "proxy_allow_ips": Becomes("proxy_allow_ips", _proxies),
    "statsd_host": Becomes("statsd", _statsd),
    "statsd_prefix": Becomes("statsd_prefix", _statsd_prefix),
    "dogstatsd_tags": Becomes("statsd_tags", lambda value: _listed(value or "")),
}
"""Settings that become an option."""

_HOOK = "hooks have no equivalent: do it in the application, or serve by gunicorn's worker class"
_TLS = "TLS is OpenSSL's own here, and not Python's ssl module: see docs/tls.md"
_NO_UNDERSCORES = "fields with an underscore in their names are dropped: use names with hyphens"
_STRICT = "requests are parsed strictly, which has no exceptions"
_VERSIONS = 'both versions of HTTP are spoken: for h1 alone http = "1.1", for h2 alone http = "2"'
_CLEARTEXT = "HTTP/2 without TLS is spoken where a connection begins with it: see docs/http2.md"
_HTTP2_LIMITS = "limits of HTTP/2 are fixed: see docs/http2.md"
_DIRTY = "there are no such workers"
_LOGGING = "errors go to standard error: have that collected, or set up logging in the application"
_BACKLOG = "with statsd, queue_length says how many requests wait: see docs/metrics.md"

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
            "ssl_version",
            "ssl_context",
            "suppress_ragged_eofs",
            "do_handshake_on_connect",
        ],
        _TLS,
    ),
    "http_protocols": _VERSIONS,
    "http2_cleartext": _CLEARTEXT,
    "forwarder_headers": _NO_UNDERSCORES,
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
            "http2_max_concurrent_streams",
            "http2_initial_window_size",
            "http2_max_frame_size",
            "http2_max_header_list_size",
        ],
        _HTTP2_LIMITS,
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
    "enable_backlog_metric": _BACKLOG,
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

USUAL: Mapping[str, tuple[object, ...]] = {
    "errorlog": ("-",),
    "protocol": ("http",),
    "http2_cleartext": ("off",),
    "suppress_ragged_eofs": (True,),
    "header_map": ("drop",),
    "http_parser": ("auto",),
    "reload_engine": ("auto",),
    "logger_class": ("gunicorn.glogging.Logger",),
    "initgroups": (True,),
    "asgi_loop": ("auto",),
    "asgi_lifespan": ("auto",),
}
"""Values of those that mean the same here, beside None, False and empty ones."""


def asks_for_something(setting: str, value: object) -> bool:
    """Whether this value of a setting without an equivalent is worth a word."""
    if setting == "sendfile":
        return value is False
    if setting == "http_protocols" and isinstance(value, (str, list, tuple)):
        return {"h1", "h2"} != set(_listed(value) or ["h1", "h2"])
    return bool(value) and value not in USUAL.get(setting, ())
