"""Frameworks' own commands, run as their users run them: `flask run`, `manage.py runserver`."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from harness.process import URL, ServerProcess
from harness.site import address_of
from harness.waiting import eventually
from harness.wire import Response, Wire

if TYPE_CHECKING:
    import re
    from collections.abc import Iterator
    from pathlib import Path

RELOAD_TIMEOUT = 20.0
# Set for whoever runs the tests, perhaps, and not meant for what they start.
_OTHERS = ("FLASK_", "WERKZEUG_", "PROWINGEN_", "DJANGO_", "RUN_MAIN")


@contextmanager
def run_command(
    command: list[str], folder: Path, *, ready: str | re.Pattern[str] = URL, **variables: str
) -> Iterator[ServerProcess]:
    """Starts a command in a folder, and waits for the URL or what else it prints when it serves."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(_OTHERS)
    }
    environment |= {"PYTHONUNBUFFERED": "1", "NO_COLOR": "1", **variables}
    server = ServerProcess(command, environment, folder)
    try:
        line = server.wait_for_line(ready)
        found = URL.search(line)
        server.url = found.group(0) if found else ""
        yield server
    finally:
        server.end()


def ask(server: ServerProcess, target: str = "/", *fields: str) -> Response:
    """One request on a connection of its own, for the host that the server's URL names."""
    host = urlsplit(server.url).netloc or "localhost"
    lines = [f"GET {target} HTTP/1.1", f"Host: {host}", "Connection: close", *fields, "", ""]
    with Wire(address_of(server.url)) as wire:
        wire.send("\r\n".join(lines).encode())
        return wire.response()


def ask_until(server: ServerProcess, body: bytes, target: str = "/") -> Response:
    """Asks until the answer holds this, as it does after a reload."""
    response = ask(server, target)

    def shows() -> bool:
        nonlocal response
        response = ask(server, target)
        return body in response.body

    if body not in response.body:
        assert eventually(shows, RELOAD_TIMEOUT), f"no {body!r} in {response!r}\n{server.log}"
    return response


def edit(path: Path, text: str) -> None:
    """Writes a file as an editor does; its time is a new one however soon this comes."""
    later = path.stat().st_mtime + 1 if path.exists() else None
    path.write_text(text)
    if later is not None:
        os.utime(path, (later, later))


class Visitor:
    """Asks one page over and over, each time on a new connection, in a thread."""

    def __init__(self, server: ServerProcess) -> None:
        self._server = server
        self._over = threading.Event()
        self.answers: list[bytes] = []
        self.failures: list[Exception] = []
        self._thread = threading.Thread(target=self._visit)

    def _visit(self) -> None:
        while not self._over.wait(0.01):
            try:
                self.answers.append(ask(self._server).body)
            except Exception as error:  # noqa: BLE001 - a test tells what it is
                self.failures.append(error)

    def __enter__(self) -> Visitor:
        self._thread.start()
        assert eventually(lambda: self.answers or self.failures, RELOAD_TIMEOUT)
        return self

    def __exit__(self, *_exception: object) -> None:
        self._over.set()
        self._thread.join()
