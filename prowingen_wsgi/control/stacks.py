"""What the threads of a process are in: their Python frames, and the requests that they serve.

    collected()      by a thread that has the GIL, so that no frame changes meanwhile
    parsed(dump)     of what faulthandler has written without the GIL, in a signal's handler

Both are lists of threads of the same form; the second knows no requests.
"""

from __future__ import annotations

import linecache
import re
import sys
from typing import TYPE_CHECKING, Any

from ..signals import SignalQueue
from ..threads import WORKER_PREFIX, current, names

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import FrameType

MOST_FRAMES = 64
"""Of one thread; the innermost ones."""
MOST_THREADS = 512
_MOST_TEXT = 300

_THREAD = re.compile(r"^(?:Current thread|Thread) 0x([0-9a-f]+)(?: \[(.*)\])? \(most recent call")
_FRAME = re.compile(r'^  File "(.*)", line (\d+|\?\?\?) in (.*)$')


def collected(requests: Iterable[tuple[int, str, float]]) -> list[dict[str, Any]]:
    """All threads of this process but the one that asks; those in requests come first.

    requests: as `_native.Server.requests` has them.
    """
    called = names()
    in_requests = {ident: (line, seconds) for ident, line, seconds in requests}
    frames = {key: each for key, each in sys._current_frames().items() if key != current()}
    threads = []
    for ident in sorted(frames, key=lambda each: (each not in in_requests, called.get(each, "~"))):
        line, seconds = in_requests.get(ident, (None, -1.0))
        name = called.get(ident, f"thread {ident:#x}")
        threads.append(
            {
                "thread": name,
                "ident": ident,
                "request": line,
                "seconds": round(seconds, 3) if seconds >= 0 else None,
                "idle": _idle(name, frames[ident]) if line is None else "",
                **_frames_of(frames[ident]),
            }
        )
    return threads[:MOST_THREADS]


def _idle(name: str, innermost: FrameType) -> str:
    """What a thread of the server's own waits for outside of requests; empty for all others."""
    if name.startswith(WORKER_PREFIX):
        return "waits for a request"
    if name == "prowingen-log":
        return "waits for lines of the log"
    return "waits for signals" if innermost.f_code is SignalQueue.next.__code__ else ""


def _frames_of(innermost: FrameType) -> dict[str, Any]:
    """The innermost last, as tracebacks are."""
    frames: list[dict[str, Any]] = []
    frame: FrameType | None = innermost
    while frame is not None and len(frames) < MOST_FRAMES:
        code = frame.f_code
        frames.append(
            {
                "file": code.co_filename[:_MOST_TEXT],
                "line": frame.f_lineno,
                "function": getattr(code, "co_qualname", code.co_name)[:_MOST_TEXT],
                "source": _source(frame),
            }
        )
        frame = frame.f_back
    return {"frames": frames[::-1], "is_cut": frame is not None}


def _source(frame: FrameType) -> str:
    try:
        line = linecache.getline(frame.f_code.co_filename, frame.f_lineno or 0, frame.f_globals)
    except Exception:  # noqa: BLE001  # a loader of the application's
        return ""
    return line.strip()[:_MOST_TEXT]


def parsed(dump: str) -> list[dict[str, Any]]:
    """The threads of a dump by `faulthandler`, whose innermost frames come first."""
    threads: list[dict[str, Any]] = []
    for line in dump.splitlines():
        if found := _THREAD.match(line):
            threads.append(
                {
                    "thread": found[2] or f"thread 0x{found[1].lstrip('0')}",
                    "ident": int(found[1], 16),
                    "request": None,
                    "seconds": None,
                    "idle": "",
                    "frames": [],
                    "is_cut": False,
                }
            )
        elif not threads:
            continue
        elif line.startswith("  ..."):
            threads[-1]["is_cut"] = True
        elif found := _FRAME.match(line):
            number = 0 if found[2] == "???" else int(found[2])
            frame = {"file": found[1], "line": number, "function": found[3], "source": ""}
            threads[-1]["frames"].insert(0, frame)
    return threads[:MOST_THREADS]
