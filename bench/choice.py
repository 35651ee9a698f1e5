"""Which servers take part: the names of the command line, and the engines that are built."""

from __future__ import annotations

import subprocess

from bench.paths import PROXYGEN_HELLO, ROOT
from bench.servers import CEILING, PEERS, Server, ours
from bench.static_servers import STATIC_PEERS
from bench.websocket_servers import WEBSOCKET_PEERS, ours_blocking


def built_engines(python: str) -> list[str]:
    """The engines of the prowingen_wsgi that this interpreter has."""
    code = "from prowingen_wsgi import _native; print(*sorted(_native.engines()))"
    done = subprocess.run(
        [python, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT
    )
    if done.returncode != 0:
        raise ValueError(f"--python: {python} has no prowingen_wsgi: {done.stderr.strip()}")
    return done.stdout.split()


def choose(names: list[str] | None, engines: list[str], python: str) -> list[Server]:
    """The servers named, `ours` standing for every engine; all where none is named.

    A peer of the same name in the rows of WebSockets or files is another server, and comes with it.
    """
    own = [make(engine, python) for engine in engines for make in (ours, ours_blocking)]
    peers = [*PEERS, *WEBSOCKET_PEERS, *STATIC_PEERS]
    if names is None:
        bounds = [CEILING] if "proxygen" in engines and PROXYGEN_HELLO.exists() else []
        return [*own, *peers, *bounds]
    known: dict[str, list[Server]] = {"ours": own}
    for server in (*own, *peers, CEILING):
        known.setdefault(server.name, []).append(server)
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(
            f"--servers: no such server: {', '.join(unknown)}; there are {', '.join(known)}"
        )
    return list({(s.name, s.rows): s for name in names for s in known[name]}.values())
