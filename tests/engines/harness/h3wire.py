"""The suite's client on HTTP/3: what tests write of HTTP/1 is a request on a stream of its own, as
framed.py has it on HTTP/2.

aioquic wants a loop and tests block, so a connection has a loop on a thread of its own. A wire is
one stream after another; `beside()` gives another wire on the same connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING, Any, TypeVar

import h11

from harness.framed import Requests, head_of, stays_open
from harness.h3client import frame, h3_client
from harness.wire import TIMEOUT, Ended, Reply, Wire

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from harness.h3client import Answer, Served

Result = TypeVar("Result")
TAKEN_AHEAD = 1 << 20


class Connection:
    """One of QUIC, for who blocks."""

    def __init__(self, site: Served, window: int) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="h3wire")
        self._thread.start()
        self._context = h3_client(site, window=window)
        try:
            self.client = self.run(self._context.__aenter__())
        except BaseException:
            self._end()
            raise

    def run(self, doing: Awaitable[Result], timeout: float = TIMEOUT) -> Result:
        """Waits for it for so long, on the loop's side: nothing goes on there afterwards."""

        async def limited() -> Result:
            try:
                return await asyncio.wait_for(doing, timeout)
            except asyncio.TimeoutError as error:  # which is another one in Python 3.10
                raise TimeoutError from error
            except asyncio.CancelledError as error:
                raise ConnectionResetError("it was closed meanwhile") from error

        return asyncio.run_coroutine_threadsafe(limited(), self._loop).result()

    def call(self, function: Callable[..., Result], *arguments: Any, **how: Any) -> Result:
        async def called() -> Result:
            return function(*arguments, **how)

        return self.run(called())

    def close(self) -> None:
        if not self._loop.is_closed():
            self.call(self.client.leave)
            self.run(self._context.__aexit__(None, None, None))
            self._end()

    def _end(self) -> None:
        async def cancel_others() -> None:
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for other in others:
                other.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(cancel_others(), self._loop).result(TIMEOUT)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class StreamEvents:
    def __init__(self, wire: H3Wire, stream: int) -> None:
        self._wire = wire
        self._stream = stream
        self._heads = 0

    def next(self) -> object:
        answer = self._wire.begun(self._stream)
        if self._heads < len(answer.heads):
            head = answer.heads[self._heads]
            self._heads += 1
            fields = [(name.encode(), value.encode()) for name, value in head.items()][1:]
            status = int(head[":status"])
            if status < 200:
                return h11.InformationalResponse(status_code=status, headers=fields)
            return h11.Response(status_code=status, headers=fields, http_version=b"3")
        try:
            data = self._wire.take_of(self._stream)
        except ConnectionResetError as error:
            raise Ended from error
        return h11.Data(data=data) if data else h11.EndOfMessage()

    def done(self) -> None:
        pass


class H3Wire(Wire):
    pipelines = False

    def __init__(
        self, site: Served, *, receive_buffer: int = 0, connection: Connection | None = None
    ) -> None:
        """`receive_buffer`: it takes no more before something is read."""
        self._owned = connection is None
        self._connection = connection or Connection(site, receive_buffer or 1 << 24)
        self._site = site
        self._client = self._connection.client
        self._shut = bool(receive_buffer)
        if self._shut:
            self._connection.call(self._client.keep_window_shut)
        self._requests = Requests()
        self._asked: list[int] = []
        self._switched: int | None = None
        self._ahead = b""

    def beside(self) -> H3Wire:
        return H3Wire(self._site, connection=self._connection)

    @property
    def stream(self) -> int:
        """Of the request that came last."""
        return self._asked[-1]

    def send(self, data: bytes) -> None:
        if self._switched is not None:
            return self._connection.run(self._send_content(self._switched, data))
        for event in self._requests.feed(data):
            if isinstance(event, h11.Request):
                ends = not stays_open(event)
                head = head_of(event, b"https")
                self._asked.append(self._connection.call(self._client.send_head, head, end=ends))
        return None

    def send_pieces(self, data: bytes, of: int) -> None:
        """All in one go, and in frames of so many bytes."""
        frames = [frame(0, data[at : at + of]) for at in range(0, len(data), of)]
        self._connection.call(self._client.send_raw, self._asked[-1], b"".join(frames))

    async def _send_content(self, stream: int, data: bytes) -> None:
        """As a socket does, which takes some ahead."""
        self._client.send(stream, data)
        while self._client.unsent(stream) > TAKEN_AHEAD:
            await self._client.moved()

    def send_until_blocked(self, data: bytes, patience: float = 1.0) -> int:
        async def room() -> int:
            while not (left := self._client.room(stream)):
                await self._client.moved()
            return left

        sent, stream = 0, self._asked[-1]
        with contextlib.suppress(TimeoutError):
            while sent < len(data):
                piece = data[sent : sent + self._connection.run(room(), patience)]
                self.send(piece)
                sent += len(piece)
        return sent

    def begun(self, stream: int) -> Answer:
        answer = self._connection.run(self._client.begun(stream))
        if not answer.heads:
            raise Ended(answer)
        return answer

    def reply(self, method: str = "GET") -> Reply:
        return Reply(StreamEvents(self, self._asked[-1]))

    def switch(self) -> tuple[int, dict[str, str]]:
        """Reads the head of an answer; its status, 200 where it is switched, and fields."""
        answer = self.begun(self._asked[-1])
        if answer.status == 200:
            self._switched = self._asked[-1]
        return answer.status, {k: v for k, v in answer.heads[-1].items() if k != ":status"}

    def take(self) -> bytes:
        if self._ahead:
            ahead, self._ahead = self._ahead, b""
            return ahead
        assert self._switched is not None
        return self.take_of(self._switched)

    def take_of(self, stream: int) -> bytes:
        if self._shut:
            self._shut = False
            self._connection.call(self._client.open_window)
        return self._connection.run(self._client.take(stream))

    def is_silent(self, seconds: float) -> bool:
        try:
            self._ahead += self._connection.run(self._client.take(self._asked[-1]), seconds)
        except TimeoutError:
            return True
        return False

    def finish_sending(self) -> None:
        self._connection.call(self._client.send, self._asked[-1], b"", end=True)

    def reset(self, how: str = "both") -> None:
        """Takes back what it asked and stays, as a browser does whose user goes elsewhere."""
        self._connection.call(self._client.reset, self._asked[-1], how=how)

    def asked_to_stop(self) -> int:
        """Waits until it is; the error code."""

        async def stopped() -> int:
            while (code := self._client.stopped(stream)) is None:
                await self._client.moved()
            return code

        stream = self._asked[-1]
        return self._connection.run(stopped())

    def close(self) -> None:
        if self._owned:
            self._connection.close()
