"""A supervisor whose machine has no further descriptor or process to give."""

from __future__ import annotations

import errno
import json
import os
import resource
import socket
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from prowingen_wsgi import originals
from prowingen_wsgi.configuration.config import Config
from prowingen_wsgi.processes.child import Post
from prowingen_wsgi.processes.program import Program
from prowingen_wsgi.processes.supervisor import Supervisor
from prowingen_wsgi.processes.template import _Template
from prowingen_wsgi.processes.worker import SpawnError
from prowingen_wsgi.systemd import Notifier

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prowingen_wsgi._native import RateTable, Scoreboard
    from prowingen_wsgi.processes.generation import Generation
    from prowingen_wsgi.processes.signal_pipe import SignalPipe
    from prowingen_wsgi.processes.template import Template

DESCRIPTORS = Path("/proc/self/fd")
SPAWN = b'{"spawn": 7, "seats": [], "has_link": false, "log_level": ""}'
NOBODY = 1 << 30  # a process id that there cannot be

pytestmark = pytest.mark.skipif(not DESCRIPTORS.exists(), reason="descriptors are counted in /proc")


def open_descriptors() -> set[str]:
    return {f"{each.name} {each.readlink()}" for each in DESCRIPTORS.iterdir() if each.exists()}


def fail(*_: object) -> None:
    raise OSError(errno.EMFILE, "Too many open files")


class Supervised:
    """A supervisor that is asked for workers, by hand."""

    def __init__(self, folder: Path, *, preload: bool) -> None:
        config = Config(bind=(f"unix:{folder}/socket",), workers="1", preload=preload)
        program = Program(config, lambda: lambda _environ, _start_response: [])
        signals, self._other_end = socket.socketpair()
        self.supervisor = Supervisor(
            program, lambda: program, Notifier({}), cast("SignalPipe", signals)
        )
        self.selector = self.supervisor._selector
        (self.generation,) = self.supervisor._rules.generations
        self._signals = signals

    def start(self) -> None:
        self.supervisor.start_worker(self.generation)

    def has_template(self) -> None:
        """One that is ready, and can fork nothing."""
        mine, theirs = socket.socketpair()
        theirs.close()

        def spawn(_post: object) -> int:
            raise SpawnError("no further process")

        template = SimpleNamespace(
            is_ready=True, is_gone=False, spawn=spawn, close=mine.close, fileno=mine.fileno
        )
        self.supervisor._templates[self.generation] = cast("Template", template)

    def close(self) -> None:
        self.supervisor._sockets.close()
        self.supervisor._forget()
        os.close(self.supervisor._lifeline_reader)
        self._other_end.close()


@pytest.fixture(params=[False, True], ids=["forked", "preloaded"])
def supervised(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Supervised]:
    before = open_descriptors()
    supervised = Supervised(tmp_path, preload=request.param)
    try:
        yield supervised
    finally:
        supervised.close()
    assert open_descriptors() <= before


def refused(supervised: Supervised) -> None:
    """Again and again, as it is tried again and again; nothing becomes of it."""
    before, waited_for = open_descriptors(), set(supervised.selector.get_map())
    for _ in range(3):
        with pytest.raises(SpawnError):
            supervised.start()
    assert open_descriptors() == before
    assert set(supervised.selector.get_map()) == waited_for


@pytest.mark.parametrize("lacking", ["os.pipe", "os.fork", "socket.socketpair"])
def test_a_worker_that_cannot_be_had_now_is_no_end(
    supervised: Supervised, monkeypatch: pytest.MonkeyPatch, lacking: str
) -> None:
    preload = supervised.generation.config.preload
    if lacking == "os.pipe" and preload:
        supervised.has_template()
    if lacking == "socket.socketpair" and not preload:
        pytest.skip("only a template is spoken to through one")
    module, _, call = lacking.partition(".")
    with monkeypatch.context() as patches:
        patches.setattr(getattr(originals, module), call, fail)
        refused(supervised)


def test_a_worker_that_its_template_cannot_fork_is_no_end(supervised: Supervised) -> None:
    if not supervised.generation.config.preload:
        pytest.skip("there is no template")
    supervised.has_template()
    refused(supervised)


def test_a_worker_that_nobody_could_hear_is_not_started(
    supervised: Supervised, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[int] = []

    def fork() -> int:
        started.append(NOBODY)
        return NOBODY

    with monkeypatch.context() as patches:
        patches.setattr(originals.os, "fork", fork)
        patches.setattr(supervised.selector, "register", fail)
        refused(supervised)
    if supervised.generation.config.preload:  # a template ends when it is let go
        assert set(supervised.supervisor._leaving) == set(started)
    else:
        assert not started


def test_a_watcher_that_cannot_be_had_now_is_started_later(
    supervised: Supervised, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    supervisor, config = supervised.supervisor, supervised.generation.config
    with monkeypatch.context() as patches:
        patches.setattr(originals.os, "fork", fail)
        supervisor._watch(config)
    assert "nothing is watched, next try in 5 s" in caplog.text
    assert supervisor._watch_at < float("inf")
    with monkeypatch.context() as patches:
        patches.setattr(originals.os, "fork", lambda: NOBODY)
        supervisor._watch(config)
    assert supervisor._watcher == NOBODY
    assert supervisor._watch_at == float("inf")


@contextmanager
def template_process() -> Iterator[tuple[_Template, socket.socket]]:
    """A template's own side, in this process, and the supervisor's end."""
    before = open_descriptors()
    ours, theirs = originals.socket.socketpair()
    status, lifeline = os.pipe()
    post = Post(0, -1, lifeline, cast("Scoreboard", None), cast("RateTable", None))
    template = _Template(cast("Generation", None), post, theirs)
    try:
        yield template, ours
    finally:
        template._forget()
        ours.close()
        os.close(status)
        os.close(lifeline)
    assert open_descriptors() <= before


def obey(template: _Template) -> bool:
    return template._obey(lambda _environ, _start_response: [])


def test_a_template_without_a_free_descriptor_says_so_and_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with template_process() as (template, ours):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        lowest = os.dup(0)
        os.close(lowest)
        socket.send_fds(ours, [SPAWN], [0])
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
        try:
            assert obey(template)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert json.loads(ours.recv(100)) == {"failed": errno.EMFILE}

        inheritable: list[bool] = []

        def fork(_main: object, _forget: object) -> int:
            inheritable.extend(
                os.get_inheritable(int(each.name))
                for each in DESCRIPTORS.iterdir()
                if each.exists() and int(each.name) == lowest
            )
            return NOBODY

        monkeypatch.setattr("prowingen_wsgi.processes.template.fork", fork)
        monkeypatch.setattr(originals.os, "set_inheritable", fail)
        socket.send_fds(ours, [SPAWN], [0])
        assert obey(template)
        assert json.loads(ours.recv(100)) == {"spawned": NOBODY}
        assert inheritable == [False], "from the start"


def test_a_template_whose_supervisor_has_ended_leaves_quietly() -> None:
    with template_process() as (template, ours):
        template._say({"ready": 1})
        ours.close()
        assert not obey(template)
