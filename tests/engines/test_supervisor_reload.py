"""Reloading: new code and configuration, and no request that fails meanwhile."""

from __future__ import annotations

import json
import os
import signal
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

from harness.load import under_load
from harness.process import TESTS, URL, ServerProcess, run_server
from harness.site import address_of
from harness.waiting import eventually
from harness.wire import Wire, until_refused
from test_supervisor import ask, children, is_gone, ready, supervised, wait_until

if TYPE_CHECKING:
    from pathlib import Path

VERSIONS = """
from apps.workers import app as workers

VERSION = {version!r}

def app(environ, start_response):
    if environ["PATH_INFO"] == "/version":
        start_response("200 OK", [("Content-Length", str(len(VERSION)))])
        return [VERSION.encode()]
    return workers(environ, start_response)
"""


def write(folder: Path, version: str) -> None:
    draft = folder / "draft"
    draft.write_text(VERSIONS.format(version=version))
    draft.replace(folder / "versioned.py")


def versions(server: ServerProcess) -> set[str]:
    return {ask(server, "/version") for _ in range(10)}


@pytest.mark.parametrize("preload", [(), ("--preload",)], ids=["forked", "preloaded"])
def test_a_reload_brings_new_code_and_fails_no_request(
    engine: str, tmp_path: Path, preload: tuple[str, ...]
) -> None:
    write(tmp_path, "0")
    with supervised(engine, *preload, app="versioned:app", path=tmp_path) as server:
        with under_load(server.address) as load:
            for version in range(1, 6):
                load.wait_for_answers(100)
                write(tmp_path, str(version))
                server.signal(signal.SIGHUP)
                wait_until(lambda count=version: ready(server) == 2 + 2 * count, "no reload")  # type: ignore[misc]
                wait_until(lambda now=str(version): versions(server) == {now}, "old code")  # type: ignore[misc]
        assert load.failures == []
        assert len(load.answers) >= 8, "of new workers each time"
        if preload:
            wait_until(lambda: len(children(server.pid)) == 1, "an old template is left")


def test_a_reload_that_cannot_import_keeps_the_old_workers(engine: str, tmp_path: Path) -> None:
    for preload in ([], ["--preload"]):
        write(tmp_path, "good")
        with supervised(engine, *preload, app="versioned:app", path=tmp_path) as server:
            before = ready(server)
            (tmp_path / "versioned.py").write_text("def app(:\n")
            server.signal(signal.SIGHUP)
            server.wait_for_line("SyntaxError")
            server.wait_for_line("the reload failed, the workers go on as they are")
            assert ready(server) == before
            assert versions(server) == {"good"}
            # An accident meanwhile finds no code to start again with, until it is mended.
            write(tmp_path, "mended")
            server.signal(signal.SIGHUP)
            wait_until(lambda: versions(server) == {"mended"}, server.log)


# What applications do that leaves a worker without what it serves by, after they are loaded.
NO_THREADS = "import threading; threading.stack_size(1 << 45)"
FEW_DESCRIPTORS = """
import os, resource
lowest = os.dup(0)
os.close(lowest)
resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + 1, lowest + 1))
"""


@pytest.mark.parametrize("fault", [NO_THREADS, FEW_DESCRIPTORS], ids=["threads", "descriptors"])
def test_a_worker_is_ready_when_all_is_there_that_it_serves_by(
    engine: str, tmp_path: Path, fault: str
) -> None:
    write(tmp_path, "good")
    good = (tmp_path / "versioned.py").read_text()
    with supervised(engine, app="versioned:app", path=tmp_path) as server:
        before = children(server.pid)
        (tmp_path / "versioned.py").write_text(good + fault)
        server.signal(signal.SIGHUP)
        server.wait_for_line("the reload failed, the workers go on as they are")
        assert children(server.pid) == before
        assert ready(server) == 2
        assert versions(server) == {"good"}
    with (
        pytest.raises(AssertionError),
        supervised(engine, app="versioned:app", path=tmp_path) as server,
    ):
        pass


def test_a_reload_in_the_middle_of_another_wins(engine: str, tmp_path: Path) -> None:
    write(tmp_path, "first")
    with supervised(engine, app="versioned:app", path=tmp_path) as server:
        with under_load(server.address) as load:
            for version in ("second", "third", "fourth"):
                write(tmp_path, version)
                server.signal(signal.SIGHUP)
            wait_until(lambda: versions(server) == {"fourth"}, server.log)
            wait_until(lambda: len(children(server.pid)) == 2, "too many workers")
        assert load.failures == []


@pytest.mark.parametrize("preload", ["false", "true"], ids=["forked", "preloaded"])
def test_an_address_that_a_reload_removes_is_free(
    engine: str, tmp_path: Path, preload: str
) -> None:
    def bind(*addresses: str) -> None:
        (tmp_path / "prowingen.toml").write_text(
            f'app = "apps.plain:app"\nengine = "{engine}"\nworkers = 2\npreload = {preload}\n'
            f"bind = {json.dumps(addresses)}\n"
        )

    bind("127.0.0.1:0", "127.0.0.2:0")
    command = [sys.executable, "-m", "prowingen_wsgi"]
    environment = {**os.environ, "PYTHONPATH": str(TESTS), "PYTHONUNBUFFERED": "1"}
    server = ServerProcess(command, environment, cwd=tmp_path)
    try:
        server.url = server.wait_for_line(URL)
        removed = address_of(server.wait_for_line(r"http://127\.0\.0\.2:\d+"))
        wait_until(lambda: ready(server) == 2, server.log)
        bind("127.0.0.1:0")
        server.signal(signal.SIGHUP)
        until_refused(lambda: Wire(removed))
        with server.connect() as wire:
            assert wire.ask().status == 200
        server.signal()
        assert server.wait() == 0
    finally:
        server.end()


def write_until_served(server: ServerProcess, folder: Path, version: str) -> None:
    """The watching begins a little after the serving, so the first change may not be seen."""

    def served() -> bool:
        write(folder, version)
        return versions(server) == {version}

    wait_until(served, server.log)


@pytest.mark.skipif(find_spec("watchfiles") is None, reason="watchfiles is not installed")
def test_in_development_a_change_reloads(engine: str, tmp_path: Path) -> None:
    write(tmp_path, "first")
    environment = {
        "PYTHONPATH": os.pathsep.join([str(tmp_path), str(TESTS)]),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    arguments = ("--reload", "--reload-paths", str(tmp_path))
    with run_server("versioned:app", engine, *arguments, environment=environment) as server:
        assert versions(server) == {"first"}
        write_until_served(server, tmp_path, "second")
        server.wait_for_line("changed: .*versioned.py")
        write_until_served(server, tmp_path, "third")
        (tmp_path / "versioned.py").write_text("1 / 0")
        server.wait_for_line("ZeroDivisionError")
        assert versions(server) == {"third"}, "it serves until the mistake is mended"
        write_until_served(server, tmp_path, "fourth")
        family = children(server.pid)
        server.signal(signal.SIGINT)
        assert server.wait() in (130, -signal.SIGINT)
        assert all(map(is_gone, family))


@pytest.mark.skipif(find_spec("watchfiles") is None, reason="watchfiles is not installed")
def test_in_development_a_mistake_at_the_start_is_waited_for(engine: str, tmp_path: Path) -> None:
    (tmp_path / "versioned.py").write_text("1 / 0\n")
    command = [sys.executable, "-m", "prowingen_wsgi", "versioned:app", "--engine", engine]
    command += ["--bind", "127.0.0.1:0", "--reload", "--reload-paths", str(tmp_path)]
    path = os.pathsep.join([str(tmp_path), str(TESTS)])
    server = ServerProcess(
        command, {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    )
    try:
        server.wait_for_line("waiting for a change")

        def mended() -> bool:  # again and again: nobody tells when the watching begins
            write(tmp_path, "mended")
            return "listening" in server.log

        assert eventually(mended), server.log
        server.url = server.wait_for_line(URL)
        wait_until(lambda: versions(server) == {"mended"}, server.log)
        server.signal()
        assert server.wait() == 0
    finally:
        server.end()
