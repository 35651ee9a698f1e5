"""The native module: engines, worker pool and WSGI adapter. See cpp/bindings.cpp."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from io import BufferedIOBase
from types import TracebackType
from typing import Any, BinaryIO, NoReturn, TypeVar, final, overload

from _typeshed import ReadableBuffer, WriteableBuffer
from _typeshed.wsgi import ErrorStream
from typing_extensions import Self

# What pybind11 makes its classes with; under this name it is not to be had at run time.
class _Pybind11Type(type): ...

@final
class Scoreboard(metaclass=_Pybind11Type):
    """Figures of the processes of a server, in memory that forks share."""

    def __init__(self, slots: int) -> None:
        """Raises OSError without memory."""

    def __len__(self) -> int: ...
    def read(self, slot: int) -> dict[str, int]:
        """The figures of a slot; all 0 before a process uses it."""

    def begin_drain(self) -> None:
        """All processes are about to stop: none is ready from now on."""

    def withdraw(self, withdrawn: bool) -> None:
        """None of all processes is ready from now on, those that start later neither; or each is
        if it is by itself."""
    def set_wanted(self, count: int) -> None:
        """So many processes are to serve, for metrics."""

    def count_end(self, cause: str) -> None:
        """Counts a process that has ended, for metrics. Raises ValueError for an unknown cause."""

    def watch(self) -> None:
        """For a second from now on, processes write what their worker threads are in."""

    def doing(
        self, slot: int, since_ns: int
    ) -> list[tuple[int, str, str, str, float, float | None]] | None:
        """What the threads of a slot's process are in, as `Server.doing` has it; None: it has not
        been written since then, of the monotonic clock."""

    def clear(self, slot: int) -> None:
        """Makes a slot's figures 0, for the next process."""

@final
class RateTable(metaclass=_Pybind11Type):
    """How often each client has asked, in memory that forks share: see `rate_limit`."""

    def __init__(self) -> None:
        """Raises OSError without memory."""

@final
class Server(metaclass=_Pybind11Type):
    def __init__(
        self,
        apps: tuple[Callable[..., Any], ...],
        listeners: list[tuple[int, str]],
        options: Mapping[str, object],
        *,
        log: Callable[[int, str, BaseException | None], None],
        access_log: Callable[[str], None] | None,
        interface: str = "wsgi",
        multiprocess: bool = False,
        errors: ErrorStream | None = None,
        redirects: list[tuple[int, str]] = ...,
        redirect_port: str = "",
        datagrams: list[tuple[list[int], int]] = ...,
        add_thread: Callable[[], object] | None = None,
        add_departure_thread: Callable[[], object] | None = None,
        static_mounts: list[tuple[str, str, bool]] = ...,
        sendfile_mounts: list[tuple[str, str, bool]] = ...,
        media_types: dict[str, str] = ...,
        time_limits: list[tuple[str, float]] = ...,
        tell_overdue: Callable[[str, int], object] | None = None,
        admins: list[tuple[int, str]] = ...,
        admin_page: bytes = ...,
        admin_policy: str = "",
        admin_door: int = -1,
        admin_token: str = "",
        statsd: tuple[str, str, str, str, bool, str, tuple[str, ...], float] | None = None,
    ) -> None:
        """Takes over the listening sockets, and starts nothing.

        apps: what is called for a request, for each of the listening sockets that it can come by.
        interface: how they are called: "wsgi" (PEP 3333), or "listener" for a handler
            that takes a Request and a Response.
        multiprocess: what the environ says as wsgi.multiprocess.
        errors: wsgi.errors; without it, what sys.stderr is when a request is taken.
        redirects: further listening sockets, whose clients are sent on to HTTPS.
        redirect_port: where that is spoken; "" for the usual one.
        datagrams: for each of the listening sockets, those of UDP on its port that HTTP/3 is spoken
            on, one for each I/O thread, with the number that `steer_datagrams` has for the first.
        add_thread: begins another thread that calls `work`, in place of one whose request lives
            long; raises what it cannot do.
        add_departure_thread: begins the one that calls `call_departures`; raises likewise.
        static_mounts: path prefixes, each with the folder whose files are served under it, and
            whether a path that ends in a slash is index.html there.

        sendfile_mounts: the same of files that the application may name by X-Accel-Redirect or, by
            their paths, X-Sendfile; none: these are fields like any other.

        media_types: types of these files by the suffixes of their names, such as ".css".

        time_limits: path prefixes, each with the seconds that requests beneath it may take in place
            of request_timeout; 0: as long as they take.
        tell_overdue: told of a request that took longer, and of the thread that is in it still; 0:
            none is.
        admins: further listening sockets, where administrators are answered; with them what is done
            is counted.
        admin_page: the document that they are shown; none without it.
        admin_policy: its Content-Security-Policy.
        admin_door: what is asked there of whoever has the control socket goes through it; it is
            copied. -1: nobody has one.
        admin_token: who asks with it may control the server there; empty: nobody may.
        statsd: where figures are pushed to as datagrams: as it is written, host, port, the path of
            a Unix socket, whether labels are tags, the prefix of names, tags, and the interval.

        Raises ValueError for a bad option; the sockets are then still the caller's.
        """

    def supervise(
        self,
        scoreboard: Scoreboard,
        slot: int,
        *,
        lifeline: int,
        status_pipe: int,
        tells_ready: bool,
        max_requests: int,
        grace: float,
        ticket_key: bytes,
        rates: RateTable,
    ) -> None:
        """Makes this the server of a supervised process; before `start`.

        slot: where it writes its figures, from a thread of its own that needs no GIL.
        lifeline: a pipe's end that is taken over; when the other end closes, the process gets
            SIGTERM, and after `grace` seconds it exits.
        status_pipe: a descriptor that "L" is written to when `max_requests` (0: no limit) requests
            were taken, "S" when more threads are stuck than `max_stuck`.
        tells_ready: "R" is written to it, too, just before the first connection is accepted; if
            nobody reads there any more, the process gets SIGTERM.
        ticket_key: of `new_ticket_key`; processes with the same one resume each other's TLS
            sessions. ValueError if it is none and TLS is spoken.
        rates: where clients are counted, with those who have the same.
        """

    def start(self) -> None:
        """Starts the native threads and accepts connections. Call it after the last fork, and when
        all that serves is there: a supervisor is told so."""

    def work(self) -> None:
        """A worker thread's body: serves requests until `stop`."""

    def pump_log(self) -> None:
        """One thread's body: hands log events to the callables until `stop`."""

    def call_departures(self) -> None:
        """One thread's body: calls what is to be called when clients depart, until `stop`."""

    def announce_stop(self) -> None:
        """Probes are told from now on that it is not ready; it serves as before."""

    def set_ready(self, ready: bool) -> None:
        """Probes are told from now on what the application says of itself."""

    def withdraw(self, withdrawn: bool) -> None:
        """Probes are told from now on what an administrator says of this process, whatever the
        application says: that it is not ready, or what it is by itself."""

    def readiness(self) -> str:
        """Why probes are told that it is not ready; empty if it is."""

    def requests(self) -> list[tuple[int, str, float]]:
        """Threads that are in requests: the number of each, its request line, and for how many
        seconds; -1 in a callback of a WebSocket's."""

    def keep_requests(self) -> None:
        """What worker threads are in is kept for `doing` and the scoreboard's; before `start`."""

    def doing(self) -> list[tuple[int, str, str, str, float, float | None]]:
        """What worker threads are in, 64 of them at most: the number of each, its state, the
        client's address, the request's line, for how many seconds, and how many are left to it;
        None: all it takes. Waits for nobody's GIL."""

    def begin_drain(self) -> None:
        """Accepts no more, closes idle connections and lets requests finish."""

    def wait_drained(self, seconds: float) -> bool:
        """Waits without the GIL. True when no exchange is left."""

    def stop(self) -> None:
        """Closes everything now and wakes every blocked call."""

    def reopen_logs(self) -> None:
        """Opens the access log's file anew, after a rotation."""

    def renew_certificates(self) -> None:
        """Reads the files of certificates anew, for connections that begin from now on.

        Raises ValueError for those it cannot use, and keeps what it has.
        """

    def stalled_for(self) -> float:
        """Seconds for which no worker has taken or ended a request, though it should have."""

    def stats(self) -> dict[str, int]:
        """Counters since the start."""

def check_tls(options: dict[str, Any]) -> list[tuple[int, str]]:
    """Reads certificates and keys as a server does. Raises ValueError for those it cannot use.

    Returns lines for the log, each with its level: what is served until when, and what has expired
    or soon will.
    """

def check_spool(options: dict[str, Any]) -> None:
    """Makes a file where a server keeps request bodies. Raises ValueError where it cannot."""

def new_development_authority() -> tuple[str, str]:
    """An authority that can vouch for localhost alone, and its key (PEM)."""

def new_development_certificate(authority: str, key: str) -> tuple[str, str]:
    """A certificate of it for localhost, 127.0.0.1 and ::1, and its key (PEM). ValueError if it is
    no authority with its key."""

def steer_datagrams(socket: int, take_new: list[int]) -> None:
    """Of all sockets that are bound to a UDP port, one of which is `socket`, each is given what
    belongs to its connections of QUIC, and these new ones; numbered in the order in which they were
    bound. Raises OSError, where the kernel cannot: Linux can."""

def new_self_signed_certificate(name: str) -> tuple[str, str]:
    """A certificate of nobody's for a name, and its key (PEM)."""

def new_ticket_key() -> bytes:
    """A secret for processes that are to resume each other's TLS sessions."""

def engines() -> dict[str, str]:
    """The engines built in, each with a text of its versions."""

class ClientDisconnected(ConnectionAbortedError):  # noqa: N818  # what happened, in its words
    """The client is gone: nothing more of its request can be read, nothing more of the answer
    written. Raised by wsgi.input and by the write() callable of PEP 3333; need not be caught."""

class RequestTimeout(Exception):  # noqa: N818  # as above
    """The request has taken nearly as long as it may. Raised wherever the application is, by the
    option request_timeout_raise; who does not catch it has its client answered 504."""

class ConnectionClosed(ClientDisconnected):  # as above
    """The WebSocket is closed: nothing more comes, and nothing more is sent. `code` and `reason`
    are those of its close (RFC 6455 section 7.1). Need not be caught."""

    code: int
    reason: str

class HandshakeError(ConnectionAbortedError):
    """The request's handshake is none that can be accepted, or it has none. `status` is what its
    client is answered (RFC 6455 section 4.2). Need not be caught."""

    status: int

@final
class WebSocket:
    """A WebSocket (RFC 6455), as accept() returns it. Any thread; takes attributes of the
    application's own."""

    def receive(self, timeout: float | None = None) -> str | bytes:
        """The next message; waits for it, so many seconds at most.

        Raises TimeoutError, and ConnectionClosed once there are no more; RuntimeError if it has
        callbacks, whose messages they are.
        """

    def send(self, data: str | ReadableBuffer, timeout: float | None = None) -> None:
        """Sends a str as text, and what has a buffer as it is. Waits, so many seconds at most,
        while `max_queue` is full, or ends the WebSocket: see `on_full`.

        Raises TimeoutError and ConnectionClosed.
        """

    def ping(self, payload: ReadableBuffer = b"", /) -> None:
        """Sends a ping, beside those of ping_interval. ValueError for more than 125 bytes."""

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Closes it, and returns at once; a reason is cut at 123 bytes. Idempotent.

        Raises ValueError for a code that may not be sent (RFC 6455 section 7.4).
        """

    def wait_closed(self, timeout: float | None = None) -> bool:
        """Waits until both sides have closed it. Whether they have."""

    @property
    def subprotocol(self) -> str | None:
        """What both sides speak."""

    @property
    def closed(self) -> bool:
        """Whether nothing more can be sent."""

    @property
    def close_code(self) -> int | None:
        """With which it was closed, when it is: the peer's code, 1005 for a close without one, 1006
        without a close, or what a rule that was broken is answered with."""

    @property
    def close_reason(self) -> str | None:
        """Why it was closed, when it is."""

    def __iter__(self) -> Self:
        """Its messages, to the end."""

    def __next__(self) -> str | bytes: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *exception: object) -> None:
        """Closes it: 1000, or 1011 after an exception."""

    def __getattr__(self, name: str) -> Any: ...
    def __setattr__(self, name: str, value: object) -> None: ...

def accept_websocket(
    upgrade: object,
    subprotocols: tuple[str, ...],
    origins: tuple[str, ...],
    same_origin: bool,
    fields: list[tuple[str, str]],
    max_message: int,
    max_queue: int,
    wait: bool,
    ping_interval: float,
    ping_timeout: float,
    close_timeout: float,
    compress: bool,
    server_window: int,
    client_window: int,
    server_keeps: bool,
    client_keeps: bool,
    on_open: Callable[[WebSocket], object] | None,
    on_message: Callable[[WebSocket, str | bytes], object] | None,
    on_close: Callable[[WebSocket, int, str], object] | None,
) -> WebSocket:
    """See prowingen_wsgi.websocket.accept."""

def broadcast(websockets: Iterable[WebSocket], data: str | ReadableBuffer, /) -> list[WebSocket]:
    """Sends one message to many. Those it was not sent to."""

_T = TypeVar("_T")

# Both streams are registered with io.BufferedIOBase, and have BinaryIO's methods: no `name`, which
# TextIOWrapper asks of its buffer in typing alone.

@final
class OpaqueUpgrade:
    """What another protocol is switched to by. Called with parameters and callback before an
    answer of status 101, it has callback(env) called after it."""

    def __call__(
        self,
        parameters: Mapping[str, object] | None,
        callback: Callable[[dict[str, Any]], object],
        /,
    ) -> None: ...
    @property
    def protocols(self) -> list[str]:
        """What the client offers (RFC 9110 section 7.8), the best first."""

    def stream(
        self, protocol: str | None = None, headers: Iterable[tuple[str, str]] = ()
    ) -> OpaqueStream:
        """Answers 101, and returns what follows.

        protocol: that the answer names; the client's first unless given.
        headers: further fields of the answer.

        A request that lives long: another thread takes the place of this one in the pool.
        ConnectionAbortedError: there is none, and the client is told so by a 503.
        ClientDisconnected: the client has gone. RuntimeError: the request was answered before;
        ValueError: its handler or application has returned.
        """

    def websocket(self, **options: Any) -> WebSocket:
        """prowingen_wsgi.websocket.accept() with these."""

    def hold(self) -> None:
        """The request lives long: another thread takes the place of its own in the pool.
        ConnectionAbortedError: there is none, and its client is told so."""

    def then(self, callback: Callable[[], object], /) -> None:
        """Called with nothing when the application has returned, and a WebSocket was accepted that
        is closed after it."""

@final
class OpaqueStream:
    """opaque.stream: a connection after its protocol was switched"""

    def __enter__(self) -> Self: ...
    def __exit__(self, *exception: object) -> None: ...
    def read(self, size: int | None = -1, /) -> bytes:
        """Reads size bytes, fewer only when the client has no more to say."""

    def read1(self, size: int | None = -1, /) -> bytes:
        """Reads what has come, size bytes at most; waits for some."""

    def readline(self, size: int | None = -1, /) -> bytes:
        """Reads a line, size bytes of it at most."""

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Reads what has come into a buffer; waits for some. The number of bytes."""

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        """Reads what has come, size bytes at most; waits for some. Empty: nothing more comes."""

    def recv_into(self, buffer: WriteableBuffer, nbytes: int = 0, flags: int = 0) -> int:
        """The same into a buffer."""

    def write(self, data: ReadableBuffer, /) -> int:
        """Sends all of it; waits while too much is on its way."""

    def send(self, data: ReadableBuffer, flags: int = 0, /) -> int:
        """The same."""

    def sendall(self, data: ReadableBuffer, flags: int = 0, /) -> None:
        """The same."""

    def shutdown(self, how: int, /) -> None:
        """Nothing more is read, written, or either: socket.SHUT_RD, SHUT_WR, SHUT_RDWR."""

    def close(self) -> None:
        """Ends it. What was written is still sent. Idempotent."""

    @property
    def closed(self) -> bool: ...
    def settimeout(self, seconds: float | None, /) -> None:
        """How long a call waits before it raises TimeoutError; None: for ever; 0: not at all."""

    def gettimeout(self) -> float | None: ...
    def setblocking(self, flag: bool, /) -> None: ...
    def readable(self) -> bool: ...
    def writable(self) -> bool: ...
    def seekable(self) -> bool: ...
    def isatty(self) -> bool: ...
    def flush(self) -> None: ...
    def fileno(self) -> NoReturn: ...
    def seek(self, *arguments: object) -> NoReturn: ...
    def tell(self) -> NoReturn: ...
    def truncate(self, *arguments: object) -> NoReturn: ...
    def detach(self) -> NoReturn: ...

@final
class CallCancelled:
    """opaque.call_cancelled: set once the stream is over"""

    def is_set(self) -> bool:
        """Whether nothing more can be read or sent."""

    def wait(self, timeout: float | None = None) -> bool:
        """Waits for that, so many seconds at most; is_set()."""

@final
class ClientDeparture:
    """prowingen.client_disconnected: set once the client has departed"""

    def is_set(self) -> bool:
        """Whether the client departed before it had its answer, or the server gave the request up.

        Never waits.
        """

    def wait(self, timeout: float | None = None) -> bool:
        """Waits for that, so many seconds at most, and no longer than until the answer is sent.

        Returns `is_set()`. Raises RuntimeError in a child process that the application forked.
        """

    def add_callback(self, function: Callable[[], object], /) -> None:
        """Has it called once, on a thread of the server's, when that happens; now if it has.

        What it raises goes to the error log. Raises TypeError for what cannot be called, and
        RuntimeError if the thread cannot be started, or in a child process.
        """

@final
class Input(BufferedIOBase, BinaryIO):
    """wsgi.input: the request body (PEP 3333)"""

    def __enter__(self) -> Self: ...
    def __exit__(self, *exception: object) -> None: ...
    def close(self) -> None:
        """Nothing more is read, whatever is left of the body. Idempotent."""

    @property
    def closed(self) -> bool:
        """Whether it is closed, or the request answered."""

    def readable(self) -> bool: ...
    def writable(self) -> bool: ...
    def seekable(self) -> bool: ...
    def isatty(self) -> bool: ...
    def flush(self) -> None: ...
    def fileno(self) -> NoReturn: ...
    def seek(self, *arguments: object) -> NoReturn: ...
    def tell(self) -> NoReturn: ...
    def truncate(self, *arguments: object) -> NoReturn: ...
    def detach(self) -> NoReturn: ...
    def write(self, data: ReadableBuffer, /) -> NoReturn: ...
    def writelines(self, lines: Iterable[ReadableBuffer], /) -> NoReturn: ...
    def read1(self, size: int | None = -1, /) -> bytes:
        """Reads what has come, size bytes at most; waits for some."""

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Fills a buffer, less only at the body's end; the number of bytes."""

    def readinto1(self, buffer: WriteableBuffer, /) -> int:
        """Reads what has come into a buffer; waits for some."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Reads size bytes, fewer only at the body's end."""

    def readline(self, size: int | None = -1, /) -> bytes:
        """Reads a line, size bytes of it at most."""

    def readlines(self, hint: int | None = -1, /) -> list[bytes]:
        """Reads lines until hint bytes."""

    def __iter__(self) -> Iterator[bytes]: ...
    def __next__(self) -> bytes: ...

@final
class RequestHeaders:
    """The header fields of a request; names in any case."""

    @overload
    def get(self, name: str, /) -> str | None: ...
    @overload
    def get(self, name: str, default: _T, /) -> str | _T: ...
    def get_all(self, name: str, /) -> list[str]:
        """The values of a name."""

    def items(self) -> list[tuple[str, str]]:
        """The fields in the order received."""

    def __getitem__(self, name: str, /) -> str: ...
    def __contains__(self, name: object, /) -> bool: ...
    def __iter__(self) -> Iterator[str]: ...
    def __len__(self) -> int: ...

@final
class Request:
    """A request, as a handler of create_server() is given it."""

    @property
    def method(self) -> str:
        """The method, as sent."""

    @property
    def path_and_query(self) -> str:
        """Path and query, still percent-encoded (RFC 9112 section 3.2)."""

    @property
    def http_version(self) -> str:
        """1.0, 1.1 or 2."""

    @property
    def headers(self) -> RequestHeaders:
        """The header fields."""

    @property
    def body(self) -> Input:
        """The body, a readable stream."""

    @property
    def scheme(self) -> str:
        """http or https."""

    @property
    def is_secure(self) -> bool:
        """Whether it came over TLS."""

    @property
    def upgrade(self) -> OpaqueUpgrade | None:
        """By which another protocol is switched to; None: it can not be."""

    @property
    def peer(self) -> tuple[str, int] | None:
        """The client's address and port; None over a Unix socket."""

    @property
    def local(self) -> tuple[str, int] | None:
        """This end's address and port."""

@final
class ResponseHeaders:
    """The header fields of a response, until its head is sent."""

    def add(self, name: str, value: str, /) -> None:
        """Adds a field line beside those of the same name."""

    @overload
    def get(self, name: str, /) -> str | None: ...
    @overload
    def get(self, name: str, default: _T, /) -> str | _T: ...
    def get_all(self, name: str, /) -> list[str]:
        """The values of a name."""

    def items(self) -> list[tuple[str, str]]:
        """The fields in the order set."""

    def __getitem__(self, name: str, /) -> str: ...
    def __setitem__(self, name: str, value: str, /) -> None: ...
    def __delitem__(self, name: str, /) -> None: ...
    def __contains__(self, name: object, /) -> bool: ...
    def __iter__(self) -> Iterator[str]: ...
    def __len__(self) -> int: ...

@final
class ResponseBody(BufferedIOBase, BinaryIO):
    """The body of a response, a writable stream."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        exception: BaseException | None = None,
        trace: TracebackType | None = None,
        /,
    ) -> None:
        """Closes it. After an exception it stays open for the handler to answer otherwise; a
        deferred response is then answered 500, or broken off if its head has been sent.
        """

    def readable(self) -> bool: ...
    def seekable(self) -> bool: ...
    def isatty(self) -> bool: ...
    def fileno(self) -> NoReturn: ...
    def seek(self, *arguments: object) -> NoReturn: ...
    def tell(self) -> NoReturn: ...
    def truncate(self, *arguments: object) -> NoReturn: ...
    def detach(self) -> NoReturn: ...
    def read(self, *arguments: object) -> NoReturn: ...
    def read1(self, *arguments: object) -> NoReturn: ...
    def readinto(self, *arguments: object) -> NoReturn: ...
    def readinto1(self, *arguments: object) -> NoReturn: ...
    def readline(self, *arguments: object) -> NoReturn: ...
    def readlines(self, *arguments: object) -> NoReturn: ...
    def writelines(self, lines: Iterable[ReadableBuffer], /) -> None:
        """Writes each of them, with nothing in between."""

    def write(self, data: ReadableBuffer, /) -> int:
        """Adds bytes, or a copy of what has a buffer; their number.

        Waits while the client reads slowly. Raises ClientDisconnected once it is gone.
        """

    def flush(self) -> None:
        """Sends what was written, head included."""

    def close(self) -> None:
        """Ends the body: the response ends with its handler, or now if it is deferred."""

    def writable(self) -> bool:
        """True."""

    @property
    def closed(self) -> bool:
        """Whether the body has ended."""

@final
class Response:
    """A response, as a handler of create_server() fills it in."""

    status_code: int
    reason: str
    @property
    def headers(self) -> ResponseHeaders:
        """The header fields."""

    @property
    def body(self) -> ResponseBody:
        """The body, a writable stream."""

    @property
    def is_open(self) -> bool:
        """Whether anybody still waits for the answer."""

    def defer(self) -> None:
        """Lets the handler return before the response has ended: any thread can
        then go on with it, and must close() it."""

    def close(self) -> None:
        """Ends the response. Done by itself when the handler returns. Idempotent."""
