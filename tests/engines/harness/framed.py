"""The suite's client on HTTP/2: what tests write of HTTP/1 goes out in frames, and what comes back
is read as they read HTTP/1.

So a test is written once. Each request has a stream of its own, and `reply()` takes the streams in
the order in which they were asked. One that asks for another protocol is an extended CONNECT (RFC
8441); once `switch()` has read that it was switched to, what is sent and taken is that stream's.
What only HTTP/1 can say, such as another version or half a head, is an error here: such a test is
marked `no_http2`, with the reason.
"""

from __future__ import annotations

import contextlib
import logging
import ssl
import time
from collections import defaultdict, deque
from functools import partial
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h11

from harness.wire import MAX_HEAD, TIMEOUT, Ended, Reply, Response, Wire

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.wire import Address

logging.getLogger("hpack").setLevel(logging.INFO)  # it is no part of what tests find in the log

Fields = list[tuple[bytes, bytes]]
OF_A_STREAM = (
    h2.events.InformationalResponseReceived,
    h2.events.ResponseReceived,
    h2.events.DataReceived,
    h2.events.TrailersReceived,
    h2.events.StreamEnded,
    h2.events.StreamReset,
)


class Requests:
    """Takes requests of HTTP/1 apart, in whatever pieces they are written."""

    def __init__(self) -> None:
        self._parser = self._anew(b"")

    def _anew(self, data: bytes) -> h11.Connection:
        parser = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)
        if data:
            parser.receive_data(data)
        return parser

    def feed(self, data: bytes) -> Iterator[object]:
        if data:
            self._parser.receive_data(data)
        while (event := self._parser.next_event()) is not h11.NEED_DATA:
            yield event
            if isinstance(event, h11.EndOfMessage):
                self._parser = self._anew(self._parser.trailing_data[0])


def protocol_of(request: h11.Request) -> bytes:
    """That it asks for, or nothing. An intermediary takes one of them."""
    fields = {bytes(name): bytes(value) for name, value in request.headers}
    asks = b"upgrade" in fields.get(b"connection", b"").lower()
    return fields.get(b"upgrade", b"").split(b",")[0] if asks else b""


def stays_open(request: h11.Request) -> bool:
    """Whether its stream goes on: for another protocol, or a tunnel."""
    return bool(protocol_of(request)) or request.method == b"CONNECT"


def head_of(request: h11.Request, scheme: bytes) -> Fields:
    """As an intermediary would pass it on (RFC 9113 section 8.3.1)."""
    assert request.http_version == b"1.1", "HTTP/2 has no other versions"
    authority, fields = b"", []
    protocol = protocol_of(request)
    for name, value in request.headers:
        if name == b"host":
            authority = value
        elif protocol and name in (b"connection", b"upgrade", b"sec-websocket-key"):
            continue
        elif name == b"connection":  # tests ask so for the end, which they do not depend on
            assert value in (b"close", b"keep-alive"), f"HTTP/2 has no field {name!r}: {value!r}"
        elif name != b"transfer-encoding":
            fields.append((name, value))
    target = request.target
    if target.startswith(b"http://"):
        authority, slash, path = target.removeprefix(b"http://").partition(b"/")
        authority, query, behind = authority.partition(b"?")
        target = b"/" + (path if slash else query + behind)
    if request.method == b"CONNECT":
        return [(b":method", request.method), (b":authority", target), *fields]
    method = b"CONNECT" if protocol else request.method
    pseudo = {b"method": method, b"scheme": scheme, b"authority": authority, b"path": target}
    if protocol:
        pseudo[b"protocol"] = protocol
    return [*((b":" + name, value) for name, value in pseudo.items()), *fields]


class Http2(h2.connection.H2Connection):
    """h2 takes a GOAWAY for the end, where the streams that it names are still answered."""

    def _receive_goaway_frame(self, frame: Any) -> Any:
        event = h2.events.ConnectionTerminated()
        event.error_code, event.last_stream_id = frame.error_code, frame.last_stream_id
        return [], [event]


class StreamEvents:
    """What comes on one stream. Its window opens as it is taken."""

    def __init__(self, wire: FramedWire, stream: int) -> None:
        self._wire = wire
        self._stream = stream
        self._trailers: Fields = []

    def next(self) -> object:
        while True:
            event = self._wire.next_event(self._stream)
            if isinstance(event, h2.events.InformationalResponseReceived):
                status, fields = _status_and_fields(event.headers)
                return h11.InformationalResponse(status_code=status, headers=fields)
            if isinstance(event, h2.events.ResponseReceived):
                status, fields = _status_and_fields(event.headers)
                return h11.Response(status_code=status, headers=fields, http_version=b"2")
            if isinstance(event, h2.events.DataReceived):
                self._wire.took(event)
                if event.data:
                    return h11.Data(data=event.data)
            elif isinstance(event, h2.events.TrailersReceived):
                self._trailers = list(event.headers)
            elif isinstance(event, h2.events.StreamEnded):
                return h11.EndOfMessage(headers=self._trailers)
            else:
                raise Ended(event)

    def done(self) -> None:
        pass


def _status_and_fields(headers: Any) -> tuple[int, Fields]:
    (name, status), *fields = headers
    assert name == b":status"
    return int(status), fields


class FramedWire(Wire):
    """A connection of HTTP/2: by prior knowledge, or over TLS agreed on."""

    pipelines = False

    def __init__(
        self, address: Address, *, tls: ssl.SSLContext | None = None, **options: Any
    ) -> None:
        if tls is not None:
            tls.set_alpn_protocols(["h2"])
        super().__init__(address, tls=tls, **options)
        # Requests that the server has to refuse are what some tests send.
        config = h2.config.H2Configuration(
            header_encoding=None, validate_outbound_headers=False, normalize_outbound_headers=False
        )
        self._http = Http2(config)
        # Its Huffman code would take seconds for a long field.
        self._http.encoder.encode = partial(self._http.encoder.encode, huffman=False)  # type: ignore[method-assign]
        self._http.initiate_connection()
        self._scheme = b"http" if tls is None else b"https"
        self._requests = Requests()
        self._sending = 0
        self._whole = True
        self._upgrading = 0  # the stream of a request that asks for another protocol
        self._switched = 0  # the stream that speaks it
        self._asked: deque[int] = deque()
        self._events: defaultdict[int, deque[h2.events.Event]] = defaultdict(deque)
        self._answered: set[int] = set()
        self._pings = 0
        self._goodbye = False
        self._last = 1 << 31  # of the streams that are answered
        self._closed = False
        try:
            self._flush()
        except BaseException:
            self.close()
            raise

    # ---- requests

    def send(self, data: bytes) -> None:
        if self._switched:
            return self._send_content(data, False)
        events = list(self._requests.feed(data))
        for event, behind in zip_longest(events, events[1:]):
            if isinstance(event, h11.EndOfMessage):
                self._end_request(list(event.headers))
            else:
                ends = isinstance(behind, h11.EndOfMessage) and not list(behind.headers)
                self._send_part(event, ends)
        return None

    def _send_part(self, part: object, ends: bool) -> None:
        self._whole = ends
        if isinstance(part, h11.Request):
            self._sending = self._http.get_next_available_stream_id()
            self._asked.append(self._sending)
            self._upgrading = self._sending if stays_open(part) else 0
            ends = ends and not self._upgrading
            self._http.send_headers(self._sending, head_of(part, self._scheme), end_stream=ends)
            self._flush()
        elif isinstance(part, h11.Data):
            self._send_content(bytes(part.data), ends)

    def _send_content(self, data: bytes, ends: bool) -> None:
        """As the server's windows allow."""
        sent = 0
        with self._stopped_by_an_answer():
            while sent < len(data):
                piece = data[sent : sent + min(self._room(), self._http.max_outbound_frame_size)]
                sent += len(piece)
                self._http.send_data(self._sending, piece, end_stream=ends and sent == len(data))
                self._flush()

    def _room(self) -> int:
        """Waits for the server's windows to be open."""
        while self._sending in self._open():
            if room := self._http.local_flow_control_window(self._sending):
                return room
            self._pump()
        raise h2.exceptions.StreamClosedError(self._sending)

    def _end_request(self, trailers: Fields) -> None:
        if self._upgrading == self._sending:
            return
        with self._stopped_by_an_answer():
            if trailers:
                self._http.send_headers(self._sending, trailers, end_stream=True)
            elif not self._whole:
                self._http.end_stream(self._sending)
            self._flush()

    @contextlib.contextmanager
    def _stopped_by_an_answer(self) -> Iterator[None]:
        """What is answered may be reset, for its client to send no more (RFC 9113 section 8.1)."""
        try:
            yield
        except h2.exceptions.StreamClosedError as error:
            if self._sending not in self._answered:
                raise BrokenPipeError("the stream was reset") from error

    def send_until_blocked(self, data: bytes, patience: float = 1.0) -> int:
        sent = 0
        with (
            contextlib.suppress(TimeoutError, BrokenPipeError, ConnectionResetError),
            self._stopped_by_an_answer(),
        ):
            while sent < len(data):
                self.socket.settimeout(patience)
                room = self._room()
                self.socket.settimeout(TIMEOUT)
                self.send(data[sent : sent + room])
                sent += len(data[sent : sent + room])
        self.socket.settimeout(TIMEOUT)
        return sent

    def _flush(self) -> None:
        self.socket.sendall(self._http.data_to_send())

    # ---- answers

    def reply(self, method: str = "GET") -> Reply:
        assert self._asked, "there was no request, and HTTP/2 answers nothing else"
        return Reply(StreamEvents(self, self._asked.popleft()))

    def next_event(self, stream: int) -> h2.events.Event:
        events = self._events[stream]
        while not events:
            if self._closed or stream > self._last:
                raise Ended
            self._pump()
        return events.popleft()

    def took(self, data: h2.events.DataReceived) -> None:
        self._http.acknowledge_received_data(data.flow_controlled_length, data.stream_id)
        self._answer_frames()

    def _pump(self) -> None:
        """Waits for what comes, and takes it in."""
        data = self.socket.recv(1 << 16)
        self._closed = not data
        for event in self._http.receive_data(data):
            if isinstance(event, h2.events.ConnectionTerminated):
                self._goodbye, self._last = True, event.last_stream_id or 0
            elif isinstance(event, h2.events.PingAckReceived):
                self._pings -= 1
            elif isinstance(event, OF_A_STREAM):
                self._keep(event)
        self._answer_frames()

    def _answer_frames(self) -> None:
        # What is still to be read tells more.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._flush()

    def _keep(self, event: Any) -> None:
        if isinstance(event, h2.events.StreamEnded):
            self._answered.add(event.stream_id)
        elif isinstance(event, h2.events.StreamReset) and event.stream_id in self._answered:
            return  # it is about the request, of which no more is taken
        elif isinstance(event, h2.events.DataReceived) and not event.flow_controlled_length:
            return
        self._events[event.stream_id].append(event)

    def _told(self) -> bool:
        return self._closed or self._goodbye or any(self._events.values())

    def is_silent(self, seconds: float) -> bool:
        """Whether nothing is said of any stream for so long, nor the end of all of them."""
        usual = self.socket.gettimeout()
        deadline = time.monotonic() + seconds
        try:
            while not self._told():
                self.socket.settimeout(max(0, deadline - time.monotonic()))
                self._pump()
        except (TimeoutError, BlockingIOError, ssl.SSLWantReadError):
            return True
        finally:
            self.socket.settimeout(usual)
        return False

    def expect_over(self, refusal: Response | None = None) -> None:
        """An answer ends its stream, of whose request no more is taken, and no other."""
        assert refusal is None or refusal.get("connection") is None
        while self._open():
            assert not self._closed, "its connection has ended too"
            self._pump()
        self._http.ping(b"still on")
        self._pings += 1
        self._flush()
        while self._pings:
            assert not self._closed, "its connection has ended too"
            self._pump()
        assert not self._told()

    def expect_goodbye(self, last: Response) -> None:
        self.expect_closed()

    def expect_closed(self) -> None:
        while not self._closed:
            self._pump()
        assert self._goodbye, "closed without a GOAWAY"
        assert not any(self._events.values()), self._events

    def reset(self) -> None:
        """Takes back what it asked and stays, as a browser does whose user goes elsewhere."""
        if not self._open():
            return super().reset()
        for stream in self._open():
            self._http.reset_stream(stream, h2.errors.ErrorCodes.CANCEL)
        return self._flush()

    def _open(self) -> list[int]:
        return [number for number, stream in self._http.streams.items() if not stream.closed]

    # ---- another protocol

    def send_behind(self, data: bytes) -> None:
        """What follows the request that was sent last, for another protocol."""
        assert self._upgrading, "there is none"
        self._send_content(data, False)

    def switch(self) -> tuple[int, dict[str, str]]:
        """Reads the head of an answer; its status, 200 where it is switched, and fields."""
        stream = self._asked.popleft()
        event = self.next_event(stream)
        assert isinstance(event, h2.events.ResponseReceived), event
        status, fields = _status_and_fields(event.headers)
        if status == 200:
            self._switched = self._sending = stream
        return status, {name.decode(): value.decode() for name, value in fields}

    def take(self) -> bytes:
        if not self._switched:
            raise AssertionError("bytes of HTTP/1 are read here: mark the test no_http2")
        if self._ahead:
            ahead, self._ahead = self._ahead, b""
            return ahead
        while True:
            event = self.next_event(self._switched)
            if isinstance(event, h2.events.DataReceived):
                self.took(event)
                if event.data:
                    return event.data
            elif isinstance(event, h2.events.StreamEnded):
                return b""
            else:
                raise ConnectionResetError(event)

    def finish_sending(self) -> None:
        if not self._switched:
            raise AssertionError("HTTP/2 ends by streams: mark the test no_http2")
        self._http.end_stream(self._switched)
        self._flush()
