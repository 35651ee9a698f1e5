"""The administrators' address of a server that a program embeds: it answers with its own stacks."""

from __future__ import annotations

import gc
import os
import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import prowingen_wsgi
import pytest

from harness.admin_control import JSON, RIGHT, post, question, stacks_of
from harness.apps import hello
from harness.scraping import admin_of, ask_admin
from harness.site import address_of
from harness.waiting import eventually

if TYPE_CHECKING:
    from harness.apps import Environ, StartResponse
    from harness.site import ServeFixture

needs_proc = pytest.mark.skipif(
    not Path("/proc/self/fd").exists(), reason="descriptors are counted in /proc"
)


def test_it_shows_the_stacks_of_its_process(serve: ServeFixture) -> None:
    held = threading.Event()

    def waiting(_: Environ, start_response: StartResponse) -> list[bytes]:
        held.wait(30)
        start_response("200 OK", [])
        return []

    site = serve(waiting, admin_bind="127.0.0.1:0")
    admin = admin_of(site)

    def in_requests() -> list[dict[str, Any]]:
        [worker] = stacks_of(admin)
        assert (worker["pid"], worker["note"]) == (os.getpid(), "")
        return [each for each in worker["threads"] if each["request"] is not None]

    assert in_requests() == []
    with site.connect() as wire:
        wire.get("/wait?for=what")
        assert eventually(lambda: len(in_requests()) == 1)
        [thread] = in_requests()
        assert thread["request"].startswith("GET /wait?for=what HTTP/")
        assert any(frame["function"].endswith("waiting") for frame in thread["frames"])
        held.set()
        assert wire.response().status == 200
    assert eventually(lambda: in_requests() == [])


def test_nothing_else_can_be_asked_of_it(serve: ServeFixture) -> None:
    site = serve(hello, admin_bind="127.0.0.1:0")
    answer = post(admin_of(site), question("stop"), RIGHT, JSON)
    assert answer.status == 403
    assert "admin_token_file is not set" in answer.text
    assert site.ask("/").status == 200


def test_each_of_two_servers_answers_for_its_process(serve: ServeFixture) -> None:
    sites = [serve(hello, admin_bind="127.0.0.1:0") for _ in range(2)]
    for site in sites:
        names = {each["thread"] for each in stacks_of(admin_of(site))[0]["threads"]}
        assert "MainThread" in names
        assert any(name.startswith("prowingen-worker-") for name in names)


@needs_proc
def test_it_leaves_nothing_behind(tmp_path: Path) -> None:
    """Neither one that has served, nor one that could not start."""

    def served() -> None:
        with prowingen_wsgi.serve(hello, bind="127.0.0.1:0", admin_bind="127.0.0.1:0") as server:
            assert ask_admin(address_of(server.admins[0]), "/-/stacks").status == 200

    def refused() -> None:
        with pytest.raises(OSError, match=re.escape(str(tmp_path))):
            prowingen_wsgi.serve(
                hello,
                bind="127.0.0.1:0",
                admin_bind="127.0.0.1:0",
                access_log=str(tmp_path / "none" / "log"),
            )

    def left() -> tuple[int, int]:
        gc.collect()  # the error that was raised has the server in its frames
        return len(list(Path("/proc/self/fd").iterdir())), threading.active_count()

    served()  # what is opened once, for all that come, stays
    refused()
    before = left()
    for _ in range(3):
        served()
        refused()
    assert eventually(lambda: left() == before), (before, left())
