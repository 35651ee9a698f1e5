"""An application that patches what PATCHES names when it is imported, or else when it is asked to.

gevent, eventlet: as their users do. gevent's waits: all but threads, their locks, and processes.
records: those of logging cannot be made.
everything: what the server could use is refused, replaced, or stands still.
"""

from __future__ import annotations

import _thread
import io
import logging
import logging.config
import os
import queue
import select
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from prowingen_wsgi.originals import time as native_time

if TYPE_CHECKING:
    from collections.abc import Iterable

PLAIN = [("Content-Type", "text/plain")]

REFUSED: dict[Any, tuple[str, ...]] = {
    _thread: ("start_new_thread",),  # Python's own imports and records of threads need its locks
    threading: ("Thread", "Timer", "_start_new_thread"),
    queue: ("SimpleQueue", "Queue"),
    time: ("sleep",),
    os: ("fork", "waitpid", "kill", "read", "write", "pipe", "dup", "close", "_exit", "utime"),
    signal: ("signal", "getsignal", "pthread_sigmask", "set_wakeup_fd"),
    socket: ("socket", "socketpair", "getaddrinfo"),
    select: ("select", "poll", "epoll"),
    selectors: ("DefaultSelector", "PollSelector", "SelectSelector"),
    subprocess: ("Popen",),
}


def refuse(*_arguments: object, **_options: object) -> None:
    raise AssertionError("the server has called what the application patched")


def patch(what: str) -> None:
    if what == "gevent":
        from gevent import monkey

        monkey.patch_all()
    elif what == "gevent's waits":
        from gevent import monkey

        monkey.patch_all(thread=False, queue=False, subprocess=False, os=False, signal=False)
    elif what == "eventlet":
        import eventlet

        eventlet.monkey_patch()
    elif what == "records":
        logging.setLogRecordFactory(no_record)
    elif what == "everything":
        patch_everything()


def no_record(*_arguments: object, **_options: object) -> logging.LogRecord:
    raise ValueError("no record")


def patch_everything() -> None:
    for module, names in REFUSED.items():
        for name in names:
            if hasattr(module, name):
                setattr(module, name, refuse)
    time.monotonic = lambda: 0.0
    os.getpid = lambda: 1
    # Closes the buffer of the real one, once nobody has the wrapper any more.
    sys.stderr = io.TextIOWrapper(sys.stderr.buffer)
    sys.stdout = sys.stderr = io.StringIO()
    sys.setswitchinterval(1e-6)
    socket.setdefaulttimeout(0.001)
    logging.config.dictConfig({"version": 1, "root": {"level": "CRITICAL"}})
    logging.disable(logging.CRITICAL)
    threading.settrace(lambda *_: None)
    sys.settrace(lambda *_: None)
    if hasattr(threading, "settrace_all_threads"):
        threading.settrace_all_threads(lambda *_: None)


ARRIVED: list[int] = []


def wait_for_others(count: int) -> None:
    """Natively, until so many threads are here, to go on at once."""
    sys.setswitchinterval(1e-6)
    ARRIVED.append(0)
    while len(ARRIVED) < count:
        native_time.sleep(0.0005)


def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    path = environ["PATH_INFO"]
    if path == "/fail":
        raise RuntimeError("as asked for")
    if path == "/log":
        logging.getLogger(__name__).warning("as asked for")
    if path == "/late":
        patch(environ["QUERY_STRING"])
    if path == "/sleep":
        time.sleep(0.05)
    if path == "/together":
        wait_for_others(int(environ["QUERY_STRING"]))
        time.sleep(0.001)
    if path == "/child":
        child = os.fork()
        if not child:
            os._exit(3)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 3
    if path == "/program":
        said = subprocess.run(["echo", "hi"], stdout=subprocess.PIPE, check=True, timeout=10)
        assert said.stdout == b"hi\n"
    if path == "/lock":
        with LOCK:
            time.sleep(0.01)
    start_response("200 OK", PLAIN)
    return [threading.current_thread().name.encode()]


patch(os.environ.get("PATCHES", ""))
LOCK = threading.Lock()
