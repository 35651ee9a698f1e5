"""What each option of uWSGI is here, where it is something.

    ALIASES   another name of the same option
    BECOMES   it becomes an option; of several that become the same one, the first that is set does
    DONE      what it asks for is done anyhow

Which application is served, and on which sockets, is seen to by `application` and `addresses`.
A converter is given all values of an option, in order: of most the last one counts.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ...configuration.config import OPTIONS
from ...configuration.mounts import parse_named_mount
from ..conversion import Becomes
from ..limits import at_least_usual, umask_for
from .log_format import log_format
from .magic import CORES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

ALIASES: Mapping[str, str] = {
    "wsgi": "module",
    "file": "wsgi-file",
    "worker-mount": "mount",
    "uwsgi-socket": "socket",
    "httprouter": "http",
    "workers": "processes",
    "pp": "pythonpath",
    "python-path": "pythonpath",
    "early-pythonpath": "pythonpath",
    "early-python-path": "pythonpath",
    "virtualenv": "home",
    "venv": "home",
    "pyhome": "home",
    "chmod": "chmod-socket",
    "logformat": "log-format",
    "logger-req": "req-logger",
    "worker-logger": "logger",
    "worker-logger-req": "req-logger",
    "stats-server": "stats",
    "immediate-uid": "uid",
    "immediate-gid": "gid",
    "ienv": "env",
    "early-envdir": "envdir",
    "socket-protocol": "protocol",
    **dict.fromkeys(("py-auto-reload", "python-auto-reload", "python-autoreload"), "py-autoreload"),
    "plugin": "plugins",
    "websocket-ping-freq": "websockets-ping-freq",
    "websocket-pong-tolerance": "websockets-pong-tolerance",
    "websocket-max-size": "websockets-max-size",
    "need-plugin": "plugins",
    "need-plugins": "plugins",
    "http-enable-proxy-protocol": "enable-proxy-protocol",
}


def switch(text: str) -> bool:
    """An option that is there is on, unless it says otherwise."""
    return text.lower() not in ("false", "off", "no", "0")


def number(text: str) -> int:
    """As uWSGI reads one: what a comment in the same line says is not looked at."""
    match = re.fullmatch(r"\s*([+-]?\d+)(\s+[;#].*)?", text)
    if match is None:
        raise ValueError(f'"{text}": must be a number, alone in its line')
    return int(match[1])


def _mounts(values: Sequence[str]) -> list[str]:
    return [parse_named_mount(value) for value in values]


def _last(convert: Callable[[str], Any]) -> Callable[[Sequence[str]], Any]:
    return lambda values: convert(values[-1])


def _workers(text: str) -> int | str:
    return "auto" if text == CORES else number(text)


def _seconds(text: str) -> float:
    return float(number(text))


def _keep_alive(text: str) -> float:
    """1 alone turns it on, with the usual time; 0 turns it off."""
    seconds = number(text) if text else 1
    usual: float = OPTIONS["keep_alive_timeout"].default
    return usual if seconds == 1 else float(seconds)


def _megabytes(text: str) -> int:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(\s+[;#].*)?", text)
    if match is None:
        raise ValueError(f'"{text}": must be a number of megabytes')
    return int(float(match[1]) * 1024 * 1024)


def _folders(values: Sequence[str]) -> list[str]:
    for value in values:
        if re.search(r"[*?\[]", value):
            raise ValueError(f'"{value}": name each folder: patterns are not looked for')
    return list(values)


def _umask(text: str) -> str:
    return umask_for("666" if text in ("", "1") else text)


def _octal(text: str) -> int:
    if not re.fullmatch(r"[0-7]{1,4}", text):
        raise ValueError(f'"{text}": must be octal digits, such as 022')
    return int(text, 8)


def _log_file(text: str) -> str:
    """Of `file:path`, perhaps after a name; standard output is where a container's log is."""
    match = re.fullmatch(r"(?:[\w-]+ )?(file|stdio)(?::(.*))?", text)
    if match is None:
        raise ValueError(f'"{text}": a log goes to a file or to standard output: collect it there')
    if match[1] == "stdio":
        return "-"
    if not match[2] or "=" in match[2] or "," in match[2]:
        raise ValueError(f'"{text}": must be file: and a path')
    return match[2]


BECOMES: Mapping[str, Becomes] = {
    "processes": Becomes("workers", _last(_workers)),
    "threads": Becomes("threads", _last(number)),
    "static-map": Becomes("static", _mounts),
    "max-requests": Becomes("max_requests", _last(number)),
    "max-requests-delta": Becomes("max_requests_jitter", _last(number)),
    "reload-on-rss": Becomes("max_rss", _last(_megabytes)),
    "evil-reload-on-rss": Becomes("max_rss", _last(_megabytes)),
    "harakiri": Becomes("request_timeout", _last(_seconds)),
    "worker-reload-mercy": Becomes("graceful_timeout", _last(_seconds)),
    "reload-mercy": Becomes("graceful_timeout", _last(_seconds)),
    "listen": Becomes("backlog", _last(number)),
    "http-keepalive": Becomes("keep_alive_timeout", _last(_keep_alive)),
    "http-headers-timeout": Becomes("header_timeout", _last(_seconds)),
    "http-timeout": Becomes("body_timeout", _last(_seconds)),
    "socket-timeout": Becomes("body_timeout", _last(_seconds)),
    "buffer-size": Becomes("max_header_bytes", _last(at_least_usual("max_header_bytes", number))),
    "limit-post": Becomes("max_body", _last(number)),
    "chunked-input-timeout": Becomes("body_timeout", _last(_seconds)),
    "enable-proxy-protocol": Becomes("proxy_protocol", _last(switch)),
    "py-autoreload": Becomes("reload", _last(lambda text: number(text) > 0)),
    "chdir": Becomes("chdir", _last(str)),
    "pythonpath": Becomes("pythonpath", _folders),
    "uid": Becomes("user", _last(str)),
    "gid": Becomes("group", _last(str)),
    "umask": Becomes("umask", _last(_octal)),
    "chmod-socket": Becomes("umask", _last(_umask)),
    "pidfile": Becomes("pidfile", _last(str)),
    "pidfile2": Becomes("pidfile", _last(str)),
    "safe-pidfile": Becomes("pidfile", _last(str)),
    "safe-pidfile2": Becomes("pidfile", _last(str)),
    "req-logger": Becomes("access_log", _last(_log_file)),
    "logger": Becomes("access_log", _last(_log_file)),
    "logto2": Becomes("access_log", _last(str)),
    "logto": Becomes("access_log", _last(str)),
    "daemonize2": Becomes("access_log", _last(str)),
    "daemonize": Becomes("access_log", _last(str)),
    "log-format": Becomes("access_log_format", _last(log_format)),
}
"""Options that become an option."""

DONE: Mapping[str, str] = {
    "master": "with workers, a supervisor starts, watches and replaces them",
    "enable-threads": "threads of an application always run",
    "single-interpreter": "there is one interpreter",
    "need-app": "a server whose application cannot be loaded does not start",
    "lazy-apps": "each worker loads the application itself, unless preload is set",
    "lazy": "as lazy-apps",
    "vacuum": "the files of sockets and the pid file go with the server",
    "die-on-term": "SIGTERM ends it, once requests have finished",
    "thunder-lock": "workers share their sockets, evenly",
    "reuse-port": "workers share their sockets, evenly",
    "harakiri-verbose": "the stack of a thread that is stuck is logged",
    "py-tracebacker": "a worker's stacks are logged before it is killed",
    "offload-threads": "native threads move what is read and written",
    "offload-thread": "native threads move what is read and written",
    "disable-logging": "there is no access log unless access_log is set",
    "log-master": "each worker writes whole lines",
    "threaded-logger": "lines are written by a thread of the log's own",
    "log-reopen": "SIGUSR1 opens the file anew",
    "no-orphans": "workers leave when their supervisor is gone",
    "close-on-exec": "programs that an application starts inherit no socket",
    "close-on-exec2": "programs that an application starts inherit no socket",
    "tcp-nodelay": "small answers are not held back",
    "http-auto-chunked": "an answer of unknown length goes out in chunks",
    "http-chunked-input": "a body in chunks is read, and has a length for the application",
    "wsgi-manage-chunked-input": "a body in chunks is read, and has a length for the application",
    "http-websockets": "WebSockets are passed to the application: see docs/websocket.md",
    "http-raw-body": "bodies are passed on as they are",
    "http-manage-expect": "a client that waits for 100 Continue is given it",
    "ignore-sigpipe": "a client that leaves is no error",
    "ignore-write-errors": "a client that leaves is no error",
    "disable-write-exception": "a client that leaves is no error",
    "write-errors-tolerance": "a client that leaves is no error",
    "honour-stdin": "standard input stays as it is",
    "write-errors-exception-only": "a client that leaves is no error",
    "strict": "an option that is not known is an error",
    "auto-procname": "it is the same process by any name",
    "add-gid": "the user's further groups are taken over",
    "no-defer-accept": "connections are accepted at once",
    "so-keepalive": "idle connections are closed by keep_alive_timeout",
    "wsgi-strict": "PEP 3333 is kept to",
    "protocol": "HTTP is what is spoken",
    "plugins": "what is needed is built in",
    "plugins-dir": "what is needed is built in",
    "plugin-dir": "what is needed is built in",
    "binary-path": "it is found by the shell",
    "show-config": "prowingen --check shows it",
    "catch-exceptions": "an exception is answered 500, and logged",
}
"""Options whose wish is granted anyhow, and how."""
