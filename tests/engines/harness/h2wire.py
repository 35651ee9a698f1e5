"""A client of HTTP/2 with prior knowledge: frames by the library h2, nothing else in between."""

from __future__ import annotations

import select
import socket
import ssl
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import h2.config
import h2.connection
import h2.events
import h2.settings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.wire import Address

Fields = list[tuple[str, str]]


class Endpoint(Protocol):
    """A server, and a context of its clients if it speaks TLS."""

    @property
    def address(self) -> Address: ...
    @property
    def tls(self) -> ssl.SSLContext | None: ...


def connect_h2(server: Endpoint, timeout: float, before: bytes = b"") -> socket.socket:
    """A connection on which both sides know that it is HTTP/2."""
    assert isinstance(server.address, tuple)
    plain = socket.create_connection(server.address, timeout=timeout)
    plain.sendall(before)
    if (context := server.tls) is None:  # a new one each time
        return plain
    context.set_alpn_protocols(["h2"])
    return context.wrap_socket(plain, server_hostname="localhost")


@dataclass
class H2Response:
    """What one stream has brought so far."""

    fields: Fields = field(default_factory=list)
    informational: list[Fields] = field(default_factory=list)
    body: bytes = b""
    trailers: Fields = field(default_factory=list)
    ended: bool = False
    reset: int | None = None

    @property
    def status(self) -> int:
        return int(dict(self.fields)[":status"])

    def get(self, name: str) -> str | None:
        return dict(self.fields).get(name)


class H2Wire:
    """One connection, on which something may be sent `before` HTTP. With a `window`, which is that
    of each stream, `open_window()` opens it."""

    def __init__(
        self,
        server: Endpoint,
        timeout: float = 10,
        window: int | None = None,
        before: bytes = b"",
    ) -> None:
        self.socket = connect_h2(server, timeout, before)
        # Faulty requests are what some tests are about.
        config = h2.config.H2Configuration(
            header_encoding="utf-8",
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
        )
        self.h2 = h2.connection.H2Connection(config=config)
        self.h2.initiate_connection()
        if window is not None:
            self.h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window})
        self.responses: dict[int, H2Response] = {}
        self.pongs: list[bytes] = []
        self.goaway: int | None = None  # its error code
        self.closed = False
        self._auto_window = window is None
        self.flush()

    def __enter__(self) -> H2Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def flush(self) -> None:
        self.socket.sendall(self.h2.data_to_send())

    def start(
        self, method: str, path: str, extra: Iterable[tuple[str, str]] = (), end: bool = True
    ) -> int:
        """Sends a head; the stream's number."""
        stream = self.h2.get_next_available_stream_id()
        pseudo = [(":method", method), (":scheme", "http"), (":authority", "a"), (":path", path)]
        self.h2.send_headers(stream, [*pseudo, *extra], end_stream=end)
        self.responses[stream] = H2Response()
        self.flush()
        return stream

    def send(self, stream: int, data: bytes, end: bool = False) -> None:
        """Sends a piece of a body as the server's windows allow."""
        while data:
            room = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size)
            if room == 0:
                self.pump()
                continue
            piece, data = data[:room], data[room:]
            self.h2.send_data(stream, piece, end_stream=end and not data)
            self.flush()

    def end(self, stream: int) -> None:
        self.h2.end_stream(stream)
        self.flush()

    def end_with(self, stream: int, trailers: Iterable[tuple[str, str]]) -> None:
        """Ends a request with a trailer section."""
        self.h2.send_headers(stream, list(trailers), end_stream=True)
        self.flush()

    def open_window(self, stream: int, size: int) -> None:
        self.h2.increment_flow_control_window(size, stream)
        self.flush()

    def pump(self) -> None:
        """Waits for data and takes it in."""
        data = self.socket.recv(1 << 16)
        if not data:
            self.closed = True
            return
        for event in self.h2.receive_data(data):
            self._take(event)
        self.flush()

    def pump_to_end(self) -> None:
        """Takes in what comes until the server says goodbye, or closes."""
        while not self.closed and self.goaway is None:
            self.pump()

    def pump_ready(self) -> None:
        """Takes in what has come, without waiting."""
        while not self.closed and self.goaway is None and self._has_come():
            self.pump()

    def _has_come(self) -> bool:
        # What TLS has decrypted already does not make the socket readable.
        pending = isinstance(self.socket, ssl.SSLSocket) and self.socket.pending() > 0
        return pending or bool(select.select([self.socket], [], [], 0)[0])

    def _take(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.ConnectionTerminated):
            self.goaway = int(event.error_code or 0)
        elif isinstance(event, h2.events.PingAckReceived):
            self.pongs.append(event.ping_data)
        elif isinstance(event, h2.events.InformationalResponseReceived):
            self.responses[event.stream_id].informational.append(_text(event.headers))
        elif isinstance(event, h2.events.ResponseReceived):
            self.responses[event.stream_id].fields = _text(event.headers)
        elif isinstance(event, h2.events.TrailersReceived):
            self.responses[event.stream_id].trailers = _text(event.headers)
        elif isinstance(event, h2.events.DataReceived):
            self.responses[event.stream_id].body += event.data
            if self._auto_window and event.flow_controlled_length:
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            self.responses[event.stream_id].ended = True
        elif isinstance(event, h2.events.StreamReset):
            self.responses[event.stream_id].reset = int(event.error_code)

    def response(self, stream: int) -> H2Response:
        """Waits until the stream is over."""
        response = self.responses[stream]
        while not response.ended and response.reset is None and not self.closed:
            self.pump()
        return response

    def ask(
        self,
        path: str,
        method: str = "GET",
        extra: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
    ) -> H2Response:
        stream = self.start(method, path, extra, end=not body)
        if body:
            self.send(stream, body, end=True)
        return self.response(stream)


def _text(headers: object) -> Fields:
    assert isinstance(headers, list)
    return [(str(name), str(value)) for name, value in headers]


Frame = tuple[int, int, int, bytes]
"""Type, flags, stream and payload."""

GET = [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a")]
POST = [(":method", "POST"), *GET[1:]]


def block(*fields: tuple[str, str]) -> bytes:
    """A header block of literals, none of which the table remembers."""
    encoded = b""
    for name, value in fields:
        encoded += b"\x00" + bytes([len(name)]) + name.encode() + bytes([len(value)])
        encoded += value.encode()
    return encoded


def opened(stream: int = 1) -> Frame:
    """A request whose content follows."""
    return (0x1, 0x4, stream, block(*POST))


def asked(stream: int = 1) -> Frame:
    """A whole request."""
    return (0x1, 0x5, stream, block(*GET))


class RawH2:
    """One connection, on which any frames are sent."""

    PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

    def __init__(self, server: Endpoint, settings: bytes | None = b"", begins: bool = True) -> None:
        self.socket = connect_h2(server, timeout=10)
        self.goaways: list[tuple[int, int]] = []
        """The last stream and the code of each."""
        self._ended: set[int] = set()
        self._resets: dict[int, int] = {}
        if begins:
            self.begin(settings)

    def begin(self, settings: bytes | None = b"") -> None:
        self.socket.sendall(self.PREFACE)
        if settings is not None:
            self.send((0x4, 0, 0, settings))

    def __enter__(self) -> RawH2:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, *frames: Frame, apart: bool = False) -> None:
        """At once, or octet by octet `apart`."""
        octets = b"".join(
            len(payload).to_bytes(3, "big")
            + bytes([kind, flags])
            + stream.to_bytes(4, "big")
            + payload
            for kind, flags, stream, payload in frames
        )
        if not apart:
            self.socket.sendall(octets)
            return
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for octet in octets:
            self.socket.sendall(bytes([octet]))

    def _read(self, size: int) -> bytes:
        octets = b""
        while len(octets) < size:
            piece = self.socket.recv(size - len(octets))
            if not piece:
                raise EOFError("the server has closed the connection")
            octets += piece
        return octets

    def _next(self) -> tuple[int, bytes]:
        head = self._read(9)
        kind, flags, stream = head[3], head[4], int.from_bytes(head[5:], "big")
        payload = self._read(int.from_bytes(head[:3], "big"))
        if kind == 0x3:
            self._resets[stream] = int.from_bytes(payload, "big")
        elif kind == 0x7:
            self.goaways.append(struct.unpack("!LL", payload[:8]))
        elif kind in (0x0, 0x1) and flags & 0x1:
            self._ended.add(stream)
        return kind, payload

    def next_of(self, kind: int) -> bytes:
        """The payload of the next frame of this type."""
        while (found := self._next())[0] != kind:
            pass
        return found[1]

    def answers(self, stream: int) -> bool:
        """Whether an answer comes to its end."""
        while stream not in self._ended and stream not in self._resets and not self._failed():
            self._next()
        return stream in self._ended

    def _failed(self) -> bool:
        return any(code != 0 for _, code in self.goaways)

    def reset_of(self, stream: int) -> int | None:
        """The code of its reset; None if it is answered."""
        self.answers(stream)
        return self._resets.get(stream)

    def goaway(self) -> int:
        """The code of the server's goodbye."""
        return self.next_goaway()[1]

    def next_goaway(self) -> tuple[int, int]:
        while not self.goaways:
            self._next()
        return self.goaways.pop(0)
