"""Applications that patch the modules which a server is made of: it serves as without them.

Each in a process of its own, for which the patches are, and in every way of hosting.
"""

from __future__ import annotations

import os
import re
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from harness.process import TESTS, URL, ServerProcess, run_server

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.timeout(60)

ALONE: tuple[str, ...] = ()
WORKER = ("--workers", "1")
TEMPLATE = ("--workers", "1", "--preload")

# What eventlet says of its own future; and gevent of being late.
QUIET = {"PYTHONWARNINGS": "ignore"}


def ask(server: ServerProcess, target: str = "/") -> tuple[int, bytes]:
    with server.connect() as wire:
        answer = wire.ask(target)
        return answer.status, answer.body


def must_serve(server: ServerProcess) -> None:
    """Answers on a thread of its own, and logs what goes wrong."""
    status, thread = ask(server)
    assert (status, thread[:17]) == (200, b"prowingen-worker-"), thread
    assert ask(server, "/fail")[0] == 500
    server.wait_for_line("GET /fail HTTP/1.1")
    server.wait_for_line("RuntimeError: as asked for")


def must_stop(server: ServerProcess, number: signal.Signals = signal.SIGTERM) -> None:
    server.signal(number)
    assert server.wait() == (0 if number == signal.SIGTERM else -number), server.log
    assert number.name in server.log
    assert "the application patched" not in server.log


@pytest.mark.parametrize(
    ("patches", "hosting"),
    [
        ("gevent", ALONE),
        ("gevent", WORKER),
        ("gevent", TEMPLATE),
        ("eventlet", ALONE),
        ("eventlet", TEMPLATE),
        ("records", ALONE),
        ("records", WORKER),
        ("everything", ALONE),
        ("everything", WORKER),
        ("everything", TEMPLATE),
    ],
    ids=lambda value: value if isinstance(value, str) else "".join(value) or "alone",
)
def test_patches_while_the_application_is_loaded(
    engine: str, patches: str, hosting: tuple[str, ...]
) -> None:
    environment = {"PATCHES": patches, **QUIET}
    with run_server(
        "apps.patched:app", engine, "--threads", "2", *hosting, environment=environment
    ) as server:
        must_serve(server)
        if hosting:
            server.signal(signal.SIGHUP)
            server.wait_for_line(r"(?s)is ready.*is ready.*has ended")
            must_serve(server)
        must_stop(server, signal.SIGTERM if hosting else signal.SIGINT)


def test_locks_are_shared_where_threading_is_left_out_and_else_it_warns(engine: str) -> None:
    said = "gevent has patched threading"
    with run_server(
        "apps.patched:app", engine, "--threads", "4", environment={"PATCHES": "gevent"}
    ) as server:
        server.wait_for_line(said)
    with (
        run_server(
            "apps.patched:app", engine, "--threads", "4", environment={"PATCHES": "gevent's waits"}
        ) as server,
        ThreadPoolExecutor(4) as clients,
    ):
        answers = list(clients.map(lambda _: ask(server, "/lock")[0], range(40)))
        assert answers == [200] * 40
        assert said not in server.log
        must_stop(server)


@pytest.mark.parametrize("hosting", [ALONE, TEMPLATE], ids=["alone", "preloaded"])
@pytest.mark.parametrize("patches", ["gevent", "eventlet"])
def test_threads_that_wait_for_the_first_time_all_at_once(
    engine: str, patches: str, hosting: tuple[str, ...]
) -> None:
    """Each begins a hub: what that needs of imports must not depend on locks of greenlets."""
    threads = 16
    environment = {"PATCHES": patches, **QUIET}
    arguments = ("--threads", str(threads), *hosting)
    with (
        run_server("apps.patched:app", engine, *arguments, environment=environment) as server,
        ThreadPoolExecutor(threads) as clients,
    ):
        together = list(
            clients.map(lambda _: ask(server, f"/together?{threads}")[0], range(threads))
        )
        assert together == [200] * threads
        must_stop(server)


@pytest.mark.parametrize(("patches", "status"), [("gevent's waits", 200), ("gevent", 500)])
def test_processes_of_views_need_to_be_left_out_of_gevents_patches(
    engine: str, patches: str, status: int
) -> None:
    with run_server(
        "apps.patched:app", engine, "--threads", "2", environment={"PATCHES": patches}
    ) as server:
        for target in ("/child", "/program"):
            assert ask(server, target)[0] == status
            if status == 500:
                server.wait_for_line(rf"(?s)GET {target} .*only available on the default loop")
        must_stop(server)


@pytest.mark.parametrize("hosting", [ALONE, WORKER], ids=["alone", "forked"])
@pytest.mark.parametrize("patches", ["gevent", "eventlet", "everything"])
def test_patches_while_it_serves(engine: str, patches: str, hosting: tuple[str, ...]) -> None:
    with run_server(
        "apps.patched:app", engine, "--threads", "2", *hosting, environment=QUIET
    ) as server:
        must_serve(server)
        assert ask(server, f"/late?{patches}")[0] == 200
        for _ in range(4):
            assert ask(server)[0] == 200
        assert ask(server, "/fail?again")[0] == 500
        server.wait_for_line(re.escape("GET /fail?again HTTP/1.1"))
        must_stop(server)


# What is patched before this package is imported, and by whom.
EMBEDDED = """
import logging, sys
import apps.patched
import prowingen_wsgi
from prowingen_wsgi import Config, Server

handler = logging.FileHandler("/dev/stderr")
logging.getLogger("prowingen_wsgi").addHandler(handler)
logging.getLogger("prowingen_wsgi").setLevel("INFO")
config = Config(bind=("127.0.0.1:0",), threads=2, engine=sys.argv[1])
server = Server(apps.patched.app, config)
sys.exit(0 if server.run() == 15 else 1)
"""
LOGGING = """
import logging, sys
import apps.patched
from prowingen_wsgi import Config, Server

logging.basicConfig(level="INFO", format="%(name)s %(message)s")
config = Config(bind=("127.0.0.1:0",), threads=8, engine=sys.argv[1])
sys.exit(0 if Server(apps.patched.app, config).run() == 15 else 1)
"""
COMMAND = """
import sys
import apps.patched
from prowingen_wsgi.command.cli import main

bind = ["--bind", "127.0.0.1:0", "--threads", "2", "--workers", "1"]
sys.exit(main(["apps.patched:app", "--engine", sys.argv[1], *bind]))
"""


@contextmanager
def run_program(program: str, engine: str, patches: str) -> Iterator[ServerProcess]:
    environment = {**os.environ, "PYTHONPATH": str(TESTS), "PATCHES": patches, **QUIET}
    server = ServerProcess([sys.executable, "-c", program, engine], environment)
    try:
        server.url = server.wait_for_line(URL)
        yield server
    finally:
        server.end()


@pytest.mark.parametrize("program", [EMBEDDED, COMMAND], ids=["embedded", "command"])
@pytest.mark.parametrize("patches", ["gevent", "eventlet", "everything"])
def test_patches_before_the_server_is_imported(engine: str, patches: str, program: str) -> None:
    with run_program(program, engine, patches) as server:
        must_serve(server)
        must_stop(server)


CLIENTS, EACH = 64, 8


@pytest.mark.parametrize("patches", ["gevent", "eventlet"])
def test_no_thread_waits_for_ever_for_a_handler(engine: str, patches: str) -> None:
    """Its lock is of the patches, and all threads log by it at the same time."""

    def ask_often(server: ServerProcess) -> set[int]:
        with server.connect() as wire:
            targets = ("/fail", "/log") * (EACH // 2)
            return {wire.ask(target).status for target in targets}

    with (
        run_program(LOGGING, engine, patches) as server,
        ThreadPoolExecutor(CLIENTS) as clients,
    ):
        answers = list(clients.map(ask_often, [server] * CLIENTS))
        assert answers == [{200, 500}] * CLIENTS
        must_stop(server)
        lines = server.log.splitlines()
        half = CLIENTS * EACH // 2
        assert lines.count("prowingen_wsgi.error GET /fail HTTP/1.1") == half
        assert lines.count("apps.patched as asked for") == half
