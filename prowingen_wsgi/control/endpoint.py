r"""Conversations on a control socket, in the turns of a loop that has other things to do.

    ControlSocket, Door --accept()--> Endpoint --begin()--> Host

    accepted --> reading --a request--> answering --its result--> writing --all sent--> gone
        |           |                       |                        |
        '-----------'-----------------------'------- too late, too much, hung up ------> gone

Nothing here waits: a peer that is silent, slow or sends too much costs a place among few, and for
a bounded time. When all places are taken, a newcomer gets that of whoever has been reading for
longest: so peers that say nothing cannot keep one out that has something to ask.
"""

from __future__ import annotations

from contextlib import suppress
from enum import Enum
from typing import TYPE_CHECKING, Protocol

from ..forks import keep_from_children, leave_to_children
from ..logs import error_log
from ..originals import selectors, socket, time
from .protocol import (
    LONGEST_WAIT,
    MOST_REQUEST,
    NotDone,
    event_line,
    parse_request,
    refusal_line,
    result_line,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from .protocol import Answer, Request

MOST_OUTPUT = 16 * 1024 * 1024
"""Octets of an answer that its peer has not read yet."""
READING_TIME = 5.0
"""Seconds within which a request has to be there, whole."""
WRITING_TIME = 10.0
"""Seconds for which a peer may read nothing of its answer."""

# Peers that are taken in one turn, so that a flood of them leaves time for all else.
_ACCEPTS_A_TURN = 8
# In seconds: after what time it is tried again when no connection can be taken.
_SHORTAGE = 1.0
_WARNING_INTERVAL = 60.0
_PEEK: int = socket.MSG_PEEK
# How often an answer that waits for its outcome is asked, in seconds.
_LOOK = 0.1


class Host(Protocol):
    """Who does what is asked."""

    def begin(self, request: Request) -> Answer:
        """Begins a command."""


class Source(Protocol):
    """Where conversations come from.

    most: so many of them at a time.
    ends_with_peer: a peer that has closed its side does not wait for an answer any more.
    """

    most: int
    ends_with_peer: bool

    def fileno(self) -> int:
        """Readable when somebody has come."""

    def accept(self) -> socket.socket:
        """The next connection, nonblocking. Raises BlockingIOError without one, and OSError."""

    def stranger(self, connection: socket.socket) -> int | None:
        """The user at the other end, if it may not ask."""

    def refusal(self, request: Request) -> NotDone | None:
        """Why this is not to be asked for by this way; None: it is."""

    def forget(self) -> None:
        """In a child that the server forks: it is its parent's."""

    def close(self) -> None:
        """Nobody comes by it any more. Does nothing in a child."""


class State(Enum):
    reading = "reading"
    answering = "answering"
    writing = "writing"
    gone = "gone"


class _Conversation:
    """One connection. `deadline`: of its state, by the monotonic clock."""

    def __init__(self, source: Source, connection: socket.socket, deadline: float) -> None:
        self.source = source
        self.connection = connection
        self.deadline = deadline
        self.state = State.reading
        self.heard = b""
        self.output = bytearray()
        self.answer: Answer | None = None
        self.waits_for = 0  # events that the selector looks for; 0: it is not registered


class Endpoint:
    """Takes connections from its sources and answers them, by the turns of `selector`'s loop.

    The data of what it registers there is called, without arguments, when it is ready; `turn` is
    to be called after each wait. With `next_turn` the loop knows for how long it may wait.
    """

    def __init__(self, selector: selectors.BaseSelector, host: Host) -> None:
        self._selector = selector
        self._host = host
        self._sources: list[Source] = []
        self._conversations: list[_Conversation] = []
        self._warns_at = 0.0  # when a stranger is next told of
        self._resumes_at: dict[Source, float] = {}  # when it is listened to, after a shortage

    def add(self, source: Source) -> None:
        """Takes who comes by it, too."""
        self._sources.append(source)
        self._listen(source)

    def _listen(self, source: Source) -> None:
        self._selector.register(source, selectors.EVENT_READ, lambda: self._accept(source))

    def next_turn(self) -> float | None:
        """Seconds after which `turn` has something to do without any event; None: it has not."""
        now = time.monotonic()
        if any(each.state is State.answering for each in self._conversations):
            return _LOOK
        times = [*self._resumes_at.values(), *(each.deadline for each in self._conversations)]
        return max(min(times) - now, 0.0) if times else None

    def turn(self) -> None:
        """Goes on with what waits for its outcome, and ends what is too late."""
        now = time.monotonic()
        for source in [source for source, at in self._resumes_at.items() if now >= at]:
            del self._resumes_at[source]
            self._listen(source)
        for each in list(self._conversations):
            if each.state is State.answering and _is_left(each):
                self._drop(each)
            elif each.state is State.answering:
                self._go_on(each)
            if each.state is State.gone or now < each.deadline:
                continue
            if each.state is State.reading:
                late = NotDone(f"no request within {READING_TIME:g} seconds", code="request")
                self._say_last(each, refusal_line(late))
            else:
                self._drop(each)

    def forget(self) -> None:
        """In a child that the server forks: all of this is its parent's."""
        self._hang_up()
        for source in self._sources:
            source.forget()

    def end(self) -> None:
        """Closes the sources, then hangs up: who waits for the server's end has it now. Whatever
        the loop's selector is by now, nothing is said to it. Does nothing in a child."""
        for source in self._sources:
            source.close()
        self._hang_up()

    def _hang_up(self) -> None:
        for each in self._conversations:
            each.state = State.gone
            leave_to_children(each.connection.fileno())
            each.connection.close()
        self._conversations.clear()

    # ---- who comes

    def _accept(self, source: Source) -> None:
        for _ in range(_ACCEPTS_A_TURN):
            try:
                connection = source.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:
                error_log.warning("the control socket takes nobody for a while: %s", error.strerror)
                self._selector.unregister(source)
                self._resumes_at[source] = time.monotonic() + _SHORTAGE
                return
            self._take(source, connection)

    def _take(self, source: Source, connection: socket.socket) -> None:
        keep_from_children(connection.fileno(), connection.close)
        fresh = _Conversation(source, connection, time.monotonic() + READING_TIME)
        stranger = source.stranger(connection)
        if stranger is not None:
            self._warn_of(stranger)
            self._conversations.append(fresh)
            _pass_over(connection)
            denied = f"user {stranger} may not control this server: its own and root may"
            return self._say_last(fresh, refusal_line(NotDone(denied, code="denied")))
        others = [each for each in self._conversations if each.source is source]
        if len(others) >= source.most:
            silent = [each for each in others if each.state is State.reading]
            if not silent:
                self._conversations.append(fresh)
                _pass_over(connection)
                busy = NotDone("too many ask at once: try again", code="busy")
                return self._say_last(fresh, refusal_line(busy))
            self._drop(silent[0])
        self._conversations.append(fresh)
        return self._read(fresh)

    def _warn_of(self, stranger: int) -> None:
        """Once a minute: who is refused can come again and again."""
        now = time.monotonic()
        if now >= self._warns_at:
            self._warns_at = now + _WARNING_INTERVAL
            error_log.warning("the control socket is not for user %d, who was refused", stranger)

    # ---- one of them

    def _read(self, each: _Conversation) -> None:
        try:
            data = each.connection.recv(MOST_REQUEST - len(each.heard))
        except BlockingIOError:
            return self._wait(each, selectors.EVENT_READ, lambda: self._read(each))
        except OSError:
            return self._drop(each)
        if not data:
            return self._drop(each)
        each.heard += data
        line, newline, _ = each.heard.partition(b"\n")
        try:
            if not newline:
                if len(each.heard) >= MOST_REQUEST:
                    raise NotDone(f"a request has {MOST_REQUEST} octets at most", code="request")
                return self._wait(each, selectors.EVENT_READ, lambda: self._read(each))
            request = parse_request(line)
            if (no := each.source.refusal(request)) is not None:
                raise no
        except NotDone as refusal:
            return self._say_last(each, refusal_line(refusal))
        self._wait(each, 0)
        each.state = State.answering
        each.deadline = time.monotonic() + LONGEST_WAIT + WRITING_TIME
        each.answer = self._host.begin(request)
        return self._go_on(each)

    def _go_on(self, each: _Conversation) -> None:
        """Takes what the answer has come to."""
        assert each.answer is not None
        try:
            while (event := next(each.answer)) is not None:
                each.output += event_line(event)
        except StopIteration as end:
            return self._say_last(each, result_line(end.value))
        except NotDone as refusal:
            return self._say_last(each, refusal_line(refusal))
        except Exception:  # noqa: BLE001  # the server goes on, whatever a command has met
            error_log.exception("a command of the control socket's failed")
            failure = NotDone("an error of the server's own, which its log has", code="failed")
            return self._say_last(each, refusal_line(failure))
        if each.output:
            self._write(each)
        return None

    def _say_last(self, each: _Conversation, line: bytes) -> None:
        each.output += line
        each.state = State.writing
        each.deadline = time.monotonic() + WRITING_TIME
        each.answer = None
        self._write(each)

    def _write(self, each: _Conversation) -> None:
        if len(each.output) > MOST_OUTPUT:
            return self._drop(each)
        try:
            sent = each.connection.send(each.output)
        except BlockingIOError:
            sent = 0
        except OSError:  # it has hung up
            return self._drop(each)
        del each.output[:sent]
        if sent and each.state is State.writing:
            each.deadline = time.monotonic() + WRITING_TIME
        if each.output:
            return self._wait(each, selectors.EVENT_WRITE, lambda: self._write(each))
        if each.state is State.writing:
            return self._drop(each)
        return self._wait(each, 0)

    def _wait(
        self, each: _Conversation, events: int, then: Callable[[], None] | None = None
    ) -> None:
        if events == each.waits_for:
            return
        if each.waits_for:
            self._selector.unregister(each.connection)
        if events:
            self._selector.register(each.connection, events, then)
        each.waits_for = events

    def _drop(self, each: _Conversation) -> None:
        if each.state is State.gone:
            return
        self._wait(each, 0)
        each.state = State.gone
        if each.answer is not None:
            each.answer.close()
        self._conversations.remove(each)
        leave_to_children(each.connection.fileno())
        each.connection.close()


def _pass_over(connection: socket.socket) -> None:
    """What has been said, so that the end of the connection is no error to who has said it."""
    with suppress(OSError):
        connection.recv(MOST_REQUEST)


def _is_left(each: _Conversation) -> bool:
    """Nobody is there any more who would read its answer."""
    if not each.source.ends_with_peer:
        return False
    try:
        return not each.connection.recv(1, _PEEK)
    except BlockingIOError:
        return False
    except OSError:
        return True
