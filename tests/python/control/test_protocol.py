"""Requests as they are read: what is none is refused by a code, and never guessed at."""

from __future__ import annotations

import json
from typing import Any

import pytest

from prowingen_wsgi.control import protocol
from prowingen_wsgi.control.protocol import COMMANDS, NotDone, parse_request, request_line


def code_of(line: bytes) -> str:
    with pytest.raises(NotDone) as refusal:
        parse_request(line)
    return refusal.value.code


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"", "request"),
        (b"status", "request"),
        (b"\xff\xfe", "request"),
        (b"[" * 4000, "request"),
        (b'["status"]', "request"),
        (b'{"command": "status"}', "version"),
        (b'{"v": 2, "command": "status"}', "version"),
        (b'{"v": 1}', "command"),
        (b'{"v": 1, "command": "explode"}', "command"),
        (b'{"v": 1, "command": ["status"]}', "command"),
        (b'{"v": 1, "command": "ready"}', "argument"),
        (b'{"v": 1, "command": "ready", "ready": "off"}', "argument"),
        (b'{"v": 1, "command": "ready", "ready": 0}', "argument"),
        (b'{"v": 1, "command": "log-level"}', "argument"),
        (b'{"v": 1, "command": "log-level", "level": "loud"}', "argument"),
        (b'{"v": 1, "command": "log-level", "level": ["info"]}', "argument"),
        (b'{"v": 1, "command": "reload", "wait": 1}', "argument"),
        (b'{"v": 1, "command": "reload", "timeout": 0}', "argument"),
        (b'{"v": 1, "command": "reload", "timeout": 3601}', "argument"),
        (b'{"v": 1, "command": "reload", "timeout": true}', "argument"),
        (b'{"v": 1, "command": "reload", "timeout": NaN}', "argument"),
    ],
)
def test_what_is_no_request_is_refused(line: bytes, code: str) -> None:
    assert code_of(line) == code


def test_members_of_later_versions_are_passed_over() -> None:
    request = parse_request(b'{"v": 1, "command": "status", "colour": "red"}')
    assert (request.command, request.arguments) == ("status", {})


def test_arguments_have_defaults() -> None:
    request = parse_request(b'{"v": 1, "command": "stop", "timeout": 5}')
    assert request.arguments == {"now": False, "wait": False, "timeout": 5.0}


@pytest.mark.parametrize("command", COMMANDS)
def test_what_a_client_says_is_read_back(command: str) -> None:
    needed: dict[str, dict[str, Any]] = {"log-level": {"level": "info"}, "ready": {"ready": False}}
    arguments = needed.get(command, {})
    line = request_line(command, arguments)
    assert line.endswith(b"\n")
    assert len(line) < protocol.MOST_REQUEST
    assert parse_request(line).command == command
    assert parse_request(line).arguments.items() >= arguments.items()


def test_an_answer_is_one_line_whatever_is_in_it() -> None:
    line = protocol.result_line({"request": "GET /\n\x1b[31m HTTP/1.1"})
    assert line.count(b"\n") == 1
    assert b"\x1b" not in line
    assert json.loads(line)["result"]["request"] == "GET /\n\x1b[31m HTTP/1.1"
