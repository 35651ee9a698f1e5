"""What each setting of granian is here: an option, or what to do instead.

    BECOMES   it becomes an option
    LACKING   it has no equivalent, which its user should hear of
    DONE      what it asks for is done anyhow

`host`, `port`, `uds`, `interface`, `factory` and which files are shown are in none: see `importer`
and `static_files`. A converter is given the texts of a setting, of which most have one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ...configuration.config import OPTIONS
from ..conversion import Becomes
from ..limits import at_least_usual, umask_for
from .log_format import log_format

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ..conversion import WaysOut

_ON = ("on", "1", "true", "t", "yes", "y")
_OFF = ("off", "0", "false", "f", "no", "n")
_UNITS = (86400, 3600, 60, 1)  # of days, hours, minutes, seconds


def _one(convert: Callable[[str], Any]) -> Callable[[Sequence[str]], Any]:
    return lambda texts: convert(texts[-1])


def switch(text: str) -> bool:
    """Raises ValueError."""
    if text.lower() not in (*_ON, *_OFF):
        raise ValueError(f'"{text}": must be true or false')
    return text.lower() in _ON


def number(text: str) -> int:
    """Raises ValueError."""
    if not re.fullmatch(r"\d+", text):
        raise ValueError(f'"{text}": must be a whole number')
    return int(text)


def _at_least_one(text: str) -> int:
    if number(text) < 1:
        raise ValueError(f'"{text}": must be 1 or more')
    return number(text)


def _duration(text: str) -> float:
    """Seconds, or such as 1h30m."""
    match = re.fullmatch(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", text)
    if match is None or not text:
        return float(number(text))
    return float(
        sum(int(part or 0) * unit for part, unit in zip(match.groups(), _UNITS, strict=True))
    )


def _umask(text: str) -> str:
    """For a mode that is octal digits after a zero, and decimal ones else."""
    mode = int(text, 8) if re.fullmatch(r"0[0-7]+", text) else number(text)
    return umask_for(f"{mode:03o}")


def _level(text: str) -> str:
    return {"warn": "warning", "notset": "debug"}.get(text.lower(), text)


def _env_file(texts: Sequence[str]) -> str:
    if len(texts) > 1:
        raise ValueError(f"{', '.join(texts)}: one file is read: put them into one")
    return texts[0]


BECOMES: Mapping[str, Becomes] = {
    "uds_permissions": Becomes("umask", _one(_umask)),
    "http": Becomes("http", _one(lambda text: {"1": "1.1"}.get(text, text))),
    "workers": Becomes("workers", _one(_at_least_one)),
    "blocking_threads": Becomes("threads", _one(number)),
    "runtime_threads": Becomes("io_threads", _one(number)),
    "threads": Becomes("io_threads", _one(number)),
    "backlog": Becomes("backlog", _one(number)),
    "backpressure": Becomes("max_connections", _one(number)),
    "http1_buffer_size": Becomes(
        "max_header_bytes", _one(at_least_usual("max_header_bytes", number))
    ),
    "http1_header_read_timeout": Becomes("header_timeout", _one(lambda text: number(text) / 1000)),
    "http1_keep_alive": Becomes(
        "keep_alive_timeout",
        _one(lambda text: OPTIONS["keep_alive_timeout"].default if switch(text) else 0.0),
    ),
    "http2_initial_stream_window_size": Becomes("stream_window", _one(number)),
    "http2_max_concurrent_streams": Becomes("max_streams", _one(number)),
    "log_level": Becomes("log_level", _one(_level)),
    "log_access_enabled": Becomes("access_log", _one(lambda text: "-" if switch(text) else "")),
    "log_access_fmt": Becomes("access_log_format", _one(log_format)),
    "ssl_certificate": Becomes("certfile", list),
    "ssl_keyfile": Becomes("keyfile", list),
    "ssl_keyfile_password": Becomes("keyfile_password", _one(str)),
    "ssl_protocol_min": Becomes(
        "tls_min_version", _one(lambda text: text.lower().removeprefix("tls"))
    ),
    "ssl_ca": Becomes("ca_certs", _one(str)),
    "ssl_crl": Becomes("crl", list),
    "ssl_client_verify": Becomes(
        "cert_reqs", _one(lambda text: "required" if switch(text) else "none")
    ),
    "workers_max_rss": Becomes("max_rss", _one(lambda text: number(text) * 1024 * 1024)),
    "workers_kill_timeout": Becomes("graceful_timeout", _one(_duration)),
    "working_dir": Becomes("chdir", _one(str)),
    "static_path_expires": Becomes("static_max_age", _one(_duration)),
    "env_files": Becomes("env_file", _env_file),
    "reload": Becomes("reload", _one(switch)),
    "reload_paths": Becomes("reload_paths", list),
    "pid_file": Becomes("pidfile", _one(str)),
}
"""Settings that become an option."""

_METRICS = "set admin_bind, such as 127.0.0.1:9090: see docs/metrics.md"
_EVENT_LOOP = "there is no event loop of Python's: native threads speak HTTP"
_HTTP2_LIMITS = (
    "limits of HTTP/2 are fixed, but for max_streams and stream_window: see docs/http2.md"
)
_WATCHED = "reload watches every Python file below the current directory, and reload_paths"
_MEMORY = "the supervisor looks at memory by itself, and one look is enough"

LACKING: WaysOut = {
    "blocking_threads_idle_timeout": "as many threads as threads says are there all the time",
    "runtime_blocking_threads": _EVENT_LOOP,
    "runtime_mode": _EVENT_LOOP,
    "threading_mode": _EVENT_LOOP,
    "loop": _EVENT_LOOP,
    "loop_opt": _EVENT_LOOP,
    "task_impl": _EVENT_LOOP,
    "http1_pipeline_flush": "pipelined requests are answered as pipeline_depth says",
    **dict.fromkeys(
        (
            "http2_adaptive_window",
            "http2_initial_connection_window_size",
            "http2_keep_alive_interval",
            "http2_keep_alive_timeout",
            "http2_max_frame_size",
            "http2_max_send_buffer_size",
        ),
        _HTTP2_LIMITS,
    ),
    "http2_max_headers_size": "set max_header_bytes, which is for both versions of HTTP",
    "log_config": "errors go to standard error: set up logging in the application",
    "url_path_prefix": (
        "applications are not mounted at paths: have the proxy say so by X-Forwarded-Prefix, or "
        "put it there by werkzeug's DispatcherMiddleware, as docs/from_granian.md shows"
    ),
    "respawn_interval": "a worker that ends is replaced at once, and ever later if that goes on",
    "rss_sample_interval": _MEMORY,
    "rss_samples": _MEMORY,
    "workers_lifetime": (
        "workers are not replaced by age: set max_requests, or have a timer send SIGHUP"
    ),
    "metrics_enabled": _METRICS,
    "metrics_scrape_interval": _METRICS,
    "metrics_address": _METRICS,
    "metrics_port": _METRICS,
    "reload_ignore_dirs": _WATCHED,
    "reload_ignore_patterns": _WATCHED,
    "reload_ignore_paths": _WATCHED,
    "reload_tick": _WATCHED,
    "process_name": "processes are not renamed",
}
"""Settings without an equivalent, and what to do instead."""

DONE: Mapping[str, str] = {
    "websockets": "an application may take a connection over: see docs/websocket.md",
    "log_enabled": "lines about the server go to standard error",
    "respawn_failed_workers": "a worker that ends is always replaced",
    "reload_ignore_worker_failure": "a reload that fails leaves the workers as they are",
}
"""Settings whose wish is granted anyhow, and how."""
