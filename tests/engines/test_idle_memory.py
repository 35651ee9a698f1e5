"""After a rush a server is as small as before: what was freed is the system's again."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from harness.process import run_server
from harness.waiting import eventually

if TYPE_CHECKING:
    from harness.process import ServerProcess
    from harness.wire import Wire

CLIENTS = 20
MIB_IN_KIB = 1024
ANSWER = 8 * MIB_IN_KIB
# A kernel takes up to 4 MiB of an answer that nobody reads; the rest waits in the server.
# What is left alone, up to 32 MiB, is less than half of this.
HELD_AT_LEAST = 80 * MIB_IN_KIB


@pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")
def test_memory_of_unread_answers_is_given_back(engine: str) -> None:
    with run_server("apps.plain:large", engine, "--memory-budget", "1GiB") as server:
        with server.connect() as wire:
            assert len(wire.ask().body) == ANSWER * 1024
        before = server.resident_kib()
        with ExitStack() as stack:
            for _ in range(CLIENTS):
                ask_and_do_not_read(stack.enter_context(server.connect(receive_buffer=4096)))
            assert eventually(lambda: server.resident_kib() > before + HELD_AT_LEAST)
        assert eventually(lambda: is_small_again(server, before))


def ask_and_do_not_read(wire: Wire) -> None:
    wire.get()


def is_small_again(server: ServerProcess, before: int) -> bool:
    return server.resident_kib() < before + HELD_AT_LEAST / 2
