"""What the server made of a corpus case, and whether that is what the case expects."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from harness.wire import Wire

if TYPE_CHECKING:
    from harness.apps import Echo
    from harness.corpus import Case

FOLLOW_UP = b"GET /follow-up HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
Send = Callable[[Wire, bytes], object]


def expect_accepted(case: Case, wire: Wire, send: Send) -> None:
    """The app saw what the case says, and the bytes behind it are the next request."""
    send(wire, case.raw if case.server_ends else case.raw + FOLLOW_UP)
    response = wire.response(case.keys.get("method", "GET"))
    assert response.status == 200, response
    seen = json.loads(response.body)
    environ = seen["environ"]
    for key, variable in (
        ("method", "REQUEST_METHOD"),
        ("target", "RAW_URI"),
        ("path", "PATH_INFO"),
        ("query", "QUERY_STRING"),
        ("protocol", "SERVER_PROTOCOL"),
    ):
        if key in case.keys:
            assert environ[variable] == case.keys[key]
    for key, value in case.keys.items():
        if key.startswith("env "):
            assert environ[key.removeprefix("env ")] == value
    if "no-env" in case.keys:
        assert case.keys["no-env"] not in environ
    if "body" in case.keys:
        assert seen["body"] == case.keys["body"]
    if case.server_ends:
        assert response.closes
    else:
        follow_up = wire.response()
        assert json.loads(follow_up.body)["environ"]["PATH_INFO"] == "/follow-up"
    wire.expect_closed()


def expect_refused(case: Case, wire: Wire, send: Send, app: Echo) -> None:
    """One answer of the right status and an end; the app saw nothing, not even what followed."""
    called = len(app.environs)
    send(wire, case.raw if case.client_ends else case.raw + FOLLOW_UP)
    if case.client_ends:
        with contextlib.suppress(OSError):
            wire.finish_sending()
    response = wire.response()
    assert response.status in case.statuses, response
    assert response.closes
    wire.expect_closed()
    assert len(app.environs) == called, "the app was called with a refused request"
