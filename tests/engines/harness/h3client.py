"""A client of HTTP/3, and a relay for its datagrams."""

from __future__ import annotations

import asyncio
import random
import selectors
import socket
import ssl
import threading
import time
from collections import defaultdict
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from aioquic.asyncio.client import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.buffer import encode_uint_var
from aioquic.h3.connection import H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import ConnectionTerminated, StopSendingReceived, StreamReset

from harness.certificates import authority

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from aioquic.h3.events import H3Event
    from aioquic.quic.events import QuicEvent

Fields = list[tuple[bytes, bytes]]


class Served(Protocol):
    """A site, or a server in a process of its own."""

    @property
    def port(self) -> int: ...


@dataclass
class Answer:
    heads: list[dict[str, str]] = field(default_factory=list)
    body: bytearray = field(default_factory=bytearray)
    reset: int | None = None
    """The error code of the stream, if it was reset."""
    stopped: int | None = None
    """That of a request which its client was asked to stop."""
    ended: bool = False
    """Whether it has come to its end by itself."""
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    """Set whenever something has come of it."""
    done: asyncio.Event = field(default_factory=asyncio.Event)
    begun: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def status(self) -> int:
        return int(self.heads[-1][":status"])

    def get(self, name: str) -> str | None:
        return self.heads[-1].get(name)

    def end(self) -> None:
        """Nothing more comes."""
        for event in (self.begun, self.arrived, self.done):
            event.set()


def frame(kind: int, payload: bytes = b"", *, announced: int | None = None) -> bytes:
    """One of HTTP/3 (RFC 9114 section 7.1), which may announce more than it has."""
    size = len(payload) if announced is None else announced
    return encode_uint_var(kind) + encode_uint_var(size) + payload


class H3Client(QuicConnectionProtocol):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._http = H3Connection(self._quic)
        self._answers: dict[int, Answer] = defaultdict(Answer)
        self.terminated: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        """The error code that the connection was closed with."""
        self._moved = asyncio.Event()
        self.patience = 60.0
        """Seconds that it waits for an answer."""

    def request(
        self, path: str = "/", *fields: tuple[str, str], method: str = "GET", end: bool = True
    ) -> int:
        """Sends a head and returns its stream."""
        head = [
            (b":method", method.encode()),
            (b":scheme", b"https"),
            (b":authority", b"localhost"),
            (b":path", path.encode()),
            *((name.encode(), value.encode()) for name, value in fields),
        ]
        return self.send_head(head, end=end)

    def send_head(self, head: Fields, *, end: bool = True) -> int:
        stream = self._quic.get_next_available_stream_id()
        self._http.send_headers(stream, head, end_stream=end)
        self.transmit()
        return stream

    def send(self, stream: int, data: bytes, *, end: bool = False) -> None:
        self._http.send_data(stream, data, end)
        self.transmit()

    def open(self, octets: bytes, *, unidirectional: bool = False) -> int:
        """Begins a stream with what may be no frames of any meaning."""
        stream = self._quic.get_next_available_stream_id(is_unidirectional=unidirectional)
        self.send_raw(stream, octets)
        return stream

    def send_raw(self, stream: int, octets: bytes, *, end: bool = False) -> None:
        self._quic.send_stream_data(stream, octets, end)
        self.transmit()

    @property
    def control_stream(self) -> int:
        stream = self._http._local_control_stream_id
        assert stream is not None
        return stream

    def reset(self, stream: int, code: int = 0x10C, how: str = "both") -> None:
        """H3_REQUEST_CANCELLED unless told otherwise. `how`: "reset", "stop_sending" or both."""
        if how != "stop_sending":
            self._quic.reset_stream(stream, code)
        if how != "reset":
            self._quic.stop_stream(stream, code)
        self.transmit()

    def stopped(self, stream: int) -> int | None:
        """The code that it was asked with to send no more."""
        return self._answers[stream].stopped

    @property
    def settings(self) -> dict[int, int]:
        """The server's (RFC 9114 section 7.2.4)."""
        return dict(self._http.received_settings or {})

    def leave(self) -> None:
        """Closes the connection, and does not stay until the last of it is forgotten."""
        self.close()
        self._closed.set()

    def keep_window_shut(self) -> None:
        """Gives the server no room beyond what it was told of at first (RFC 9000 section 4.1)."""
        self._quic._write_connection_limits = lambda *_, **__: None  # type: ignore[method-assign]
        self._quic._write_stream_limits = lambda *_, **__: None  # type: ignore[method-assign]

    def open_window(self) -> None:
        """Gives it again."""
        del self._quic._write_connection_limits, self._quic._write_stream_limits
        self.transmit()

    def room(self, stream: int) -> int:
        """How much content the server's windows let it send (a DATA frame's head is left out)."""
        quic = self._quic
        state = quic._streams[stream]
        of_stream = state.max_stream_data_remote - state.sender._buffer_stop
        of_all = quic._remote_max_data - quic._remote_max_data_used - self.unsent(stream)
        return max(0, min(of_stream, of_all) - 16)

    def unsent(self, stream: int) -> int:
        """What the windows hold back of what it was told to send."""
        answer = self._answers[stream]
        if answer.done.is_set() and not answer.ended:
            raise BrokenPipeError("the stream is over")
        state = self._quic._streams.get(stream)
        return state.sender._buffer_stop - state.sender.highest_offset if state else 0

    async def moved(self) -> None:
        """The server has told something."""
        self._moved.clear()
        await self._moved.wait()

    async def take(self, stream: int) -> bytes:
        """What comes next of an answer's content; nothing at its end."""
        answer = self._answers[stream]
        while not answer.body:
            if answer.ended:
                return b""
            if answer.done.is_set():
                raise ConnectionResetError(answer.reset)
            answer.arrived.clear()
            await answer.arrived.wait()
        taken = bytes(answer.body)
        answer.body.clear()
        return taken

    async def begun(self, stream: int) -> Answer:
        answer = self._answers[stream]
        await asyncio.wait_for(answer.begun.wait(), 20)
        return answer

    async def answer(self, stream: int) -> Answer:
        answer = self._answers[stream]
        await asyncio.wait_for(answer.done.wait(), self.patience)
        return answer

    async def ask(
        self, path: str = "/", *fields: tuple[str, str], method: str = "GET", body: bytes = b""
    ) -> Answer:
        stream = self.request(path, *fields, method=method, end=not body)
        if body:
            self.send(stream, body, end=True)
        return await self.answer(stream)

    def quic_event_received(self, event: QuicEvent) -> None:
        if isinstance(event, ConnectionTerminated):
            if not self.terminated.done():
                self.terminated.set_result(event.error_code)
            self._moved.set()
            for answer in self._answers.values():
                answer.end()
        elif isinstance(event, (StreamReset, StopSendingReceived)):
            answer = self._answers[event.stream_id]
            if isinstance(event, StopSendingReceived):
                answer.stopped = event.error_code
                if answer.reset is None:
                    answer.reset = event.error_code
            else:
                answer.reset = event.error_code
                answer.end()
        for http_event in self._http.handle_event(event):
            self._take(http_event)

    def datagram_received(self, data: bytes | str, addr: Any) -> None:
        super().datagram_received(data, addr)
        self._moved.set()

    def _take(self, event: H3Event) -> None:
        if not isinstance(event, (HeadersReceived, DataReceived)):
            return
        answer = self._answers[event.stream_id]
        if isinstance(event, HeadersReceived):
            answer.heads.append({name.decode(): value.decode() for name, value in event.headers})
            if answer.status >= 200:
                answer.begun.set()
        else:
            answer.body += event.data
        answer.arrived.set()
        if event.stream_ended:
            answer.ended = True
            answer.end()


def _configuration(window: int, name: str = "localhost") -> QuicConfiguration:
    return QuicConfiguration(
        is_client=True,
        alpn_protocols=["h3"],
        server_name=name,
        verify_mode=ssl.CERT_REQUIRED,
        cadata=authority().cert_pem.bytes(),
        max_data=window,
        max_stream_data=window,
    )


@asynccontextmanager
async def h3_client(
    site: Served,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    window: int = 1 << 24,
    name: str = "localhost",
) -> AsyncIterator[H3Client]:
    """A connection to a site, or to a port in its place. `window`: bytes that it takes ahead.

    It fails unless the server's certificate is one of `name`.
    """
    async with connect(
        host,
        port or site.port,
        configuration=_configuration(window, name),
        create_protocol=H3Client,
    ) as client:
        assert isinstance(client, H3Client)
        yield client


def begin_and_vanish(site: Served, times: int) -> None:
    """Begins connections whose handshakes never go on."""
    address = ("127.0.0.1", site.port)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for _ in range(times):
            connection = QuicConnection(configuration=_configuration(1 << 16))
            connection.connect(address, time.monotonic())
            for datagram, _ in connection.datagrams_to_send(time.monotonic()):
                sender.sendto(datagram, address)


class Relay:
    """Datagrams between one client and a server, of which some are lost.

    As clients do, it takes none from an address that it has not sent to.
    """

    def __init__(self, server: tuple[str, int], loss: float) -> None:
        self._server = server
        self._loss = loss
        self._chance = random.Random(20)
        self._client_side = self._bound()
        self._server_side = self._connected()
        self._client: Any = None
        self._lock = threading.Lock()
        self.port: int = self._client_side.getsockname()[1]
        self.lost = 0

    @staticmethod
    def _bound() -> socket.socket:
        bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        bound.bind(("127.0.0.1", 0))
        bound.setblocking(False)
        return bound

    def _connected(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._server[0] else socket.AF_INET
        connected = socket.socket(family, socket.SOCK_DGRAM)
        connected.connect(self._server)
        connected.setblocking(False)
        return connected

    def move(self) -> None:
        """The client has another port from here on, as behind a router that forgot it."""
        with self._lock:
            self._server_side.close()
            self._server_side = self._connected()

    def run(self, over: threading.Event) -> None:
        while not over.is_set():
            with self._lock, selectors.DefaultSelector() as selector:
                selector.register(self._client_side, selectors.EVENT_READ)
                selector.register(self._server_side, selectors.EVENT_READ)
                for key, _ in selector.select(0.01):
                    assert isinstance(key.fileobj, socket.socket)
                    self._pass_on(key.fileobj)

    def _pass_on(self, side: socket.socket) -> None:
        datagram, sender = side.recvfrom(1 << 16)
        if self._chance.random() < self._loss:
            self.lost += 1
        elif side is self._client_side:
            self._client = sender
            self._server_side.send(datagram)
        else:
            self._client_side.sendto(datagram, self._client)

    def close(self) -> None:
        self._client_side.close()
        self._server_side.close()


@contextmanager
def relay(site: Served, loss: float = 0.0, host: str = "127.0.0.1") -> Iterator[Relay]:
    """`host`: the server's address."""
    over = threading.Event()
    made = Relay((host, site.port), loss)
    thread = threading.Thread(target=made.run, args=(over,))
    thread.start()
    try:
        yield made
    finally:
        over.set()
        thread.join()
        made.close()
