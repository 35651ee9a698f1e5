r"""What is said on a control socket: lines of JSON, one request for each connection.

    --> {"v": 1, "command": "reload", "wait": true}\n
    <-- {"v": 1, "event": {"worker": 3, "pid": 4711, "is": "ready"}}\n        any number of these
    <-- {"v": 1, "ok": true, "result": {...}}\n                               one at the end
    <-- {"v": 1, "ok": false, "error": {"code": "refused", "message": "..."}}\n   or this

Then the server closes. Members that a side does not know it passes over, so that a later version
may add some; what would mean something else to an older side gets a new number.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

VERSION = 1
MOST_REQUEST = 4096
"""Octets that a request may have, its newline included."""
LONGEST_WAIT = 3600.0
"""Seconds for which a command may wait for its outcome, at most."""
OUTCOME_TIME = 60.0
"""Seconds for which it waits unless it is told how long."""
LEVELS = ("debug", "info", "warning", "error", "critical")
CONFIGURED = "default"
"""In place of a level: what the configuration says."""


class NotDone(Exception):  # noqa: N818  # an answer like any other
    """A command is not done. `code` is for programs, the text for people.

    request   no line of JSON, too long, or too late
    version   of another version of this protocol
    command   there is none of this name
    argument  one is missing, or wrong
    denied    the peer is neither root nor the server's user
    busy      too many ask at once
    refused   this server does not do that, or not now
    failed    it was tried, and did not succeed
    """

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code


if TYPE_CHECKING:
    Answer = Generator[dict[str, Any] | None, None, dict[str, Any]]
    """A command that is being done: yields events, or None while there is nothing to say yet;
    returns its result, or raises NotDone."""


@dataclass(frozen=True)
class Request:
    """command: one of COMMANDS; `arguments`: all that it takes."""

    command: str
    arguments: Mapping[str, Any]


def _switch(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("must be a number of seconds")
    if not 0 < value <= LONGEST_WAIT:
        raise ValueError(f"must be more than 0 and at most {LONGEST_WAIT:g} seconds")
    return float(value)


def _level(value: object) -> str:
    if value not in (*LEVELS, CONFIGURED):
        raise ValueError(f"must be one of {', '.join(LEVELS)}, or {CONFIGURED}")
    return str(value)


class _Needed:
    """In place of a default."""


_WAITING: dict[str, tuple[Callable[[object], Any], Any]] = {
    "wait": (_switch, False),
    "timeout": (_seconds, OUTCOME_TIME),
}
# What each command takes: how that is read, and what it is by default.
COMMANDS: dict[str, dict[str, tuple[Callable[[object], Any], Any]]] = {
    "status": {},
    "workers": {},
    "requests": {},
    "stacks": {},
    "reload": _WAITING,
    "stop": {"now": (_switch, False), **_WAITING},
    "log-level": {"level": (_level, _Needed)},
    "ready": {"ready": (_switch, _Needed)},
}


def parse_request(line: bytes) -> Request:
    """Reads a request, without its newline. Raises NotDone."""
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        raise NotDone("a request is one line of JSON", code="request") from None
    if not isinstance(said, dict):
        raise NotDone("a request is an object of JSON", code="request")
    if said.get("v") != VERSION:
        raise NotDone(f'this server speaks version {VERSION}: say "v": {VERSION}', code="version")
    command = said.get("command")
    if not isinstance(command, str) or command not in COMMANDS:
        raise NotDone(f"there is no such command; there are {', '.join(COMMANDS)}", code="command")
    arguments = {}
    for name, (read, default) in COMMANDS[command].items():
        if name not in said and default is _Needed:
            raise NotDone(f"{command}: {name} is missing", code="argument")
        try:
            arguments[name] = read(said[name]) if name in said else default
        except ValueError as error:
            raise NotDone(f"{command}: {name}: {error}", code="argument") from None
    return Request(command, arguments)


def request_line(command: str, arguments: Mapping[str, Any]) -> bytes:
    return _line({**arguments, "command": command})


def event_line(event: Mapping[str, Any]) -> bytes:
    return _line({"event": event})


def result_line(result: Mapping[str, Any]) -> bytes:
    return _line({"ok": True, "result": result})


def refusal_line(refusal: NotDone) -> bytes:
    return _line({"ok": False, "error": {"code": refusal.code, "message": str(refusal)}})


def _line(members: Mapping[str, Any]) -> bytes:
    return json.dumps({"v": VERSION, **members}).encode() + b"\n"
