"""Clients that ask all the time, each on a connection that it keeps, with a note of every request:

    steady_load.py ADDRESS PORT NAME AUTHORITY NOTES

A line of NOTES is one request, in JSON, written when it is over. Nothing is asked a second time
here: what a proxy does not make good, is in the notes. SIGTERM ends it once everybody has got the
answer that he waits for. A program of the standard library alone, for a machine of its own.
"""

from __future__ import annotations

import http.client
import itertools
import json
import signal
import socket
import ssl
import sys
import threading
import time
from pathlib import Path

CLIENTS = 24
PAUSE = 0.03  # seconds between a client's requests
PATIENCE = 30.0
BODY = b"x" * 2000
KINDS = [("GET", "/")] * 6 + [("POST", "/")] * 2 + [("GET", "/slow"), ("GET", "/stream")]
"""What a client asks for, in turn."""

numbers = itertools.count(1)
over = threading.Event()


class Client(threading.Thread):
    def __init__(self, first: int, notes: Path) -> None:
        super().__init__(name=f"client {first}")
        address, port, self._name, authority = sys.argv[1:5]
        self._where = (address, int(port))
        self._context = ssl.create_default_context(cafile=authority)
        self._kinds = itertools.islice(itertools.cycle(KINDS), first, None)
        self._notes = notes
        self._connection: http.client.HTTPSConnection | None = None

    def run(self) -> None:
        with self._notes.open("a", buffering=1) as notes:
            while not over.wait(PAUSE):
                method, path = next(self._kinds)
                notes.write(json.dumps(self._ask(method, path)) + "\n")
        if self._connection is not None:
            self._connection.close()

    def _ask(self, method: str, path: str) -> dict[str, object]:
        number = next(numbers)
        begun = time.time()
        note: dict[str, object] = {"number": number, "method": method, "path": path}
        try:
            connection = self._connect()
            body = BODY if method == "POST" else None
            connection.request(method, f"{path}?number={number}", body, {"Host": self._name})
            answer = connection.getresponse()
            answer.read()
            note["status"] = answer.status
            note["host"], note["version"] = answer.headers["X-Host"], answer.headers["X-Version"]
            if answer.will_close:
                self._forget()
        except (OSError, http.client.HTTPException) as error:
            note["error"] = repr(error)
            self._forget()
        note["begun"], note["took"] = begun, time.time() - begun
        return note

    def _connect(self) -> http.client.HTTPSConnection:
        if self._connection is None:
            self._connection = _Connection(self._where, self._name, self._context)
        return self._connection

    def _forget(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None


class _Connection(http.client.HTTPSConnection):
    """To an address, by a name that no resolver knows."""

    def __init__(self, where: tuple[str, int], name: str, context: ssl.SSLContext) -> None:
        super().__init__(name, timeout=PATIENCE)
        self._where = where
        self._trust = context

    def connect(self) -> None:
        plain = socket.create_connection(self._where, self.timeout)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = self._trust.wrap_socket(plain, server_hostname=self.host)


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    clients = [Client(first, Path(sys.argv[5])) for first in range(CLIENTS)]
    for client in clients:
        client.start()
    print("asking", flush=True)
    for client in clients:
        client.join()


if __name__ == "__main__":
    main()
