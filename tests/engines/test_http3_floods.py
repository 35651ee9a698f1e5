"""What costs an HTTP/3 client nothing, and the server something: that client is left alone."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from harness.apps import Gate, Routes, hello
from harness.h3client import Fields, H3Client, frame, h3_client
from harness.h3serve import HTTP3_ONLY, on_connection, serve3
from harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from harness.apps import Environ, StartResponse
    from harness.logwatch import LogWatch
    from harness.site import ServeFixture

__all__ = ["serve3"]
pytestmark = HTTP3_ONLY

DATA, HEADERS, UNKNOWN = 0x0, 0x1, 0xBC
EXCESSIVE_LOAD = 0x107
REQUEST_REJECTED = 0x10B
MESSAGE_ERROR = 0x10E
MOST = 128
"""Streams side by side, as max_streams has it."""
MALFORMED: Fields = [(b":method", b"GET"), (b":scheme", b"https"), (b":unknown", b"x")]


def reset(client: H3Client) -> None:
    client.reset(client.request())


def reset_before_its_head_is_whole(client: H3Client) -> None:
    client.reset(client.open(frame(HEADERS, b"\0\0", announced=100)))


def malformed(client: H3Client) -> None:
    client.send_head(MALFORMED)


def unknown(client: H3Client) -> None:
    client.open(frame(UNKNOWN, b"x") * 100)


def unknown_on_the_control_stream(client: H3Client) -> None:
    client.send_raw(client.control_stream, frame(UNKNOWN) * 100)


def empty_content(client: H3Client) -> None:
    stream = client.request(method="POST", end=False)
    client.send_raw(stream, frame(DATA) * 200)


def strange_streams(client: H3Client) -> None:
    client.send_raw(client.open(b"\x40\x40", unidirectional=True), b"", end=True)


FLOODS = [
    reset,
    reset_before_its_head_is_whole,
    malformed,
    unknown,
    unknown_on_the_control_stream,
    empty_content,
    strange_streams,
]


async def told_to_go(client: H3Client, flood: Callable[[H3Client], None], times: int) -> int:
    for number in range(times):
        if client.terminated.done():
            break
        flood(client)
        if number % 20 == 0:
            await asyncio.sleep(0)
            await client.ping()
    return await asyncio.wait_for(client.terminated, 10)


@pytest.mark.parametrize("flood", FLOODS, ids=lambda flood: flood.__name__)
def test_a_flood_ends_its_connection_alone(
    serve3: ServeFixture, error_log: LogWatch, flood: Callable[[H3Client], None]
) -> None:
    site = serve3(hello)

    async def use(other: H3Client) -> Any:
        assert (await other.ask()).body == b"hello"
        with suppress(ConnectionError):
            async with h3_client(site) as client:
                assert await told_to_go(client, flood, 3000) == EXCESSIVE_LOAD
        return await other.ask()

    assert on_connection(site, use).body == b"hello"
    error_log.wait_for("does not keep to HTTP/3", "too many")


def test_streams_that_were_reset_count_until_their_workers_are_done(serve3: ServeFixture) -> None:
    """Else a client could have the workers do any number of them (CVE-2023-44487)."""
    gate = Gate()

    def slow(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        gate.pass_through()
        return hello(environ, start_response)

    async def use(client: H3Client) -> None:
        streams = [client.request("/slow") for _ in range(MOST)]
        await asyncio.to_thread(gate.wait_entered)
        await client.ping()
        for each in streams:
            client.reset(each)
        await client.ping()
        assert (await client.ask("/hello")).reset == REQUEST_REJECTED
        upload = client.request("/hello", method="POST", end=False)
        await client.ping()
        assert (await client.answer(upload)).stopped == REQUEST_REJECTED
        gate.opened.set()
        while (await client.ask("/hello")).reset is not None:
            await asyncio.sleep(0.01)

    on_connection(serve3(Routes(slow=slow, hello=hello), threads=1), use)


@pytest.mark.parametrize("size", [70_000, 1 << 40])
def test_a_head_that_is_announced_too_large_is_not_waited_for(
    serve3: ServeFixture, size: int
) -> None:
    async def use(client: H3Client) -> Any:
        refused = [
            await client.begun(client.open(frame(HEADERS, b"\0\0", announced=size)))
            for _ in range(2)
        ]
        return [answer.status for answer in (*refused, await client.ask())]

    assert on_connection(serve3(hello), use) == [431, 431, 200]


def test_a_trailer_section_that_is_announced_too_large_ends_its_stream(
    serve3: ServeFixture,
) -> None:
    async def use(client: H3Client) -> Any:
        stream = client.request(method="POST", end=False)
        client.send_raw(stream, frame(HEADERS, b"\0\0", announced=1 << 20))
        return (await client.answer(stream)).reset, (await client.ask()).status

    assert on_connection(serve3(hello), use) == (EXCESSIVE_LOAD, 200)


def long_on_a_request_stream(client: H3Client) -> None:
    client.open(frame(UNKNOWN, b"x", announced=1 << 20))


def long_on_the_control_stream(client: H3Client) -> None:
    client.send_raw(client.control_stream, frame(UNKNOWN, b"x", announced=1 << 20))


@pytest.mark.parametrize("send", [long_on_a_request_stream, long_on_the_control_stream])
def test_other_frames_that_are_long_end_their_connection(
    serve3: ServeFixture, send: Callable[[H3Client], None]
) -> None:
    async def use(client: H3Client) -> Any:
        send(client)
        return await asyncio.wait_for(client.terminated, 10)

    assert on_connection(serve3(hello), use) == EXCESSIVE_LOAD


def test_requests_may_not_wait_for_what_compression_needs(serve3: ServeFixture) -> None:
    async def use(client: H3Client) -> Any:
        await client.ask()
        return client._http._received_settings

    settings = on_connection(serve3(hello), use)
    assert settings[0x7] == 0  # SETTINGS_QPACK_BLOCKED_STREAMS
    assert settings[0x6] == 65536  # SETTINGS_MAX_FIELD_SECTION_SIZE


def test_a_head_that_does_not_end_is_answered_in_time(serve3: ServeFixture) -> None:
    site = serve3(hello, header_timeout=0.2, keep_alive_timeout=0.2)

    async def use(client: H3Client) -> Any:
        answer = await client.begun(client.open(frame(HEADERS, b"\0\0", announced=100)))
        return answer.status, await asyncio.wait_for(client.terminated, 10)

    assert on_connection(site, use)[0] == 408


def test_a_malformed_request_is_told_so_and_counted(serve3: ServeFixture) -> None:
    lines: list[str] = []
    site = serve3(hello, access_log=lines.append, access_log_format="%H %s %b")

    async def use(client: H3Client) -> Any:
        return (await client.answer(client.send_head(MALFORMED))).reset

    assert on_connection(site, use) == MESSAGE_ERROR
    assert site.server.stats()["requests_refused"] == 1
    assert eventually(lambda: [line.strip() for line in lines] == ["HTTP/3.0 400 -"])


def test_heads_without_an_end_are_part_of_the_memory_budget(serve3: ServeFixture) -> None:
    site = serve3(hello, memory_budget=2 << 20)

    def stat(name: str) -> int:
        return int(site.server.stats()[name])

    async def use(other: H3Client) -> Any:
        async with h3_client(site) as client:
            for _ in range(MOST):
                client.open(frame(HEADERS, bytes(50_000), announced=60_000))
            code = await asyncio.wait_for(client.terminated, 20)
        return code, (await other.ask()).status

    assert on_connection(site, use) == (EXCESSIVE_LOAD, 200)
    assert stat("memory_cut") > 0
    assert eventually(lambda: stat("memory_used") == 0)
