"""HAProxy, nginx and Envoy by the files in deploy/: what reaches the hosts, and what comes back."""

from __future__ import annotations

import functools
import itertools
import json
import signal
import time
from typing import TYPE_CHECKING

import pytest
from fronts import KINDS, Front, front
from harness.proxies import CLIENT
from harness.waiting import eventually
from harness.websocket_wire import WebSocketWire
from hosted import GAP, PIECES
from loading import NAME, steady_load

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.timeout(90)
HOST_FIELD = f"Host: {NAME}"


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def proxy(kind: str, engine: str, tmp_path: Path) -> Iterator[Front]:
    with front(kind, tmp_path, engine) as made:
        yield made


def test_hosts_get_what_a_client_asks_and_it_gets_what_they_answer(proxy: Front) -> None:
    _hosts_learn_who_asks(proxy)
    _every_host_is_asked(proxy)
    _pieces_come_one_by_one(proxy)
    _websockets_pass(proxy)
    _a_long_body_passes(proxy)
    _http_is_sent_on(proxy)


def _hosts_learn_who_asks(proxy: Front) -> None:
    spoof = ("X-Forwarded-For: 6.6.6.6", "X-Forwarded-Proto: ftp")
    with proxy.connect() as wire:
        answer = wire.ask("/environ", *spoof)
    environ = json.loads(answer.body)
    assert environ["REMOTE_ADDR"] == CLIENT
    assert environ["wsgi.url_scheme"] == "https"
    assert environ["HTTP_HOST"] == "test"


def _every_host_is_asked(proxy: Front) -> None:
    asked: set[str | None] = set()

    def all_of_them() -> bool:
        with proxy.connect() as wire:
            asked.update(wire.ask().get("x-host") for _ in range(6))
        return asked == set(proxy.hosts)

    assert eventually(all_of_them), asked


def _pieces_come_one_by_one(proxy: Front) -> None:
    with proxy.connect() as wire:
        begun = time.monotonic()
        wire.get("/stream")
        reply = wire.reply()
        assert reply.head().status == 200
        arrived = [time.monotonic() - begun for _ in iter(reply.data, b"")]
    assert len(arrived) == PIECES
    assert arrived[0] < GAP, "the first piece does not wait for the second"
    assert all(after - before > GAP / 3 for before, after in itertools.pairwise(arrived))


def _websockets_pass(proxy: Front) -> None:
    with proxy.connect() as wire:
        websocket = WebSocketWire(wire, "/socket")
        assert [websocket.ask(f"message {number}") for number in range(3)] == [
            f"message {number}" for number in range(3)
        ]


def _a_long_body_passes(proxy: Front) -> None:
    body = b"x" * 3_000_000
    with proxy.connect() as wire:
        head = f"POST /length HTTP/1.1\r\n{HOST_FIELD}\r\nContent-Length: {len(body)}\r\n\r\n"
        wire.send(head.encode() + body)
        assert wire.response("POST").text == str(len(body))


def _http_is_sent_on(proxy: Front) -> None:
    if not proxy.plain:
        return  # Envoy's file has HTTPS alone
    with proxy.connect(proxy.plain) as wire:
        answer = wire.ask("/page?a=b")
    assert answer.status == 308
    assert str(answer.get("location")).endswith("/page?a=b")
    assert str(answer.get("location")).startswith("https://")


@pytest.mark.fleet
def test_a_host_that_is_killed_is_left_out_and_comes_back(proxy: Front) -> None:
    host = proxy.hosts["host2"]
    with steady_load(("127.0.0.1", proxy.port), proxy.hosts) as notes:
        at = time.time()
        host.signal_all(signal.SIGKILL)
        answered = len(notes())
        assert eventually(lambda: len(notes()) > answered + 100), proxy.said
        mended = time.time()
        host.start()
        assert eventually(lambda: notes.answered_by("host2", since=mended)), proxy.said
    # What it was answering is lost, and of that only what must not be asked for twice.
    failed = [note for note in notes.failed if note.begun > at or note.is_a_page]
    assert [str(note) for note in failed] == []


@pytest.mark.fleet
@pytest.mark.parametrize("kind", ["nginx", "envoy"])  # HAProxy: test_hosts.py
def test_new_code_on_one_host_after_the_other_fails_no_request(proxy: Front) -> None:
    with steady_load(("127.0.0.1", proxy.port), proxy.hosts) as notes:
        for host in proxy.hosts.values():
            assert host.stop() == 0, host.log
            host.start()
            new = functools.partial(notes.answered_by, host.name, str(host.version))
            assert eventually(new), proxy.said
    print(f"\n{len(notes.failed)} of {len(notes())} failed")
    assert [str(note) for note in notes.failed] == []
    assert {note.version for note in notes()} == {"1", "2"}
