"""A client of HTTP/2 with prior knowledge: frames by the library h2, nothing else in between."""

from __future__ import annotations

import select
import socket
import ssl
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
        assert isinstance(server.address, tuple)
        self.socket = socket.create_connection(server.address, timeout=timeout)
        self.socket.sendall(before)
        if (context := server.tls) is not None:  # a new one each time
            context.set_alpn_protocols(["h2"])
            self.socket = context.wrap_socket(self.socket, server_hostname="localhost")
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
        self.goaway = False
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
        while not (self.closed or self.goaway):
            self.pump()

    def pump_ready(self) -> None:
        """Takes in what has come, without waiting."""
        while not (self.closed or self.goaway) and self._has_come():
            self.pump()

    def _has_come(self) -> bool:
        # What TLS has decrypted already does not make the socket readable.
        pending = isinstance(self.socket, ssl.SSLSocket) and self.socket.pending() > 0
        return pending or bool(select.select([self.socket], [], [], 0)[0])

    def _take(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.ConnectionTerminated):
            self.goaway = True
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
