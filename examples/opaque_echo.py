"""Another protocol than HTTP on a connection that began with it: what comes in goes out.

    prowingen opaque_echo:application --chdir examples
    printf 'GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nhello' | \
        nc -N 127.0.0.1 8000
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Switches to the protocol `echo` where it is asked for."""
    upgrade = environ.get("opaque.upgrade")
    if upgrade is None:
        start_response("426 Upgrade Required", [("Upgrade", "echo")])
        return [b"Ask for the protocol echo.\n"]
    upgrade(None, echo)
    start_response("101 Switching Protocols", [("Upgrade", "echo")])
    return []


def echo(env: dict[str, Any]) -> None:
    """Speaks it until the client has no more to say."""
    stream = env["opaque.stream"]
    while data := stream.recv(65536):
        stream.sendall(data)
