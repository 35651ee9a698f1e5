"""What to do about each option of uWSGI that has no equivalent; `families` has those that come in
numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import ways_out as ways

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..conversion import WaysOut


def _about_env(value: object) -> str:
    # Its value may be a secret, and a report is passed around.
    name = str(value).partition("=")[0]
    return f"{name}: write NAME=value lines to a file, and name it in env_file"


def _about_home(value: object) -> str:
    return (
        f"{value}: install prowingen-wsgi into that environment, and run its own command: "
        f"{str(value).rstrip('/')}/bin/prowingen"
    )


def _named(text: str) -> Callable[[object], str]:
    """With the value ahead of it."""
    return lambda value: f"{value}: {text}" if value else text


# Words of a text, so that they can be read: what is about uWSGI's own doings, or commands to it.
_COMMANDS = """
    allowed-modifiers autoload backtrace-depth binary-append-data binsh blacklist build-plugin
    cflags check-interval clock clock-list clocks-list command-mode config-py connect-and-read
    daemons-honour-stdin dlopen dot-h dump-options end-blacklist end-whitelist exit extract
    fd-safe flock flock2 flock-wait flock-wait2 force-gateway forkbomb-delay get help
    inject-after inject-before iprint logger-list loggers-list loop-list loops-list mode
    no-fd-passing no-threads-wait paste-logger pause ping ping-timeout plugin-list plugins-list
    print print-sym print-symbol privileged-binary-patch privileged-binary-patch-arg
    propagate-touch py pyrun pyshell pyshell-oneshot reaper reload remap-modifier resume safe-fd
    shutdown-sockets skip-atexit skip-atexit-teardown skip-zero stop suspend test
    ugreen-stacksize unprivileged-binary-patch unprivileged-binary-patch-arg usage use-abort
    version whitelist
"""

LACKING: WaysOut = {
    "env": _about_env,
    "home": _about_home,
    "envdir": _named("write NAME=value lines to a file, and name it in env_file"),
    "unenv": "leave the variable out where the server is started",
    "chown-socket": _named("the socket's file is given to user and group: set those"),
    "max-worker-lifetime": ways.AGE,
    "max-worker-lifetime-delta": ways.AGE,
    "min-worker-lifetime": "a worker that keeps failing is started ever less often",
    **dict.fromkeys(
        ("reload-on-as", "evil-reload-on-as", "reload-on-uss", "reload-on-pss"), ways.MEMORY
    ),
    "memory-report": ways.MEMORY,
    "post-buffering": (
        "a body up to body_buffer, or in chunks, arrives whole before the application is called; a "
        "longer one is streamed, and wsgi.input cannot go back in it"
    ),
    "post-buffering-bufsize": "how a body is buffered needs no size: see body_buffer and spool_dir",
    "http-buffer-size": "max_header_bytes is the only size that a request head is held to",
    "http-connect-timeout": ways.ROUTER,
    **dict.fromkeys(
        ("touch-reload", "touch-workers-reload", "touch-chain-reload", "fs-reload"), ways.RELOAD
    ),
    "fs-brutal-reload": ways.RELOAD,
    "touch-logreopen": "SIGUSR1 opens the access log anew",
    "touch-logrotate": "let logrotate rotate it, and send SIGUSR1",
    "log-maxsize": "let logrotate rotate it, and send SIGUSR1",
    "log-backupname": "let logrotate rotate it, and send SIGUSR1",
    "log-truncate": "let logrotate rotate it, and send SIGUSR1",
    "exit-on-reload": "SIGTERM ends the server, and SIGHUP reloads it",
    "async": ways.GREENLETS,
    "ugreen": ways.GREENLETS,
    "greenlet": ways.GREENLETS,
    "asyncio": ways.GREENLETS,
    "loop": ways.GREENLETS,
    "idle": ways.NUMBER,
    "cheap": ways.NUMBER,
    "die-on-idle": ways.NUMBER,
    "attach-daemon": _named(ways.DAEMON),
    "attach-daemon2": _named(ways.DAEMON),
    "attach-control-daemon": _named(ways.DAEMON),
    "smart-attach-daemon": _named(ways.DAEMON),
    "smart-attach-daemon2": _named(ways.DAEMON),
    "cron": _named(ways.CRON),
    "cron2": _named(ways.CRON),
    "unique-cron": _named(ways.CRON),
    "cron-harakiri": ways.CRON,
    "farm": ways.QUEUE,
    "timer": ways.CRON,
    "rbtimer": ways.CRON,
    "check-static": _named(ways.STATIC),
    "check-static-docroot": ways.STATIC,
    "honour-range": ways.STATIC,
    "mimefile": ways.STATIC,
    "mime-file": ways.STATIC,
    "file-serve-mode": ways.STATIC,
    "fileserve-mode": ways.STATIC,
    "disable-sendfile": "files are sent with sendfile(2) wherever that is possible",
    "wsgi-disable-file-wrapper": "files are sent with sendfile(2) wherever that is possible",
    "vhost": "one application serves every host: start one server for each, or route in the proxy",
    "vhost-host": "one application serves every host: start one server for each",
    "no-default-app": "one application serves every path",
    "ignore-script-name": "SCRIPT_NAME is set by trusted proxies alone: see forwarded_fields",
    "dynamic-apps": "one application serves every path",
    "max-apps": "one application serves every path",
    "ini-paste": _named("name module:factory() that calls paste.deploy.loadapp"),
    "ini-paste-logged": _named("name module:factory() that calls paste.deploy.loadapp"),
    "paste": _named("name module:factory() that calls paste.deploy.loadapp"),
    "pecan": _named("name module:factory() that calls pecan.deploy.deploy"),
    "eval": "write it as a module, and name that as app",
    "pyargv": "sys.argv is this server's: have the application read variables",
    "import": _named("import it in the application's module"),
    "reload-on-exception": "an exception is answered 500, and the worker goes on",
    "reload-os-env": "variables stay as they were at the start",
    "log-x-forwarded-for": "name the proxy in forwarded_allow_ips: the log has the client then",
    "log-slow": ways.LOG,
    "log-big": ways.LOG,
    "log-4xx": ways.LOG,
    "log-5xx": ways.LOG,
    "log-zero": ways.LOG,
    "log-ioerror": ways.LOG,
    "log-micros": "%(D)s in access_log_format is in microseconds",
    "log-format-strftime": "%{...}t in access_log_format takes strftime's notation",
    "logformat-strftime": "%{...}t in access_log_format takes strftime's notation",
    "log-date": "lines about the server have no date: systemd and others add theirs",
    "logdate": "lines about the server have no date: systemd and others add theirs",
    "log-prefix": "lines about the server have no date: systemd and others add theirs",
    "log-syslog": ways.ERRORS,
    "log-socket": ways.ERRORS,
    "logfile-chown": "the file is made by the user that serves: see user",
    "logfile-chmod": "the file's mode follows umask",
    "procname": "processes are not renamed",
    "chunked-input-limit": "set max_body",
    "no-initgroups": "the user's further groups are always taken over",
    "chdir2": "one folder is gone to, before anything is opened: see chdir",
    "force-cwd": "one folder is gone to, before anything is opened: see chdir",
    "so-send-timeout": "set write_timeout",
    "socket-send-timeout": "set write_timeout",
    "so-write-timeout": "set write_timeout",
    "socket-write-timeout": "set write_timeout",
    "body-read-warning": "set max_body",
    "max-vars": "set max_header_fields",
    "max-fd": "let systemd set it: LimitNOFILE=",
    "limit-as": "let systemd set it: MemoryMax=",
    "limit-nproc": "let systemd set it: TasksMax=",
    "prio": "let systemd set it: Nice=",
    "cpu-affinity": "let systemd set it: CPUAffinity=",
    "chroot": "let systemd set it: RootDirectory=",
    "never-swap": "let systemd set it: MemorySwapMax=0",
    "master-fifo": "signals do that: see docs/processes.md",
    "freebind": ways.NETWORK,
    "abstract-socket": "name a file for the socket, such as /run/app.sock",
    "map-socket": "every worker serves every address",
    "shared-socket": "give the address to bind, or fd://N for a socket that is inherited",
    "undeferred-shared-socket": "give the address to bind, or fd://N for one that is inherited",
    "profiler": "profile the application by a middleware, or by py-spy from outside",
    "ksm": ways.SYSTEM,
    "lock-engine": ways.UWSGI_API,
    "locks": ways.UWSGI_API,
    "sharedarea": ways.UWSGI_API,
    "py-sharedarea": ways.UWSGI_API,
    "ftok": ways.UWSGI_API,
    "persistent-ipcsem": ways.UWSGI_API,
    "upload-progress": "there is no report of uploads under way: count what the application reads",
    "websockets-ping-freq": "pings are the WebSocket library's: see docs/websocket.md",
    "websockets-pong-tolerance": "pings are the WebSocket library's: see docs/websocket.md",
    "websockets-max-size": "sizes are the WebSocket library's: see docs/websocket.md",
    "udp": ways.PROTOCOL,
    "https2": "give it as https, with commas: address,certificate,key",
    "notify-socket": "systemd's NOTIFY_SOCKET is used where it is set",
    "collect-header": ways.HEADERS,
    "pull-header": ways.HEADERS,
    "rem-header": ways.HEADERS,
    "del-header": ways.HEADERS,
    "response-headers-limit": "the head of an answer has no limit of its own",
    "no-site": ways.PYTHON,
    "optimize": "set PYTHONOPTIMIZE",
    "py-programname": ways.PYTHON,
    "wsgi-env-behaviour": "each request has an environ of its own",
    "wsgi-env-behavior": "each request has an environ of its own",
    "wsgi-accept-buffer": "bodies are bytes, as PEP 3333 has it",
    "wsgi-accept-buffers": "bodies are bytes, as PEP 3333 has it",
    "weight": ways.ROUTER,
    "auto-weight": ways.ROUTER,
    "st": ways.ROUTER,
    "no-server": "prowingen --check loads the application and does not serve",
    "unique-legion-cron": ways.CRON,
    "unique-cron-legion": ways.CRON,
    "cron-legion": ways.CRON,
    "worker-exec": "workers run the application: another program is a service of its own",
    "worker-exec2": "workers run the application: another program is a service of its own",
    "fallback-config": "a reload that fails leaves the workers as they are",
    "file-write": ways.HOOK,
    "pymodule-alias": "put it into sys.modules in the application's module",
    "post-pymodule-alias": "put it into sys.modules in the application's module",
    "start_response-nodelay": "a head goes out with the first of its body, as PEP 3333 has it",
    "resolve": "write the address, or its name",
    "master-as-root": "the supervisor stays who it was, and workers are user and group",
    "drop-after-init": "workers are user and group before they load the application",
    "drop-after-apps": "workers are user and group before they load the application",
    "declare-option": "write out what the new option stands for",
    "declare-option2": "write out what the new option stands for",
    "nagios": ways.STATS,
    "start-unsubscribed": ways.ROUTER,
    "wsgi-lite": ways.OTHER_LANGUAGE,
    "mem-collector-freq": ways.MEMORY,
    **dict.fromkeys(_COMMANDS.split(), ways.INTERNAL),
    "xml": _named("this format is not read: write its options as ini"),
    "xmlconfig": _named("this format is not read: write its options as ini"),
    "daemonize": "run it under systemd: see deploy/",
    "daemonize2": "run it under systemd: see deploy/",
    "logto": ways.ERRORS,
    "logto2": ways.ERRORS,
    "logger": ways.ERRORS,
    "req-logger": ways.LOG,
}
