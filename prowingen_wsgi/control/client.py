"""Asks a server by its control socket: `prowingen ctl`, or any program that finds it useful.

for event in (answer := ask(path, "reload", wait=True)):
    print(event)
print(answer.result)
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..originals import os, socket, time
from .protocol import OUTCOME_TIME, NotDone, request_line

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE = 10.0
"""Seconds for which a server may say nothing."""

_MOST_ANSWER = 64 * 1024 * 1024
_PIECE = 1 << 16


class NoServerError(Exception):
    """Nobody listens there; one line."""


class SilentError(Exception):
    """A server is there, and does not answer; one line."""


class Answer:
    """Iterates over the events of one command; `result` is there when they have ended.

    Iterating raises NoServerError, SilentError, and NotDone if the command is not done.
    """

    def __init__(self, path: str, command: str, patience: float, arguments: dict[str, Any]) -> None:
        self.result: dict[str, Any] = {}
        self._path = path
        self._command = command
        self._patience = patience
        self._arguments = arguments

    def __iter__(self) -> Iterator[dict[str, Any]]:
        event: dict[str, Any] = {}
        with _connect(self._path, self._patience) as connection:
            try:
                # It may have answered, and hung up, before it has read anything.
                with suppress(BrokenPipeError, ConnectionResetError):
                    connection.sendall(request_line(self._command, self._arguments))
                for line in self._lines(connection):
                    if "event" not in line:
                        self._take_last(line)
                        return
                    event = line["event"]
                    yield event
            except TimeoutError:
                raise SilentError(
                    f"{self._path}: the server has said nothing for {self._patience:g} s: it still "
                    "loads its application, it is stopped, or C code keeps its GIL"
                ) from None
            except OSError as error:
                raise self._hung_up(error) from None
        if event.get("is") != "stopping":
            raise SilentError(f"{self._path}: the server has hung up without an answer")
        self.result = {**event, "is": "ended"}

    def _hung_up(self, error: OSError) -> SilentError:
        return SilentError(f"{self._path}: the server has hung up: {error.strerror}")

    def _lines(self, connection: socket.socket) -> Iterator[dict[str, Any]]:
        heard = bytearray()
        while len(heard) < _MOST_ANSWER:
            data = connection.recv(_PIECE)
            if not data:
                if heard:
                    raise self._stranger()
                return
            heard += data
            if b"\n" not in data:
                continue
            *lines, rest = bytes(heard).split(b"\n")
            heard[:] = rest
            for line in lines:
                try:
                    said = json.loads(line)
                except ValueError:
                    raise self._stranger() from None
                if not isinstance(said, dict) or not said.keys() & {"event", "ok"}:
                    raise self._stranger()
                yield said
        raise self._stranger()

    def _take_last(self, line: dict[str, Any]) -> None:
        if not line["ok"]:
            error = line.get("error", {})
            raise NotDone(str(error.get("message")), code=error.get("code", "failed"))
        self.result = line.get("result", {})

    def _stranger(self) -> NoServerError:
        return NoServerError(f"{self._path}: what listens there is no prowingen server")


def ask(path: str, command: str, *, patience: float = PATIENCE, **arguments: Any) -> Answer:
    """A command of `protocol.COMMANDS`; nothing is said before the answer is iterated over.

    patience: seconds for which the server may say nothing, besides those that it is asked to wait.
    """
    if arguments.get("wait"):
        patience += arguments.get("timeout", OUTCOME_TIME)
    return Answer(path, command, patience, arguments)


def _connect(path: str, patience: float) -> socket.socket:
    """Raises NoServerError, SilentError, NotDone."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(patience)
    try:
        _connect_to(connection, path, patience)
    except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError) as error:
        connection.close()
        raise NoServerError(f"{path}: no server listens there: {error.strerror}") from None
    except PermissionError:
        connection.close()
        why = f"{path}: user {os.geteuid()} may not control this server: its own and root may"
        raise NotDone(why, code="denied") from None
    except (TimeoutError, BlockingIOError):
        connection.close()
        raise SilentError(f"{path}: the server takes no connection on it") from None
    except OSError as error:
        connection.close()
        raise NoServerError(f"{path}: {error.strerror or error}") from None
    return connection


def _connect_to(connection: socket.socket, path: str, patience: float) -> None:
    """While its backlog is full, Linux says so at once, whatever the time limit."""
    deadline = time.monotonic() + patience
    while True:
        try:
            return connection.connect(path)
        except BlockingIOError:  # noqa: PERF203  # that is what is waited for
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.05)
