"""Rooms of several processes, over a real Redis. Two `RedisRooms` of one process are to each other
what two processes are, but for the first tests, which have those."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
from harness.process import TESTS, run_server
from harness.redis_server import RedisServer
from harness.waiting import eventually
from harness.websocket_wire import WebSocketWire
from harness.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from harness.logwatch import LogWatch
    from harness.site import ServeFixture
    from prowingen_wsgi.contrib.redis_rooms import RedisRooms

redis = pytest.importorskip("redis")
link = importlib.import_module("prowingen_wsgi.contrib.redis_link")
app: Any = importlib.import_module("apps.redis_rooms")

pytestmark = pytest.mark.timeout(60)

LOST, BACK = "rooms: Redis is lost", "rooms: Redis is back"


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


class Member:
    """A WebSocket in a room of one of the processes."""

    def __init__(self, ws: WebSocketWire) -> None:
        self.ws = ws
        self.process = ws.hear()

    def say(self, message: str | bytes) -> None:
        self.ws.say(message)

    def hears(self, *messages: str | bytes) -> None:
        assert tuple(self.ws.hear() for _ in messages) == messages


class Process:
    """What of one belongs to the rooms, and a site with them."""

    def __init__(self, serve: ServeFixture, rooms: RedisRooms) -> None:
        self.rooms = rooms
        self._site = serve(app.Application(rooms))

    def member(self, target: str = "/") -> Member:
        return Member(WebSocketWire(self._site.connect(), target))


@pytest.fixture
def process(serve: ServeFixture, server: RedisServer) -> Iterator[Callable[[], Process]]:
    """Makes them, each of which is the end of its rooms too."""
    with ExitStack() as stack:

        def make() -> Process:
            made = Process(serve, app.RedisRooms(server.url))
            stack.callback(made.rooms.close)
            return made

        yield make


# ---- processes


@pytest.mark.parametrize(
    ("loaded", "patch"),
    [
        ((), ""),
        (("--preload",), ""),
        ((), "from gevent import monkey; monkey.patch_all(thread=False)"),
        ((), "import eventlet; eventlet.monkey_patch(thread=False)"),
    ],
    ids=["loaded by each", "loaded once", "gevent", "eventlet"],
)
def test_members_of_all_workers_hear_it_once(
    engine: str, server: RedisServer, tmp_path: Path, loaded: tuple[str, ...], patch: str
) -> None:
    server.start()
    (tmp_path / "rooms_app.py").write_text(f"{patch}\nfrom apps.redis_rooms import app\n")
    with (
        run_server(
            "rooms_app:app",
            engine,
            *("--workers", "2", *loaded),
            environment={
                "ROOMS_REDIS": server.url,
                "PYTHONPATH": os.pathsep.join([str(tmp_path), str(TESTS)]),
                "PYTHONWARNINGS": "ignore",  # eventlet's, of its own future
            },
        ) as site,
        ExitStack() as stack,
    ):
        members: list[Member] = []

        def in_both() -> bool:
            wire = stack.enter_context(Wire(site.address))
            members.append(Member(WebSocketWire(wire)))
            return len(members) >= 6 and len({member.process for member in members}) == 2

        assert eventually(in_both)
        for speaker in members:
            speaker.say("žluťoučký")
            speaker.say(b"\xff\0")
            for member in members:
                member.hears("žluťoučký", b"\xff\0")
        stack.close()
        site.signal(signal.SIGTERM)
        assert site.wait() == 0
    assert "ERROR" not in site.log


FORKED = """
import os, stat
from contextlib import suppress
from prowingen_wsgi.contrib.redis_rooms import RedisRooms

def sockets():
    found = []
    for number in range(3, 64):
        with suppress(OSError):
            if stat.S_ISSOCK(os.fstat(number).st_mode):
                found.append(number)
    return found

rooms = RedisRooms(os.environ["ROOMS_REDIS"])
rooms.ready()
assert len(sockets()) == 2
child = os.fork()
if child == 0:
    assert sockets() == [], "they are the parent's"
    rooms.ready()
    os._exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
rooms.ready()
rooms.close()
assert sockets() == []
"""


def test_a_child_has_a_link_of_its_own(server: RedisServer) -> None:
    server.start()
    subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKED],
        env={**os.environ, "ROOMS_REDIS": server.url},
        check=True,
        timeout=30,
    )


# ---- messages


def test_text_and_binary_reach_others_and_ones_own(
    process: Callable[[], Process], server: RedisServer
) -> None:
    server.start()
    one, two = process(), process()
    members = [one.member(), one.member(), two.member()]
    for message in ("text", b"\xff\xfe binary", "", b"", "x" * 300_000):
        for member in (members[0], members[2]):
            member.say(message)
            for each in members:
                each.hears(message)


def test_many_come_in_their_order(process: Callable[[], Process], server: RedisServer) -> None:
    server.start()
    here, there = process().member(), process().member()
    sent = [f"message {number}" for number in range(5000)]
    for at in range(0, len(sent), 500):  # what a client does not read is its end
        for message in sent[at : at + 500]:
            here.say(message)
        for member in (here, there):
            member.hears(*sent[at : at + 500])


def test_rooms_are_apart(process: Callable[[], Process], server: RedisServer) -> None:
    server.start()
    one, two = process(), process()
    a, b, other_a, other_b = (each.member(room) for each in (one, two) for room in ("/a", "/b"))
    a.say("to a")
    other_b.say("to b")
    a.say("more")
    a.hears("to a", "more")
    other_a.hears("to a", "more")
    b.hears("to b")
    other_b.hears("to b")
    assert one.rooms.room("/a") is one.rooms.room("/a")
    assert len(one.rooms.room("/a")) == len(two.rooms.room("/b")) == 1


def test_a_process_listens_to_rooms_with_members(
    process: Callable[[], Process], server: RedisServer
) -> None:
    server.start()
    one, two = process(), process()
    leaves, stays = one.member("/a"), two.member("/a")

    def listening() -> list[Any]:
        names = ("prowingen:room:/a", "prowingen:room:/never")
        return [count for _, count in client.pubsub_numsub(*names)]

    def has_noticed() -> bool:
        one.rooms.ready()  # it looks what has changed when it hears something
        return listening() == [1, 0]

    with redis.Redis.from_url(server.url) as client:
        assert listening() == [2, 0]
        leaves.ws.close()
        assert leaves.ws.closed() == (1000, "")
        assert eventually(has_noticed)
        process().rooms.room("/a").broadcast("by who has no member")
        stays.hears("by who has no member")
        back = one.member("/a")
        assert listening() == [2, 0]
        stays.say("again")
        back.hears("again")


def test_others_may_publish(
    process: Callable[[], Process], server: RedisServer, error_log: LogWatch
) -> None:
    server.start()
    member = process().member("/a")
    with redis.Redis.from_url(server.url) as client:
        for nonsense in (b"", b"nonsense that is long enough", b"t" + bytes(16) + b"\xff"):
            client.publish("prowingen:room:/a", nonsense)
        client.publish("prowingen:room:/a", b"t" + bytes(16) + "žluť".encode())
        member.hears("žluť")
    assert error_log.text.count("was not delivered") == 3


# ---- a Redis that is not there


def test_it_is_killed_and_comes_back(
    process: Callable[[], Process], server: RedisServer, error_log: LogWatch
) -> None:
    server.start()
    one, two = process(), process()
    here, beside, there = one.member(), one.member(), two.member()
    server.kill()
    assert eventually(lambda: error_log.text.count(LOST) == 2)
    for number in range(100):
        here.say(f"alone {number}")
        for member in (here, beside):
            member.hears(f"alone {number}")
    there.say("alone too")
    there.hears("alone too")
    with pytest.raises(TimeoutError, match="not confirmed"):
        one.rooms.ready(0.05)
    assert error_log.text.count(LOST) == 2, "once for each of both"
    server.start()
    for each in (one, two):
        each.rooms.ready()
    here.say("together")
    for member in (here, beside, there):
        member.hears("together")
    assert eventually(lambda: error_log.text.count(BACK) == 2)


def test_it_is_not_there_at_the_start(
    process: Callable[[], Process], server: RedisServer, error_log: LogWatch
) -> None:
    one, two = process(), process()
    here, there = one.member("/?alone"), two.member("/?alone")
    error_log.wait_for(LOST)
    here.say("alone")
    here.hears("alone")
    server.start()
    for each in (one, two):
        each.rooms.ready()
    there.say("together")
    here.hears("together")


def test_its_silence_is_noticed(
    process: Callable[[], Process],
    server: RedisServer,
    error_log: LogWatch,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(link, "_PING_AFTER", 0.1)
    server.start()
    one, two = process(), process()
    here, there = one.member(), two.member()
    with redis.Redis.from_url(server.url) as client:  # an answer to a ping is a sign of life
        before = client.info("stats")["total_commands_processed"]
        assert eventually(lambda: client.info("stats")["total_commands_processed"] > before + 20)
    assert LOST not in error_log.text
    server.signal(signal.SIGSTOP)
    error_log.wait_for(LOST, "does not answer")
    here.say("alone")
    here.hears("alone")
    server.signal(signal.SIGCONT)
    for each in (one, two):
        each.rooms.ready()
    here.say("together")
    there.hears("together")


def test_a_connection_that_publishes_is_replaced(
    process: Callable[[], Process], server: RedisServer
) -> None:
    server.start()
    here, there = process().member(), process().member()
    with redis.Redis.from_url(server.url) as client:
        for kind in ("normal", "pubsub"):
            client.client_kill_filter(_type=kind, skipme=True)
            # What is said meanwhile may be lost, and nothing that comes is there twice.
            heard: list[str | bytes] = []
            for number in range(1000):
                here.say(f"{kind} {number}")
                here.hears(f"{kind} {number}")
                if not there.ws.wire.is_silent(0.02):
                    heard.append(there.ws.hear())
                if f"{kind} {number}" in heard:
                    break
            assert f"{kind} {number}" in heard
            assert len(heard) == len(set(heard))


def test_what_waits_is_bounded(
    serve: ServeFixture,
    process: Callable[[], Process],
    server: RedisServer,
    error_log: LogWatch,
) -> None:
    server.start()
    there = process().member()
    rooms = app.RedisRooms(server.url, max_queue=100_000)
    try:
        here = Process(serve, rooms).member()
        for number in range(80):
            if number == 40:
                assert "octets wait" not in error_log.text
                server.signal(signal.SIGSTOP)
            rooms.room("/").broadcast(f"{number:09}" * 1000)
            here.hears(f"{number:09}" * 1000)
            if number < 40:
                there.hears(f"{number:09}" * 1000)
        error_log.wait_for("more than 100000 octets wait for Redis")
        assert error_log.text.count("octets wait") == 1
        server.signal(signal.SIGCONT)
    finally:
        rooms.close()


def test_who_gives_up_waiting_leaves_nothing(server: RedisServer, error_log: LogWatch) -> None:
    rooms = app.RedisRooms(server.url)
    try:
        for _ in range(3):
            with pytest.raises(TimeoutError):
                rooms.ready(0.01)
        link = rooms._open_link()
        assert link is not None
        assert link._waiting == []
    finally:
        rooms.close()
    error_log.clear()


def test_who_cannot_publish_is_not_ready(
    serve: ServeFixture, server: RedisServer, error_log: LogWatch
) -> None:
    def connect() -> Any:
        if threading.current_thread().name == "rooms: to Redis" and failures:
            raise OSError(failures.pop())
        return redis.Redis.from_url(server.url)

    server.start()
    failures = ["for the second time", "for the first time"]
    rooms = app.RedisRooms(connect)
    try:
        Process(serve, rooms).member()
        assert failures == []
        error_log.wait_for(LOST, "for the first time")
        error_log.wait_for(BACK)
    finally:
        rooms.close()


# ---- ends and mistakes


def test_close_sends_what_waits_and_leaves(
    process: Callable[[], Process], server: RedisServer
) -> None:
    server.start()
    one, two = process(), process()
    here, there = one.member(), two.member()
    for number in range(100):
        one.rooms.room("/").broadcast(f"last {number}")
    one.rooms.close()
    there.hears(*(f"last {number}" for number in range(100)))
    there.say("not heard")
    there.hears("not heard")
    one.rooms.room("/").broadcast("alone")
    here.hears(*(f"last {number}" for number in range(100)), "alone")
    with redis.Redis.from_url(server.url) as client:
        assert eventually(lambda: len(client.client_list()) == 3), "two's, and this one"
    with pytest.raises(RuntimeError, match="closed"):
        one.rooms.ready()
    one.rooms.close()


def test_close_does_not_wait_for_who_is_not_there(
    process: Callable[[], Process], server: RedisServer, error_log: LogWatch
) -> None:
    process().member("/?alone")
    error_log.wait_for(LOST)


def test_a_client_of_ones_own(serve: ServeFixture, server: RedisServer) -> None:
    server.start()
    with ExitStack() as stack:
        both = []
        for _ in range(2):
            rooms = app.RedisRooms(lambda: redis.Redis.from_url(server.url), prefix="mine")
            stack.callback(rooms.close)
            both.append(Process(serve, rooms).member())
        both[0].say("x")
        for member in both:
            member.hears("x")
        with redis.Redis.from_url(server.url) as client:
            assert len(client.pubsub_channels("mine:*")) == 3


def test_mistakes_are_told(serve: ServeFixture, server: RedisServer, error_log: LogWatch) -> None:
    server.start()
    with pytest.raises(ValueError, match="scheme"):
        app.RedisRooms("http://localhost")
    with pytest.raises(TypeError, match="password"):
        app.RedisRooms(redis.Redis, password="x")
    rooms = app.RedisRooms(server.url, decode_responses=True)
    Process(serve, rooms).member("/?alone")
    error_log.wait_for(LOST, "decode_responses: must be off")
    rooms.close()


def test_a_refusal_is_told_once(
    serve: ServeFixture, server: RedisServer, error_log: LogWatch
) -> None:
    server.start()
    with redis.Redis.from_url(server.url) as client:
        rights = "on nopass +@all ~* &*:process:* &prowingen:room:/a"
        client.execute_command("ACL", "SETUSER", "talker", *rights.split())
    rooms = app.RedisRooms(server.url, username="talker", password="any")
    member = Process(serve, rooms).member("/a")
    for number in range(10):
        rooms.room("/b").broadcast("to who may not be told")
        member.say(f"{number}")
        member.hears(f"{number}")
    rooms.ready()
    rooms.close()
    assert error_log.text.count("refused") == 1
    assert LOST not in error_log.text


def test_the_package_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("rooms", "link", "wire"):
        monkeypatch.delitem(sys.modules, f"prowingen_wsgi.contrib.redis_{name}", raising=False)
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(ImportError, match=r"prowingen-wsgi\[redis\]"):
        importlib.import_module("prowingen_wsgi.contrib.redis_rooms")
