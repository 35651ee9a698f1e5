"""The end of HTTP/2's connections at a stop: what is on its way when the client learns of it is
still answered (RFC 9113 section 6.8)."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from harness.apps import hello
from harness.h2wire import RawH2, asked
from harness.wire import Wire, until_refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.site import ServeFixture, Site

ANY_STREAM = (0x7FFFFFFF, 0)


@contextmanager
def stopping(site: Site) -> Iterator[None]:
    stopper = threading.Thread(target=site.server.stop, args=(10,))
    stopper.start()
    yield
    stopper.join(10)
    assert not stopper.is_alive()


def test_a_request_that_crossed_with_the_stop_is_answered(serve: ServeFixture) -> None:
    site = serve(hello)
    with RawH2(site) as wire:
        wire.send(asked(1))
        assert wire.answers(1)
        with stopping(site):
            assert wire.next_goaway() == ANY_STREAM
            wire.send(asked(3))
            assert wire.answers(3)
            assert wire.next_goaway() == (3, 0)


def test_a_connection_that_begins_during_a_stop_is_answered(serve: ServeFixture) -> None:
    site = serve(hello)
    with RawH2(site, begins=False) as wire, stopping(site):
        until_refused(lambda: Wire(site.address))
        wire.begin()
        assert wire.next_goaway() == ANY_STREAM
        wire.send(asked(1))
        assert wire.answers(1)
        assert wire.next_goaway() == (1, 0)
