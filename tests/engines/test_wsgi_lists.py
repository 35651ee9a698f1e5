"""Lists that an app returned and another thread changes while they are sent.

The length that the client was told is the one that the list had at first. A list is far larger
here than the buffers between app and client, so its worker waits in its middle until the test
reads on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from harness.apps import Routes, answering, hello
from harness.wire import Truncated

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.logwatch import LogWatch
    from harness.site import ServeFixture

PIECE = b"x" * 65536
COUNT = 300  # 20 MB
BUFFER = 65536  # of the client


def longer(body: list[bytes]) -> None:
    body.extend([b"surplus"] * 10)


def larger_item(body: list[bytes]) -> None:
    body[-1] = PIECE + b"surplus"


def shorter(body: list[bytes]) -> None:
    del body[-1:]


def cleared(body: list[bytes]) -> None:
    body.clear()


def smaller_item(body: list[bytes]) -> None:
    body[-1] = b"x"


def other_type(body: list[Any]) -> None:
    body[-1] = "text"


@pytest.mark.slow
@pytest.mark.parametrize("declared", [True, False], ids=["declared", "computed"])
@pytest.mark.parametrize("change", [longer, larger_item])
def test_list_that_grows_is_cut_at_the_length_it_had(
    serve: ServeFixture,
    error_log: LogWatch,
    change: Callable[[list[Any]], None],
    declared: bool,
) -> None:
    body = [PIECE] * COUNT
    lengths = [("Content-Length", str(len(PIECE) * COUNT))] if declared else []
    site = serve(Routes(body=answering(body, headers=lengths), hello=hello))
    with site.connect(receive_buffer=BUFFER) as wire:
        wire.get("/body")
        reply = wire.reply()
        assert reply.head().get("Content-Length") == str(len(PIECE) * COUNT)
        change(body)
        assert reply.rest().body == PIECE * COUNT
        error_log.wait_for("ERROR", "GET /body", "longer than its Content-Length")
        assert wire.ask("/hello").body == b"hello", "surplus bytes leaked out"


@pytest.mark.slow
@pytest.mark.parametrize("declared", [True, False], ids=["declared", "computed"])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (shorter, "shorter than its Content-Length"),
        (cleared, "shorter than its Content-Length"),
        (smaller_item, "shorter than its Content-Length"),
        (other_type, "GET /body"),
    ],
)
def test_list_that_shrinks_ends_the_connection(
    serve: ServeFixture,
    error_log: LogWatch,
    change: Callable[[list[Any]], None],
    words: str,
    declared: bool,
) -> None:
    body = [PIECE] * COUNT
    lengths = [("Content-Length", str(len(PIECE) * COUNT))] if declared else []
    site = serve(Routes(body=answering(body, headers=lengths), hello=hello))
    with site.connect(receive_buffer=BUFFER) as wire:
        wire.get("/body")
        wire.get("/hello")
        reply = wire.reply()
        assert reply.head().status == 200
        change(body)
        with pytest.raises((Truncated, ConnectionResetError)):
            reply.rest()
        if wire.pipelines:
            assert wire.read_to_end() == b"", "the answer behind it must not fill the gap"
        assert b"hello" not in reply.head().body
    error_log.wait_for("ERROR", words)
    assert site.ask("/hello").body == b"hello"


def test_list_longer_than_declared_keeps_the_connection_in_step(
    serve: ServeFixture, error_log: LogWatch
) -> None:
    body = answering([b"12", b"345", b"67", b"8"], headers=[("Content-Length", "4")])
    with serve(Routes(body=body, hello=hello)).connect() as wire:
        for _ in range(3):
            assert wire.ask("/body").body == b"1234"
            assert wire.ask("/hello").body == b"hello"
    error_log.wait_for("ERROR", "GET /body", "longer than its Content-Length of 4")


def test_list_shorter_than_declared_is_cut_and_the_connection_not_used_again(
    serve: ServeFixture, error_log: LogWatch
) -> None:
    body = answering([b"12", b"345"], headers=[("Content-Length", "9")])
    with serve(Routes(body=body, hello=hello)).connect() as wire:
        wire.get("/body")
        wire.get("/hello")
        with pytest.raises(Truncated) as cut:
            wire.response()
        if wire.pipelines:
            assert cut.value.partial is not None
            assert cut.value.partial.body == b"12345"
            wire.expect_closed()
    error_log.wait_for("ERROR", "GET /body", "4 bytes shorter than its Content-Length of 9")
