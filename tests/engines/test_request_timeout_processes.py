"""A worker process too many of whose threads are stuck is replaced, and nobody notices."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from harness.process import run_server
from harness.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.no_tls("its server is a process of its own")

APP = """
import os, time

def app(environ, start_response):
    if environ["PATH_INFO"] == "/stuck":
        time.sleep(1e6)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
"""


def test_a_worker_with_too_many_stuck_threads_is_replaced(engine: str, tmp_path: Path) -> None:
    (tmp_path / "stuck_app.py").write_text(APP)
    options = ["--workers=1", "--threads=2", "--request-timeout=0.3", "--max-stuck=1"]
    with run_server(
        "stuck_app:app", engine, *options, environment={"PYTHONPATH": str(tmp_path)}
    ) as server:

        def ask(path: str) -> tuple[int, bytes]:
            with server.connect() as wire:
                answer = wire.ask(path)
                return answer.status, answer.body

        status, before = ask("/")
        assert status == 200
        assert [ask("/stuck")[0] for _ in range(2)] == [504, 504]
        assert eventually(lambda: ask("/")[1] != before, 20)
        server.wait_for_line("is replaced: more of its threads are stuck than max_stuck")
        assert eventually(lambda: f"(pid {before.decode()}) has ended" in server.log, 20)
        assert ask("/")[0] == 200
    assert len(re.findall("answered 504 after 0.3 s", server.log)) == 2
    assert "time.sleep(1e6)" in server.log
    assert "killed" not in server.log, "it was not waited for in vain"
