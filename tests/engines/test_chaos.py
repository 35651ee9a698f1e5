"""A few seconds of every kind of client at once; afterwards the server is as good as new."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from harness.apps import PLAIN, Environ, Routes, StartResponse, hello
from harness.corpus import cases
from harness.site import ServeFixture, Site, start_site
from harness.wire import Truncated, Wire

if TYPE_CHECKING:
    from pathlib import Path

    from harness.logwatch import LogWatch

pytestmark = [
    pytest.mark.alone("its clients take what there is"),
    pytest.mark.no_tls("its clients speak HTTP alone"),
    pytest.mark.no_http2("its clients speak HTTP/1.1 alone"),
]

SECONDS = 5.0
Client = Callable[[Site, random.Random], None]


def streaming(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    start_response("200 OK", PLAIN)
    for _ in range(20):
        yield b"x" * 50_000


def reading(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    size = len(environ["wsgi.input"].read())
    start_response("200 OK", PLAIN)
    return [b"%d" % size]


def failing(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    start_response("200 OK", PLAIN)
    yield b"half"
    raise RuntimeError("chaos")


def well_behaved(site: Site, dice: random.Random) -> None:
    with Wire(site.address) as wire:
        for _ in range(dice.randrange(1, 20)):
            assert wire.ask("/hello").body == b"hello"


def pipelining(site: Site, dice: random.Random) -> None:
    count = dice.randrange(1, 30)
    with Wire(site.address) as wire:
        wire.send(b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n" * count)
        for _ in range(count):
            assert wire.response().body == b"hello"


def uploading(site: Site, dice: random.Random) -> None:
    size = dice.choice([0, 1, 5000, 300_000, 3_000_000])
    with Wire(site.address) as wire:
        wire.post("/reading", bytes(size))
        assert wire.response().body == b"%d" % size


def leaving_an_upload(site: Site, dice: random.Random) -> None:
    with Wire(site.address) as wire:
        wire.send(b"POST /reading HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000\r\n\r\n")
        wire.send_leniently(bytes(dice.randrange(4_000_000)))
        dice.choice([wire.reset, wire.close, wire.finish_sending])()


def leaving_a_download(site: Site, dice: random.Random) -> None:
    with Wire(site.address, receive_buffer=4096) as wire:
        wire.get("/streaming")
        wire.take()
        dice.choice([wire.reset, wire.close])()


def reading_slowly(site: Site, dice: random.Random) -> None:
    with Wire(site.address, receive_buffer=4096) as wire:
        wire.get("/streaming")
        for _ in range(dice.randrange(20)):
            wire.take()
            time.sleep(0.005)


def sending_rubbish(site: Site, dice: random.Random) -> None:
    with Wire(site.address) as wire:
        wire.send_leniently(dice.randbytes(dice.randrange(1, 5000)) + b"\r\n\r\n")
        if dice.random() < 0.5:
            wire.finish_sending()
            wire.read_to_end()


def sending_half_a_case(site: Site, dice: random.Random) -> None:
    raw = dice.choice(cases("valid") + cases("invalid")).raw
    with Wire(site.address) as wire:
        wire.send_leniently(raw[: dice.randrange(len(raw))])
        dice.choice([wire.reset, wire.close])()


def meeting_failures(site: Site, dice: random.Random) -> None:
    with Wire(site.address) as wire:
        wire.get("/failing")
        with pytest.raises(Truncated):
            wire.response()


CLIENTS: list[Client] = [
    well_behaved,
    pipelining,
    uploading,
    leaving_an_upload,
    leaving_a_download,
    reading_slowly,
    sending_rubbish,
    sending_half_a_case,
    meeting_failures,
]


everything = Routes(hello=hello, streaming=streaming, reading=reading, failing=failing)


@contextmanager
def crowd(site: Site, over: threading.Event, size: int = 12) -> Iterator[list[str]]:
    """Clients of every kind until it is over; what goes wrong for them is in the list by then."""
    faults: list[str] = []

    def run(seed: int) -> None:
        dice = random.Random(seed)
        while not over.is_set():
            client = dice.choice(CLIENTS)
            try:
                client(site, dice)
            except (ConnectionResetError, BrokenPipeError) as error:
                if client in (well_behaved, pipelining, uploading):
                    faults.append(f"{client.__name__}: {error!r}")
            except (AssertionError, OSError) as error:
                faults.append(f"{client.__name__}: {error!r}")

    threads = [threading.Thread(target=run, args=(seed,)) for seed in range(size)]
    for thread in threads:
        thread.start()
    try:
        yield faults
    finally:
        over.set()
        for thread in threads:
            thread.join()


@pytest.mark.timeout(90)
@pytest.mark.parametrize("io_threads", [1, 3])
def test_server_survives_all_kinds_of_clients(
    serve: ServeFixture, error_log: LogWatch, tmp_path: Path, io_threads: int
) -> None:
    log = str(tmp_path / "access.log")
    limits = {"write_timeout": 2, "body_timeout": 2, "header_timeout": 2}
    site = serve(everything, threads=4, io_threads=io_threads, access_log=log, **limits)
    over = threading.Event()
    end = time.monotonic() + SECONDS
    with crowd(site, over) as faults:
        while time.monotonic() < end:
            assert site.server.stats()["workers_running"] <= 4
            site.server.reopen_logs()
            over.wait(0.02)
    assert not faults, faults[:5]
    started = time.monotonic()
    assert site.ask("/hello").body == b"hello"
    assert time.monotonic() - started < 2, "the server should not have to recover"
    wires = [site.connect() for _ in range(4)]
    for wire in wires:
        wire.get("/hello")
    assert [wire.response().body for wire in wires] == [b"hello"] * 4, "all workers should be back"


@pytest.mark.timeout(90)
@pytest.mark.parametrize("graceful", [0, 0.2])
def test_server_stops_amid_all_kinds_of_clients(
    engine: str, tmp_path: Path, graceful: float
) -> None:
    log = str(tmp_path / "access.log")
    for _ in range(5):
        over = threading.Event()
        with (
            start_site(everything, engine, io_threads=2, access_log=log) as site,
            crowd(site, over, size=8),
        ):
            over.wait(0.3)
            site.server.stop(graceful)
            assert site.server.abandoned == []
            assert site.server.stats()["connections_open"] == 0
