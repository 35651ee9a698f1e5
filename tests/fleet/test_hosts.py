"""What clients notice when hosts are replaced, cut off, killed, stuck, and hang: HAProxy, set up
as deploy/haproxy has it, in front of three machines. `nox -s fleet`; a minute for each engine.
"""

from __future__ import annotations

import functools
import signal
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from fleet import Fleet, fleet
from harness.waiting import eventually
from hosts import DRAIN_DELAY, THREADS
from steady_load import CLIENTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from notes import Note, Notes

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(90)]

CONNECT_TIMEOUT = 0.25
MARGIN = 0.5
"""HAProxy's `timeout connect`, and what a busy machine may add; in seconds."""

WATCHED = 3.0
"""Seconds for which the others serve alone, once a host is known to be lost."""


@pytest.fixture
def three(engine: str, tmp_path: Path) -> Iterator[Fleet]:
    with fleet(tmp_path, engine) as made:
        yield made


def tell(what: str, notes: Notes) -> None:
    """The figures, for who asks for them by `pytest -s`."""
    failed = notes.failed
    slowest = max(note.took for note in notes())
    print(f"\n{what}: {len(failed)} of {len(notes())} failed, the slowest took {slowest:.1f} s")
    for note in failed:
        print(f"    {note}")


def test_new_code_on_one_host_after_the_other_fails_no_request(three: Fleet) -> None:
    with three.load() as notes:
        for host in three.hosts.values():
            told = time.monotonic()
            assert host.stop() == 0, host.log
            assert time.monotonic() - told >= DRAIN_DELAY
            host.start()
            new = functools.partial(notes.answered_by, host.name, str(host.version))
            assert eventually(new), three.said
    tell("deploy", notes)
    assert [str(note) for note in notes.failed] == []
    assert {note.version for note in notes()} == {"1", "2"}


@dataclass
class Lost:
    """A host that is lost while everybody asks, and what has become of the requests.

    at, known: when it was lost, and when HAProxy knew.
    """

    notes: Notes
    at: float
    known: float

    @property
    def failed(self) -> list[Note]:
        """None of them began once it was known; and there was one for each client at most."""
        failed = self.notes.failed
        late = [str(note) for note in failed if note.begun > self.known]
        assert late == []
        assert len(failed) <= CLIENTS
        return failed


def lose(
    three: Fleet, name: str, how: str, begin: Callable[[], None], end: Callable[[], None]
) -> Lost:
    """Waits until HAProxy knows, and then until the host is back among the others."""
    with three.load() as notes:
        said = len(three.said)
        at = time.time()
        begin()
        assert three.has_said(f"Server prowingen/{name} is DOWN", said), three.said[said:]
        known = time.time()
        others = three.hosts.keys() - {name}
        assert eventually(lambda: all(notes.answered_by(each, since=known) for each in others))
        lost = Lost(notes, at, known)
        alone_until = known + WATCHED
        assert eventually(lambda: any(note.begun > alone_until for note in notes()))
        assert not notes.answered_by(name, since=known)
        said, mended = len(three.said), time.time()
        end()
        assert three.has_said(f"Server prowingen/{name} is UP", said), three.said[said:]
        assert eventually(lambda: notes.answered_by(name, since=mended)), three.said[said:]
    tell(f"{how}, known after {known - at:.1f} s", notes)
    return lost


def test_a_host_whose_link_is_cut_takes_along_what_is_on_its_way_to_it(three: Fleet) -> None:
    net = three.net
    lost = lose(three, "host1", "cut", lambda: net.cut("host1"), lambda: net.mend("host1"))
    assert lost.known - lost.at < 5
    # A page is asked for elsewhere, but for those that were being connected at that very moment.
    failed = [note for note in lost.failed if note.is_a_page]
    assert [str(note) for note in failed if note.took > CONNECT_TIMEOUT + MARGIN] == []


def test_a_host_that_is_killed_takes_along_what_it_is_answering(three: Fleet) -> None:
    host = three.hosts["host2"]
    lost = lose(three, "host2", "killed", lambda: host.signal_all(signal.SIGKILL), host.start)
    assert lost.known - lost.at < 5
    # Its kernel tells at once: what begins later is given to another, whatever it is.
    assert [str(note) for note in lost.failed if note.begun > lost.at] == []
    assert [str(note) for note in lost.failed if note.is_a_page] == []


def test_a_host_whose_threads_are_all_stuck_says_so_and_helps_itself(three: Fleet) -> None:
    with three.load() as notes:
        said = len(three.said)
        asking = three.stick("host3", 2 * THREADS)
        try:
            assert three.has_said("Server prowingen/host3 is stopping", said), three.said[said:]
            known = time.time()
            assert three.has_said("Server prowingen/host3 is UP", said), three.hosts["host3"].log
            mended = time.time()
            assert eventually(lambda: notes.answered_by("host3", since=mended))
        finally:
            asking.end()
    tell("stuck", notes)
    assert "has been stuck for" in three.hosts["host3"].log
    # What it had is lost with the worker that is killed, but for pages, which are asked elsewhere.
    lost = [note for note in notes.failed if note.begun > known or note.is_a_page]
    assert [str(note) for note in lost] == []
    assert len(notes.failed) <= CLIENTS


def test_a_host_that_hangs_takes_along_what_must_not_be_asked_twice(three: Fleet) -> None:
    host = three.hosts["host3"]
    lost = lose(
        *(three, "host3", "hangs"),
        lambda: host.signal_all(signal.SIGSTOP),
        lambda: host.signal_all(signal.SIGCONT),
    )
    assert lost.known - lost.at < 5
    assert [str(note) for note in lost.failed if note.is_a_page] == []
