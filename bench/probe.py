"""Asks a server the row's own question once and checks every byte of the answer.

A server that answers wrongly must not win a row by it, so nothing is measured before
this has passed. What is merely worth knowing, such as a connection that is closed
after each answer, comes back as a note.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection

from bench import apps

SECONDS = 5.0
PIPELINED = 16
UPLOAD = b"u" * 65536

Probe = Callable[[int], list[str]]
"""Takes the port, returns notes, raises WrongAnswerError."""


class WrongAnswerError(Exception):
    """The server's answer is not what the application said."""


class NoAnswerError(WrongAnswerError):
    """None at all, or that of a proxy whose application is not there yet."""


NOT_YET = (502, 503, 504)


def _ask(
    connection: HTTPConnection,
    path: str = "/",
    *,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
) -> tuple[HTTPResponse, bytes]:
    method = "GET" if body is None else "POST"
    try:
        connection.request(method, path, body=body, headers=headers or {})
        response = connection.getresponse()
        content = response.read()
    except (OSError, HTTPException) as error:
        raise NoAnswerError(f"{method} {path}: {type(error).__name__}: {error}") from None
    if response.status in NOT_YET:
        raise NoAnswerError(f"{method} {path}: status {response.status}")
    if response.status != 200:
        raise WrongAnswerError(f"{method} {path}: status {response.status}")
    return response, content


def until_answered(probe: Probe, port: int, seconds: float = 10.0) -> list[str]:
    """Some servers accept before the application is loaded: asks until it answers."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with suppress(NoAnswerError):
            return probe(port)
        time.sleep(0.05)
    return probe(port)


def _connection(port: int, tls: bool) -> HTTPConnection:
    if not tls:
        return HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # nobody vouches for the certificate of a benchmark
    return HTTPSConnection("127.0.0.1", port, timeout=SECONDS, context=context)


def expects(
    body: bytes,
    *,
    path: str = "/",
    upload: bytes | None = None,
    contains: bool = False,
    tls: bool = False,
) -> Probe:
    """The answer to `path` is `body` (or holds it), twice over one connection."""

    def probe(port: int) -> list[str]:
        connection = _connection(port, tls)
        notes: list[str] = []
        try:
            for _ in range(2):
                response, content = _ask(connection, path, body=upload)
                if content != body and not (contains and body in content):
                    raise WrongAnswerError(
                        f"{path}: {len(content)} bytes that are not the expected ones"
                    )
                if response.will_close:
                    notes = ["closes the connection after each answer"]
        finally:
            connection.close()
        return notes

    return probe


HELLO = expects(apps.HELLO)


def closes(port: int) -> list[str]:
    """`Connection: close` is honoured: the answer is followed by the end of stream."""
    HELLO(port)
    request = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    received = _exchange(port, request, until=None)
    if apps.HELLO not in received:
        raise WrongAnswerError("no answer to a request with Connection: close")
    if b"connection: close" not in received.lower():
        # wrk then asks once more on the connection and counts a read error.
        return ["does not announce the close, so wrk counts read errors"]
    return []


def pipelines(port: int) -> list[str]:
    """Sixteen requests in one write get sixteen answers."""
    HELLO(port)
    request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * PIPELINED
    received = _exchange(port, request, until=PIPELINED)
    answers = received.count(apps.HELLO)
    if answers != PIPELINED:
        raise WrongAnswerError(f"{answers} answers to {PIPELINED} pipelined requests")
    return []


def _exchange(port: int, request: bytes, *, until: int | None) -> bytes:
    """Sends, then reads up to `until` hello bodies, or else to the end of stream."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), 2.0) as connection:
        try:
            connection.sendall(request)
            while until is None or received.count(apps.HELLO) < until:
                piece = connection.recv(65536)
                if not piece:
                    break
                received += piece
        except TimeoutError:
            if until is None:
                raise WrongAnswerError("leaves the connection open, unasked") from None
        except OSError as error:
            raise WrongAnswerError(f"connection: {error.strerror}") from None
    return received
