"""Memory that strangers fill: bounded over all connections, and the others are served meanwhile."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from harness.apps import PLAIN, Environ, Gate, Routes, StartResponse, answering, hello
from harness.waiting import eventually
from harness.wire import Truncated

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from harness.logwatch import LogWatch
    from harness.site import ServeFixture, Site
    from harness.wire import Wire

HEAD_IS_ONE_FRAME = pytest.mark.no_http2("a head is one frame")
MIB = 1 << 20
BUDGET = 4 * MIB
MOST = BUDGET * 5 // 4
"""What may be held for a moment: from an eighth above the budget on somebody is cut at once."""
SMALL_BUFFER = 4096
POST = b"POST /reading HTTP/1.1\r\nHost: a\r\n"


def reading(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    body = environ["wsgi.input"].read()
    start_response("200 OK", PLAIN)
    return [b"%d" % len(body)]


def used(site: Site) -> int:
    return int(site.server.stats()["memory_used"])


def cut(site: Site) -> int:
    return int(site.server.stats()["memory_cut"])


def fill(site: Site, count: int, data: bytes) -> list[Wire]:
    """Clients that send this and stop; each time the others are served and the memory is looked
    at."""
    wires = []
    for number in range(count):
        wire = site.connect()
        wire.send_leniently(data)
        wires.append(wire)
        if number % 10 == 0:
            assert site.ask("/hello").body == b"hello"
            assert used(site) <= MOST
    return wires


def statuses(wires: list[Wire]) -> set[int]:
    """What those were told that are told something, of the ones that the server gave up."""
    told = set()
    for wire in wires:
        with suppress(ConnectionError, TimeoutError, Truncated):
            if not wire.is_silent(0):
                told.add(wire.response().status)
    return told


@pytest.mark.parametrize(
    "data",
    [
        # Below what waits in a file.
        pytest.param(POST + b"Content-Length: 1048576\r\n\r\n" + bytes(60_000), id="body"),
        pytest.param(
            POST + b"Transfer-Encoding: chunked\r\n\r\n100000\r\n" + bytes(60_000), id="chunked"
        ),
        pytest.param(
            b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X-Filler: %b\r\n" % (b"x" * 10_000) * 6,
            id="head",
            marks=HEAD_IS_ONE_FRAME,
        ),
        pytest.param(
            b"GET / HTTP/1.1\r\nHost: a\r\nX-Filler: " + b"x" * 60_000,
            id="line",
            marks=HEAD_IS_ONE_FRAME,
        ),
        pytest.param(
            b"POST / HTTP/1.1\r\nHost: a\r\n"
            + b"X-Filler: %b\r\n" % (b"x" * 10_000) * 6
            + b"Content-Length: 10\r\n\r\n",
            id="head of a body",
        ),
    ],
)
def test_unfinished_requests_fill_no_more_than_the_budget(
    serve: ServeFixture, error_log: LogWatch, data: bytes
) -> None:
    site = serve(Routes(hello=hello, reading=reading), memory_budget=BUDGET)
    wires = fill(site, 150, data)
    assert eventually(lambda: cut(site) > 0)
    assert eventually(lambda: used(site) < BUDGET)
    # Who is counted as cut is told so a moment later.
    assert eventually(lambda: 408 in statuses(wires))
    assert site.server.stats()["memory_shortages"] == 1
    error_log.wait_for("memory_budget is full")
    site.close_wires()
    assert eventually(lambda: used(site) == 0), "what is gone should be given back"


@pytest.mark.no_http2("a head is one frame")
def test_a_crowd_that_leaves_is_over_at_once(serve: ServeFixture) -> None:
    """Those that wait to be read do not have to be cut one after another."""
    site = serve(Routes(hello=hello, reading=reading), memory_budget=BUDGET)
    crowd = fill(
        site, 500, b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X-Filler: %b\r\n" % (b"x" * 10_000) * 6
    )
    before = cut(site)
    for wire in crowd:
        wire.close()
    assert site.post(bytes(300_000), "/reading").body == b"300000"
    assert eventually(lambda: used(site) == 0)
    assert cut(site) - before <= 2 * BUDGET // 60_000, "what was held then, and once more"


def test_an_upload_that_moves_is_served_amid_those_that_do_not(serve: ServeFixture) -> None:
    site = serve(Routes(hello=hello, reading=reading), memory_budget=BUDGET)
    for _ in range(3):
        fill(site, 80, POST + b"Content-Length: 1048576\r\n\r\n" + bytes(60_000))
        assert site.post(bytes(300_000), "/reading").body == b"300000"


def test_answers_that_nobody_reads_fill_no_more_than_the_budget(serve: ServeFixture) -> None:
    """A fresh object each time: an application's constant would be the same memory."""

    def big(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", PLAIN)
        return [bytes(8 * MIB)]

    site = serve(Routes(hello=hello, big=big), threads=2, memory_budget=4 * BUDGET)
    readers = [site.connect(receive_buffer=SMALL_BUFFER) for _ in range(12)]
    for reader in readers:
        reader.get("/big")
        assert site.ask("/hello").body == b"hello"
    assert eventually(lambda: cut(site) > 0)
    assert eventually(lambda: used(site) < 4 * BUDGET)
    assert site.ask("/hello").body == b"hello"
    site.close_wires()
    assert eventually(lambda: used(site) == 0)


def test_streams_are_produced_as_they_leave_when_memory_is_short(serve: ServeFixture) -> None:
    """Their workers wait; nobody is cut for it, and a small answer still goes out."""
    readers = 12
    produced = [0]

    def stream(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", PLAIN)
        for _ in range(160):
            produced[0] += 1
            yield bytes(16 * 1024)
            yield bytes(16 * 1024)

    site = serve(Routes(hello=hello, stream=stream), threads=readers + 2, memory_budget=BUDGET)
    slow = [site.connect(receive_buffer=SMALL_BUFFER) for _ in range(readers)]
    for reader in slow:
        reader.get("/stream")
    replies = [reader.reply() for reader in slow]
    assert [reply.head().status for reply in replies] == [200] * readers

    def stands_still() -> bool:
        before = produced[0]
        time.sleep(0.1)
        return produced[0] == before

    assert eventually(stands_still)
    assert used(site) <= BUDGET
    assert site.ask("/hello").body == b"hello"
    assert cut(site) == 0
    assert [len(reply.rest().body) for reply in replies] == [160 * 32 * 1024] * readers
    assert eventually(lambda: used(site) == 0)


@pytest.mark.parametrize("part", ["body", "head"])
def test_whole_requests_that_cannot_be_kept_get_503(serve: ServeFixture, part: str) -> None:
    gate = Gate()

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        gate.pass_through(20)
        return reading(environ, start_response)

    site = serve(app, threads=1, memory_budget=BUDGET)
    wires = []
    for _ in range(150):
        wire = site.connect()
        if part == "body":
            wire.post("/", bytes(50_000))
        else:
            wire.get("/", *["X-Filler: " + "x" * 10_000] * 5)
        wires.append(wire)
    gate.wait_entered()
    assert eventually(lambda: cut(site) > 0)
    assert eventually(lambda: used(site) <= MOST)
    gate.opened.set()
    answers = [wire.response() for wire in wires]
    refused = [answer for answer in answers if answer.status != 200]
    whole = [answer for answer in refused if answer.status == 503]
    assert whole
    assert all(answer.get("retry-after") for answer in whole)
    # Over TLS a body comes in several records, and may be cut between them.
    assert {answer.status for answer in refused} <= {408, 503}
    assert 50 < len(answers) - len(refused) < 150, "the rest is served"


def test_a_request_that_a_worker_takes_meanwhile_is_served(serve: ServeFixture) -> None:
    """What is cut was looked at a moment ago, and may be on its way to an answer by now."""
    gate = Gate()

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        gate.pass_through(20)
        return hello(environ, start_response)

    def open_gate(cut_before: int) -> None:
        assert eventually(lambda: cut(site) > cut_before)
        gate.opened.set()

    site = serve(app, threads=2, memory_budget=BUDGET)
    for _ in range(8):
        gate.opened.clear()
        with ThreadPoolExecutor() as opener:
            opening = opener.submit(open_gate, cut(site))
            wires = [site.connect() for _ in range(150)]
            for wire in wires:
                wire.get("/", *["X-Filler: " + "x" * 10_000] * 5)
            opening.result()
        statuses = {wire.response().status for wire in wires}
        assert {200} < statuses <= {200, 408, 503}
        site.close_wires()


def test_workers_get_their_bodies_whatever_is_queued(serve: ServeFixture) -> None:
    """Heads that nobody waits for any more hold nothing, and no worker waits for memory."""
    site = serve(Routes(hello=hello, reading=reading), threads=2, memory_budget=BUDGET)
    uploads = [site.connect() for _ in range(2)]
    for upload in uploads:  # more than is kept before a worker is taken, with a head that counts
        upload.send(POST + b"Cookie: %b\r\nContent-Length: 2000000\r\n\r\n" % (b"c" * 6000))
        upload.send(bytes(1_100_000))
    assert eventually(lambda: site.server.stats()["requests_taken"] == 2)
    for number in range(2 * BUDGET // 60_000):
        if number % 10 == 0:  # what is on its way at once is no more than there is room for
            assert eventually(lambda: used(site) < BUDGET // 2)
        gone = site.connect()
        gone.send_leniently(b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: %b\r\n" % (b"x" * 10_000) * 6)
        gone.send_leniently(b"\r\n")
        gone.reset()
    for upload in uploads:
        upload.send(bytes(900_000))
        assert upload.response().body == b"2000000"
    assert site.ask("/hello").body == b"hello"
    assert eventually(lambda: used(site) < BUDGET // 2)
    assert cut(site) == 0


@pytest.mark.no_http2("it has no chunks")
def test_time_limits_go_on_behind_a_shortage(serve: ServeFixture) -> None:
    """Whoever was not read meanwhile has all of its time again, and no more than that."""
    gate = Gate()

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        gate.pass_through()
        return hello(environ, start_response)

    timeout = 0.3
    budget = 100_000
    site = serve(app, threads=40, memory_budget=budget, body_timeout=timeout, min_rate=0)
    # Heads that workers have: nobody can be given up for them. Each comes in one read.
    held = b"GET / HTTP/1.1\r\nHost: a\r\nX: %b\r\n\r\n" % (b"x" * 6_000)
    taken = 0
    while used(site) < budget:
        site.connect().send(held)
        taken += 1
        assert eventually(lambda: site.server.stats()["requests_taken"] == taken)  # noqa: B023
    with site.connect() as late:
        late.send(POST + b"Transfer-Encoding: chunked\r\n\r\n64\r\n%b\r\n" % bytes(100))
        for _ in range(4):  # to be read later, when they say nothing yet of how it goes on
            late.send(b"0")
            assert late.is_silent(timeout / 8)
        assert late.is_silent(3 * timeout)
        gate.opened.set()
        assert late.response().status == 408


def test_who_is_cut_is_the_greediest_of_all_threads(serve: ServeFixture) -> None:
    """And not whoever happens to be on the thread that looks first."""
    site = serve(
        Routes(hello=hello, reading=reading), threads=4, io_threads=2, memory_budget=BUDGET // 2
    )
    for on_the_first_thread in (True, False):
        wires = [site.connect() for _ in range(80)]
        for wire in wires:  # so that all are with their threads, which take turns
            assert wire.ask("/hello").body == b"hello"
        ordinary = wires[on_the_first_thread::2][:6]
        greedy = wires[not on_the_first_thread :: 2]
        for wire in ordinary:
            wire.send(POST + b"Content-Length: 30000\r\n\r\n" + bytes(9_000))
        before = cut(site)
        for count, wire in enumerate(greedy):
            wire.send_leniently(POST + b"Content-Length: 900000\r\n\r\n" + bytes(60_000))
            time.sleep(0.02)  # for the ticks of the threads
            if count % 8 == 0:
                for upload in ordinary:
                    upload.send(bytes(3_000))
        assert eventually(lambda: cut(site) > before)  # noqa: B023
        for wire in ordinary:
            wire.send(bytes(30_000 - 9_000 - 5 * 3_000))
        assert [wire.response().status for wire in ordinary] == [200] * 6
        for wire in wires:
            wire.close()
        assert eventually(lambda: used(site) == 0)


@pytest.mark.engines("embedded")
def test_answers_behind_an_unread_one_are_counted(serve: ServeFixture) -> None:
    """However small each is: up to `pipeline_depth` of them wait on each connection."""
    site = serve(Routes(big=answering([bytes(8 * MIB)]), small=answering([bytes(3000)])))
    behind = 15
    wire = site.connect(receive_buffer=SMALL_BUFFER)
    wire.get("/big")
    assert eventually(lambda: used(site) > 0)
    unread = used(site)
    for _ in range(behind):
        wire.get("/small")
    assert eventually(lambda: site.server.stats()["requests_taken"] == behind + 1)
    assert eventually(lambda: used(site) - unread >= behind * 3000)
    wire.close()
    assert eventually(lambda: used(site) == 0)


def test_a_budget_that_is_not_reached_is_never_noticed(
    serve: ServeFixture, error_log: LogWatch
) -> None:
    site = serve(Routes(hello=hello, reading=reading, big=answering([bytes(MIB)])))
    assert site.post(bytes(3 * MIB), "/reading").body == b"%d" % (3 * MIB)
    assert len(site.ask("/big").body) == MIB
    assert eventually(lambda: used(site) == 0)
    stats = site.server.stats()
    assert (stats["memory_cut"], stats["memory_shortages"]) == (0, 0)
    assert stats["memory_budget"] > BUDGET, "a share of the machine's"
    assert "memory_budget" not in str(error_log)
