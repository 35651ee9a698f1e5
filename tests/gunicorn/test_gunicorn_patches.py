"""Applications that patch the modules which the worker is made of."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

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
