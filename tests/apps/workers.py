"""An app for several processes: says which one answers, and ends, grows or hangs when asked to."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

Environ = dict[str, Any]
StartResponse = Callable[..., Any]

LOADED_BY = os.getpid()
_HOARD: list[bytearray] = []


def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    what = environ["PATH_INFO"].strip("/")
    answer = str(os.getpid())
    if what == "loader":
        answer = str(LOADED_BY)
    elif what == "environ":
        answer = str(environ["wsgi.multiprocess"])
    elif what == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
        time.sleep(10)  # another thread may be the one that gets it
    elif what == "exit":
        os._exit(7)
    elif what == "grow":
        _HOARD.append(bytearray(b"x") * (200 << 20))
    elif what == "hang":
        threading.Event().wait()
    elif what == "slow":
        time.sleep(0.5)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(answer)))])
    return [answer.encode()]
