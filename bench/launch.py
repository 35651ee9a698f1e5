"""Starts the peers whose command line is missing, or lacks an option that helps them.

    python -m bench.launch bjoern|fastwsgi|cheroot MODULE:APP PORT THREADS

Runs in the peers' environment. The servers are imported by name because only that
environment has them and none of them is typed.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

HOST = "127.0.0.1"
BACKLOG = 2048


def bjoern(app: Any, port: int, _threads: int) -> None:
    """Has no command line. One thread by design, so the number is not used."""
    import_module("bjoern").run(app, HOST, port, listen_backlog=BACKLOG)


def fastwsgi(app: Any, port: int, _threads: int) -> None:
    """Its command line cannot turn Nagle's algorithm off. One thread by design."""
    server = import_module("fastwsgi").server
    server.tcp_nodelay = 1
    server.backlog = BACKLOG
    server.init(app, HOST, port)
    server.run()


def cheroot(app: Any, port: int, threads: int) -> None:
    """Keeps only ten connections alive unless told otherwise, in code alone."""
    server = import_module("cheroot.wsgi").Server(
        (HOST, port), app, numthreads=threads, request_queue_size=BACKLOG
    )
    server.keep_alive_conn_limit = None
    server.timeout = 60
    server.start()


LAUNCHERS: dict[str, Callable[[Any, int, int], None]] = {
    "bjoern": bjoern,
    "cheroot": cheroot,
    "fastwsgi": fastwsgi,
}


def main(arguments: list[str]) -> None:
    name, target, port, threads = arguments
    module, _, attribute = target.partition(":")
    app = getattr(import_module(module), attribute)
    LAUNCHERS[name](app, int(port), int(threads))


if __name__ == "__main__":
    main(sys.argv[1:])
