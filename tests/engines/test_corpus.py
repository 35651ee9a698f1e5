"""The corpus of valid and invalid requests: sent whole, byte by byte, and cut at random."""

from __future__ import annotations

import itertools
import random
import re
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from harness.apps import Echo
from harness.corpus import Case, cases
from harness.pacing import send_in_pieces
from harness.site import Site, start_site
from harness.verdicts import Send, expect_accepted, expect_refused

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from harness.wire import Wire


class Servers:
    """One server for each set of options the corpus asks for, on Unix sockets."""

    def __init__(self, engine: str, folder: Path) -> None:
        self.app = Echo()
        self.stack = ExitStack()
        self._sites: dict[str, Site] = {}
        for case in cases("valid") + cases("invalid"):
            if repr(case.options) not in self._sites:
                bind = f"unix:{folder}/{len(self._sites)}"
                site = start_site(self.app, engine, bind=bind, **case.options)
                self._sites[repr(case.options)] = self.stack.enter_context(site)

    def connect(self, case: Case) -> Wire:
        return self._sites[repr(case.options)].connect()


@pytest.fixture(scope="module")
def servers(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    servers = Servers(engine, tmp_path_factory.mktemp("corpus"))
    with servers.stack:
        yield servers


def whole(wire: Wire, data: bytes) -> None:
    wire.send_leniently(data)


def byte_by_byte(wire: Wire, data: bytes) -> None:
    send_in_pieces(wire, data, each_byte(data))


def each_byte(data: bytes) -> list[int]:
    """Cuts before each byte, but for the middle of a long run of the same one, as limits are tried
    with: a parser is there where it was before, and 64 KiB of such take seconds."""
    cuts = set(range(len(data)))
    for run in re.finditer(rb"(.)\1{1000,}", data, re.DOTALL):
        cuts -= set(range(run.start() + 300, run.end() - 300))
        cuts |= set(range(run.start() + 300, run.end() - 300, 61))
    return sorted(cuts)


def test_long_runs_alone_are_cut_in_larger_pieces() -> None:
    data = b"ab" * 2000 + b"x" * 5000 + b"end"
    cuts = each_byte(data)
    assert set(range(4300)) < set(cuts)
    assert set(range(len(data) - 303, len(data))) < set(cuts)
    assert max(later - earlier for earlier, later in itertools.pairwise(cuts)) == 61
    assert each_byte(b"x" * 1000) == list(range(1000))


def randomly_cut(wire: Wire, data: bytes) -> None:
    dice = random.Random(data)
    send_in_pieces(wire, data, [dice.randrange(len(data)) for _ in range(dice.randrange(1, 12))])


def _name(value: object) -> str | None:
    return value.name if isinstance(value, Case) else None


WAYS: list[Send] = [whole, byte_by_byte, randomly_cut]


@pytest.mark.parametrize("send", WAYS)
@pytest.mark.parametrize("case", cases("valid"), ids=_name)
def test_valid_request_reaches_the_app_as_sent(servers: Servers, case: Case, send: Send) -> None:
    with servers.connect(case) as wire:
        expect_accepted(case, wire, send)


@pytest.mark.parametrize("send", WAYS)
@pytest.mark.parametrize("case", cases("invalid"), ids=_name)
def test_invalid_request_is_refused_and_the_connection_closed(
    servers: Servers, case: Case, send: Send
) -> None:
    with servers.connect(case) as wire:
        expect_refused(case, wire, send, servers.app)


def test_corpus_is_as_large_as_it_should_be() -> None:
    assert len(cases("valid")) >= 40
    assert len(cases("invalid")) >= 60
