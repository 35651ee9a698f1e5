"""Applications that patch the modules which the worker is made of."""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from harness.waiting import accepts, eventually

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from harness.arbiter import Arbiter

    Start = Callable[..., Arbiter]

APP = """
import threading, time

def app(environ, start_response):
    time.sleep(0.05)
    if environ["PATH_INFO"] == "/fail":
        raise RuntimeError("as asked for")
    start_response("200 OK", [])
    return [threading.current_thread().name.encode()]
"""


GEVENT = "from gevent import monkey; monkey.patch_all()"
EVENTLET = "import eventlet; eventlet.monkey_patch()"
SILENCE = "import logging; logging.disable(logging.CRITICAL)"
STOPPED_CLOCK = "import time; time.monotonic = lambda: 0.0"


# With --preload the arbiter, which is gunicorn's own, is patched too.
@pytest.mark.parametrize(
    ("patch", "preload"),
    [(GEVENT, ()), (GEVENT, ("--preload",)), (EVENTLET, ()), (SILENCE, ()), (STOPPED_CLOCK, ())],
    ids=["gevent", "gevent preloaded", "eventlet", "silence", "stopped clock"],
)
def test_it_serves_logs_reloads_and_stops(
    start: Start, tmp_path: Path, patch: str, preload: tuple[str, ...]
) -> None:
    (tmp_path / "patching.py").write_text(f"{patch}\n{APP}")
    arbiter = start(
        "--threads", "2", *preload, app="patching:app", variables={"PYTHONWARNINGS": "ignore"}
    )
    status, thread = arbiter.ask()
    assert (status, thread[:17]) == (200, b"prowingen-worker-")
    assert arbiter.ask("/fail")[0] == 500
    arbiter.wait_for("RuntimeError: as asked for")
    arbiter.send(signal.SIGHUP)
    arbiter.booted(2)
    assert arbiter.ask()[0] == 200
    arbiter.send(signal.SIGTERM)
    assert arbiter.wait() == 0


@pytest.mark.parametrize("patch", [GEVENT, EVENTLET], ids=["gevent", "eventlet"])
def test_it_stops_when_a_request_has_patched(start: Start, tmp_path: Path, patch: str) -> None:
    late = APP.replace("    if ", f"    {patch}\n    if ", 1)
    (tmp_path / "patching.py").write_text(late)
    variables = {"PYTHONWARNINGS": "ignore"}
    arbiter = start("--threads", "2", app="patching:app", variables=variables)
    assert [arbiter.ask()[0] for _ in range(3)] == [200] * 3
    arbiter.send(signal.SIGTERM)
    assert arbiter.wait(8) == 0, "less than gunicorn's graceful_timeout, at which it kills"


@pytest.mark.parametrize("patch", [GEVENT, EVENTLET], ids=["gevent", "eventlet"])
def test_no_thread_waits_for_ever_for_a_log(start: Start, tmp_path: Path, patch: str) -> None:
    """Both logs' handlers have locks of the patches, and all threads write at the same time."""
    (tmp_path / "patching.py").write_text(f"{patch}\n{APP.replace('0.05', '0.001')}")
    logs = ("--access-logfile", "-", "--error-logfile", str(tmp_path / "errors"))
    arbiter = start(
        "--threads",
        "8",
        *logs,
        app="patching:app",
        bind=f"unix:{tmp_path}/socket",
        variables={"PYTHONWARNINGS": "ignore"},
    )
    arbiter.known_addresses = [f"unix:{tmp_path}/socket"]
    assert eventually(lambda: accepts(tmp_path / "socket"))

    def ask_often(_client: int) -> set[int]:
        return {arbiter.ask(target)[0] for target in ("/", "/fail") * 4}

    with ThreadPoolExecutor(64) as clients:
        assert list(clients.map(ask_often, range(64))) == [{200, 500}] * 64
    arbiter.send(signal.SIGTERM)
    assert arbiter.wait() == 0
    assert arbiter.output.count('"GET /') == 512
    assert (tmp_path / "errors").read_text().count("RuntimeError: as asked for") == 256
