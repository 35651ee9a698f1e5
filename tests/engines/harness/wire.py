"""A raw HTTP/1 client: writes exactly the bytes it is told and reads answers strictly.

Answers are parsed by h11, which refuses what RFC 9112 refuses, so that every test of the suite
also checks the framing of what the server sends. One `Reply` parses one answer; bytes behind it
stay with the `Wire` for the next, as pipelining wants.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import struct
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import h11

if TYPE_CHECKING:
    from collections.abc import Callable

Address = tuple[str, int] | str

TIMEOUT = 10.0
MAX_HEAD = 1 << 20


class Truncated(AssertionError):  # noqa: N818 - a state of the answer, as tests tell it
    """The server closed before the answer was whole."""

    def __init__(self, partial: Response | None) -> None:
        super().__init__(f"answer ended early: {partial!r}")
        self.partial = partial


@dataclass
class Response:
    status: int
    reason: str
    version: str
    fields: list[tuple[str, str]]
    pieces: list[bytes] = field(default_factory=list)
    trailers: list[tuple[str, str]] = field(default_factory=list)
    informational: list[int] = field(default_factory=list)
    interim_fields: list[list[tuple[str, str]]] = field(default_factory=list)
    """Of each interim answer."""

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.fields if key == name.lower()]

    def get(self, name: str) -> str | None:
        values = self.all(name)
        assert len(values) <= 1, f"{name} sent {len(values)} times: {values}"
        return values[0] if values else None

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)

    @property
    def text(self) -> str:
        return self.body.decode()

    def says(self, status: str) -> bool:
        """Whether this is its status and reason. HTTP/2 has no reasons."""
        if self.version == "2":
            return status[:3] == str(self.status)
        return status == f"{self.status} {self.reason}"

    @property
    def closes(self) -> bool:
        """Whether the answer announces that the connection ends with it (RFC 9112 section 9.3)."""
        tokens = [part.strip().lower() for part in ",".join(self.all("connection")).split(",")]
        return "close" in tokens or (self.version == "1.0" and "keep-alive" not in tokens)


def _text(pairs: object) -> list[tuple[str, str]]:
    return [(k.decode("latin-1"), v.decode("latin-1")) for k, v in pairs]  # type: ignore[attr-defined]


class Ended(Exception):  # noqa: N818 - as Truncated, which a Reply makes of it
    """Nothing more comes, and the answer is not whole."""


class Events(Protocol):
    """What comes of one answer, in h11's words, whatever it came in."""

    def next(self) -> object: ...
    def done(self) -> None: ...


class Http1Events:
    """Of the bytes of a connection, those that belong to its next answer."""

    def __init__(self, wire: Wire, method: str) -> None:
        self._wire = wire
        self._parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)
        self._parser.send(h11.Request(method=method, target="/", headers=[("Host", "h")]))
        self._parser.send(h11.EndOfMessage())
        self._fed_end = False

    def next(self) -> object:
        while True:
            try:
                event = self._parser.next_event()
            except h11.RemoteProtocolError as error:
                if self._fed_end:
                    raise Ended from error
                raise
            if event is not h11.NEED_DATA:
                return event
            data = self._wire.take()
            self._fed_end = not data
            self._parser.receive_data(data)

    def done(self) -> None:
        self._wire.put_back(self._parser.trailing_data[0])


class Reply:
    """One answer, read as far as the test asks: head, then one piece of body after another."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self._informational: list[int] = []
        self._interim_fields: list[list[tuple[str, str]]] = []
        self.response: Response | None = None
        self.complete = False

    def _next_event(self) -> object:
        try:
            return self._events.next()
        except Ended as end:
            raise Truncated(self.response) from end

    def continued(self) -> int:
        """Waits for an interim answer such as 100 and gives its status."""
        event = self._next_event()
        assert isinstance(event, h11.InformationalResponse), event
        self._take_interim(event)
        return event.status_code

    def _take_interim(self, event: h11.InformationalResponse) -> None:
        self._informational.append(event.status_code)
        self._interim_fields.append(_text(event.headers))

    def head(self) -> Response:
        while self.response is None:
            event = self._next_event()
            if isinstance(event, h11.InformationalResponse):
                self._take_interim(event)
            elif isinstance(event, h11.Response):
                self.response = Response(
                    status=event.status_code,
                    reason=event.reason.decode("latin-1"),
                    version=event.http_version.decode(),
                    fields=_text(event.headers),
                    informational=self._informational,
                    interim_fields=self._interim_fields,
                )
            else:
                raise Truncated(None)
        return self.response

    def data(self) -> bytes:
        """The next piece of body as soon as any is there; empty at the end of the answer."""
        response = self.head()
        if self.complete:
            return b""
        event = self._next_event()
        if isinstance(event, h11.Data):
            response.pieces.append(bytes(event.data))
            return response.pieces[-1]
        assert isinstance(event, h11.EndOfMessage), event
        response.trailers = _text(event.headers)
        self.complete = True
        self._events.done()
        return b""

    def exactly(self, count: int) -> bytes:
        """At least `count` more bytes of body, for streams that pause there."""
        pieces = b""
        while len(pieces) < count:
            piece = self.data()
            assert piece, f"body ended after {pieces!r}"
            pieces += piece
        return pieces

    def rest(self) -> Response:
        while self.data():
            pass
        return self.head()


class Wire:
    """A client connection. Every blocking call fails after `timeout` seconds of silence."""

    pipelines = True
    """Whether an answer waits for the ones before it, and is not given behind one that was cut."""

    def __init__(
        self,
        address: Address,
        *,
        timeout: float = TIMEOUT,
        receive_buffer: int | None = None,
        source: str = "",
        tls: ssl.SSLContext | None = None,
        server_name: str = "localhost",
    ) -> None:
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        if not isinstance(address, str) and ":" in address[0]:
            family = socket.AF_INET6
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        try:
            if source:
                self.socket.bind((source, 0))
            self.socket.connect(address)
            if family != socket.AF_UNIX:
                self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if tls is not None:
                self.socket = tls.wrap_socket(self.socket, server_hostname=server_name)
        except BaseException:
            self.socket.close()
            raise
        self._ahead = b""

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def send_leniently(self, data: bytes) -> bool:
        """Sends to a server that may refuse and close midway; tells whether all was taken."""
        try:
            self.send(data)
        except (BrokenPipeError, ConnectionResetError, ssl.SSLEOFError):
            return False
        return True

    def send_until_blocked(self, data: bytes, patience: float = 1.0) -> int:
        """How much of it the server and the kernel take before they stop."""
        sent = 0
        self.socket.settimeout(patience)
        with contextlib.suppress(TimeoutError, BrokenPipeError, ConnectionResetError):
            while sent < len(data):
                sent += self.socket.send(data[sent : sent + (1 << 16)])
        self.socket.settimeout(TIMEOUT)
        return sent

    def get(
        self, target: str = "/", *fields: str, method: str = "GET", version: str = "1.1"
    ) -> None:
        lines = [f"{method} {target} HTTP/{version}", "Host: test", *fields, "", ""]
        self.send("\r\n".join(lines).encode("latin-1"))

    def post(self, target: str, body: bytes, *fields: str) -> None:
        lines = [f"POST {target} HTTP/1.1", "Host: test", f"Content-Length: {len(body)}"]
        self.send("\r\n".join([*lines, *fields, "", ""]).encode("latin-1") + body)

    def take(self) -> bytes:
        """Bytes at hand, else the next that arrive; empty once the server has closed."""
        if self._ahead:
            ahead, self._ahead = self._ahead, b""
            return ahead
        return self.socket.recv(1 << 16)

    def put_back(self, data: bytes) -> None:
        self._ahead = data + self._ahead

    def reply(self, method: str = "GET") -> Reply:
        return Reply(Http1Events(self, method))

    def response(self, method: str = "GET") -> Response:
        return self.reply(method).rest()

    def ask(self, target: str = "/", *fields: str, method: str = "GET") -> Response:
        self.get(target, *fields, method=method)
        return self.response(method)

    def read_to_end(self) -> bytes:
        """All bytes until the server closes; a reset counts as an end."""
        pieces = []
        with contextlib.suppress(ConnectionResetError):
            while piece := self.take():
                pieces.append(piece)
        return b"".join(pieces)

    def expect_closed(self) -> None:
        rest = self.read_to_end()
        assert rest == b"", f"expected the end of the connection, got {rest[:200]!r}"

    def expect_over(self, refusal: Response | None = None) -> None:
        """Nothing comes behind an answer that was cut, asked for as the last, or a refusal, which
        says so: nobody knows where the next request would begin."""
        assert refusal is None or refusal.closes
        self.expect_closed()

    def expect_goodbye(self, last: Response) -> None:
        """The connection ends behind this answer, as it says."""
        assert last.closes
        self.expect_closed()

    def is_silent(self, seconds: float) -> bool:
        """Whether nothing, not even an end, arrives for so long."""
        if self._ahead:
            return False
        if isinstance(self.socket, ssl.SSLSocket):  # what is readable may be TLS's own
            return self._is_silent_over_tls(seconds)
        return not select.select([self.socket], [], [], seconds)[0]

    def _is_silent_over_tls(self, seconds: float) -> bool:
        usual = self.socket.gettimeout()
        self.socket.settimeout(seconds)
        try:
            self._ahead = self.socket.recv(1 << 16)
        except (TimeoutError, ssl.SSLWantReadError):  # the latter when it does not wait at all
            return True
        finally:
            self.socket.settimeout(usual)
        return False

    def finish_sending(self) -> None:
        # Not SSLSocket's own, which ends TLS in both directions. There is no close_notify, which
        # Python cannot send without waiting for the server's.
        socket.socket.shutdown(self.socket, socket.SHUT_WR)

    def reset(self) -> None:
        """Leaves with an RST, as a client that crashed."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self) -> None:
        self.socket.close()


def until_refused(connect: Callable[[], Wire]) -> None:
    """Returns once the server takes no more connections."""
    deadline = time.monotonic() + 10
    with contextlib.suppress(ConnectionError, FileNotFoundError):
        while time.monotonic() < deadline:
            with connect() as wire:
                wire.is_silent(0.02)
        raise AssertionError("new connections are still taken")
