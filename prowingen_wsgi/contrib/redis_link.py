"""A process's link to Redis: one connection that listens and one that publishes, a thread for each.

Nobody who broadcasts waits for Redis. What goes out is queued for the thread that publishes, which
sends all that waits in one go; what comes in is delivered by the thread that listens.

    STARTING ---heard--> UP ---lost--> DOWN ---heard--> UP         any --close--> CLOSED
        +---------------------lost------^

    STARTING   messages are queued: it may well be there
    UP         the process has heard itself, by both connections
    DOWN       messages for others are dropped, which has been logged once. The connection that
               listens is tried again and again, ever more seldom; the other follows it
    CLOSED     both threads end

The process hears itself on a channel of its own, `<prefix>:process:<id>`. Whatever comes there also
wakes the thread that listens, so that rooms which got members meanwhile are subscribed: nothing but
that thread uses its connection.

A message is sent once and never again, for it may have arrived although no answer came.
"""

from __future__ import annotations

import itertools
import random
import uuid
from contextlib import closing, suppress
from enum import Enum
from math import inf
from typing import TYPE_CHECKING, Any

from ..logs import error_log
from ..originals import Empty, SimpleQueue, time
from ..threads import Latch, Lock, Thread
from .redis_wire import checked, decode, encode, redis

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .redis_rooms import RedisRoom

# In seconds: of silence, until Redis is asked whether it is there; between attempts to reach it.
_PING_AFTER = 5.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0
_BATCH = 256
_ERRORS = (redis.RedisError, OSError)


class _State(Enum):
    STARTING = 1
    UP = 2
    DOWN = 3
    CLOSED = 4


_Item = tuple[bytes, bytes]
"""A channel and a payload."""

_GREETING = b""
"""To the process's own channel: the number of the conversation, as it is when it is sent."""


class Link:
    """Of the process that made it. Any thread may call any method."""

    def __init__(self, connect: Callable[[], redis.Redis], prefix: str, max_queue: int) -> None:
        self._connect = connect
        self._rooms_prefix = f"{prefix}:room:".encode()
        self._id = uuid.uuid4().bytes
        self._own = f"{prefix}:process:{self._id.hex()}".encode()
        self._max_queue = max_queue
        self._queue: SimpleQueue[_Item | None] = SimpleQueue()
        self._closing = Latch()
        self._numbers = itertools.count(1)
        self._threads = [
            Thread("rooms: from Redis", self._listen),
            Thread("rooms: to Redis", self._publish_all),
        ]
        self._listens: Any = None  # the connections, for a child to close
        self._publishes: Any = None
        self._refusal = ""  # the last that was logged
        self._lock = Lock()  # of all that follows
        self._state = _State.STARTING
        self._queued = 0  # octets
        self._full = False
        self._conversation = 0  # the number of the connection that listens; none: it is lost
        self._wanted: dict[bytes, RedisRoom] = {}  # by channel: those with members
        self._changed: set[RedisRoom] = set()  # whose members came or went
        self._confirmed: set[bytes] = set()
        self._waiting: list[Latch] = []

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    # ---- from the rooms

    def joined(self, room: RedisRoom) -> None:
        """It has a member."""
        with self._lock:
            if self._channel(room.name) in self._wanted:
                return  # were it found empty by now, it would be there no more
            self._changed.add(room)
        self._greet()

    def left(self, room: RedisRoom) -> None:
        """It may have no more members. That can wait until the listening thread wakes."""
        with self._lock:
            if self._channel(room.name) in self._wanted:
                self._changed.add(room)

    def publish(self, name: str, data: str | bytes) -> None:
        payload = encode(self._id, data)
        with self._lock:
            if self._state in (_State.DOWN, _State.CLOSED):
                return
            full = self._queued + len(payload) > self._max_queue
            told, self._full = self._full, full
            if not full:
                self._queued += len(payload)
                self._queue.put((self._channel(name), payload))
        if full and not told:
            error_log.error(
                "rooms: more than %d octets wait for Redis: messages are lost to other processes",
                self._max_queue,
            )

    def wait_until_ready(self, timeout: float) -> None:
        ready = Latch()
        with self._lock:
            self._waiting.append(ready)
        self._greet()
        if not ready.wait(timeout):
            with self._lock, suppress(ValueError):  # it was just answered
                self._waiting.remove(ready)
            raise TimeoutError("Redis has not confirmed that this process listens")

    def close(self, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        self._queue.put(None)
        self._threads[1].join(timeout)
        with self._lock:
            self._state = _State.CLOSED
        self._closing.open()
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def abandon(self) -> None:
        """In a child: closes its copies of the connections, which would keep Redis sending."""
        connections = [self._listens]
        with suppress(Exception):  # of a pool, which only lets go of them in a child
            pool = self._publishes.connection_pool
            connections += (*pool._available_connections, *pool._in_use_connections)
        for connection in connections:
            with suppress(Exception):
                connection.disconnect()

    # ---- the thread that publishes

    def _publish_all(self) -> None:
        client: redis.Redis | None = None
        pause = _Pause(self._closing)
        ends = False
        while not ends:
            batch, ends = self._take_batch()
            try:
                client = self._publishes = client or checked(self._connect())
                self._publish_batch(client, batch)
                pause.reset()
            except Exception as error:  # noqa: BLE001  # also of what makes a client
                self._lost(error)
                ends = self._drop_queued() or ends
                # Else it is greeted when it is connected again.
                if self._conversation and not ends:
                    pause.wait()
                    self._greet()
        self._closing.open()
        if client is not None:
            with suppress(*_ERRORS), closing(client):
                client.publish(self._own, _GREETING)  # wakes the other thread

    def _publish_batch(self, client: redis.Redis, batch: list[_Item]) -> None:
        if not batch:
            return
        pipeline = client.pipeline(transaction=False)
        for channel, payload in batch:
            pipeline.publish(channel, payload or b"%d" % self._conversation)
        # What it would raise had the message in its text.
        for answer in pipeline.execute(raise_on_error=False):
            if isinstance(answer, redis.RedisError):
                self._refused(str(answer))

    def _take_batch(self) -> tuple[list[_Item], bool]:
        """What waits, once something does; whether it is the end."""
        first = self._queue.get()
        if first is None:
            return [], True
        return self._take_more([first], _BATCH)

    def _drop_queued(self) -> bool:
        """Whether the end was among it."""
        return self._take_more([])[1]

    def _take_more(self, batch: list[_Item], limit: float = inf) -> tuple[list[_Item], bool]:
        ends = False
        with suppress(Empty):
            while len(batch) < limit and not ends:
                item = self._queue.get_nowait()
                if item is None:
                    ends = True
                else:
                    batch.append(item)
        with self._lock:
            self._queued -= sum(len(payload) for _, payload in batch)
        return batch, ends

    # ---- the thread that listens

    def _listen(self) -> None:
        pause = _Pause(self._closing)
        while not self._closing.wait(0):
            try:
                with closing(checked(self._connect())) as client:
                    self._converse(client, pause)
            except Exception as error:  # noqa: BLE001, PERF203  # also of what makes a client
                self._conversation = 0
                self._lost(error)
                pause.wait()

    def _converse(self, client: redis.Redis, pause: _Pause) -> None:
        pubsub: Any = client.pubsub()  # type: ignore[no-untyped-call]
        with closing(pubsub):
            pubsub.subscribe(self._own)
            self._listens = pubsub.connection
            number = next(self._numbers)
            with self._lock:
                self._changed.update(self._wanted.values())
                self._wanted.clear()
                self._confirmed.clear()
                self._conversation = number
            heard = time.monotonic()
            while not self._closing.wait(0):
                self._subscribe(pubsub)
                message = pubsub.get_message(timeout=_PING_AFTER)
                now = time.monotonic()
                if message is not None:
                    heard = now
                    self._take(message, pause)
                elif now - heard >= 2 * _PING_AFTER:
                    raise redis.TimeoutError("it does not answer")
                elif now - heard >= _PING_AFTER:
                    pubsub.ping()

    def _subscribe(self, pubsub: Any) -> None:
        """To the rooms that have got members, and no more to those that have none left."""
        new, old = [], []
        with self._lock:
            for room in self._changed:
                channel = self._channel(room.name)
                if len(room) and channel not in self._wanted:
                    self._wanted[channel] = room
                    new.append(channel)
                elif not len(room) and self._wanted.pop(channel, None) is not None:
                    self._confirmed.discard(channel)
                    old.append(channel)
            self._changed.clear()
        if new:
            pubsub.subscribe(*new)
        if old:
            pubsub.unsubscribe(*old)

    def _take(self, message: Mapping[str, Any], pause: _Pause) -> None:
        kind, channel, data = message["type"], message["channel"], message["data"]
        if kind == "subscribe":
            with self._lock:
                self._confirmed.add(channel)
            self._greet()
        elif kind == "message" and channel != self._own:
            self._deliver(channel, data)
        elif kind == "message" and data == b"%d" % self._conversation:
            pause.reset()
            self._heard()

    def _deliver(self, channel: bytes, payload: bytes) -> None:
        room = self._wanted.get(channel)
        if room is None:
            return
        try:
            sender, data = decode(payload)
            if sender != self._id:
                room.deliver(data)
        except Exception:  # noqa: BLE001  # whatever somebody else has published
            error_log.exception("rooms: a message of %r was not delivered", channel)

    # ---- either of them

    def _greet(self) -> None:
        self._queue.put((self._own, _GREETING))

    def _heard(self) -> None:
        """By itself."""
        with self._lock:
            is_back = self._state is _State.DOWN
            if self._state is not _State.CLOSED:
                self._state = _State.UP
            new = (self._channel(room.name) for room in self._changed if len(room))
            if all(channel in self._confirmed for channel in (*self._wanted, *new)):
                for ready in self._waiting:
                    ready.open()
                self._waiting.clear()
        if is_back:
            error_log.warning("rooms: Redis is back")

    def _refused(self, why: str) -> None:
        """For want of rights, say."""
        if why != self._refusal:
            self._refusal = why
            error_log.error("rooms: Redis has refused a message: %s", why)

    def _lost(self, error: Exception) -> None:
        with self._lock:
            is_new = self._state in (_State.STARTING, _State.UP)
            if is_new:
                self._state = _State.DOWN
        if is_new:
            error_log.error(
                "rooms: Redis is lost: messages reach this process's members alone until it is "
                "back: %s",
                error,
                exc_info=None if isinstance(error, _ERRORS) else error,
            )

    def _channel(self, name: str) -> bytes:
        return self._rooms_prefix + name.encode()


class _Pause:
    """Between attempts: ever longer, and not the same for all processes."""

    def __init__(self, over: Latch) -> None:
        self._over = over
        self.reset()

    def reset(self) -> None:
        self._seconds = _FIRST_PAUSE

    def wait(self) -> None:
        self._over.wait(self._seconds * random.uniform(0.5, 1.5))
        self._seconds = min(2 * self._seconds, _LONGEST_PAUSE)
