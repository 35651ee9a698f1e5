"""What the scoreboard says of a worker, in an administrator's words.

Read without asking the worker, whose Python may be stuck. Whether it is ready is decided as
cpp/health/readiness.h does for probes: what that says of one process is said here of each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..originals import time
from .worker import State

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ..configuration.config import Config
    from .worker import Worker

# One whose figures are no more written for so long has ended, or is stopped.
_HEARTBEAT_LASTS = 2.0
# Figures that are summed up for the whole server.
SUMMED = (
    "requests_taken",
    "requests_rejected",
    "requests_refused",
    "protocol_errors",
    "queue_length",
    "workers_running",
    "connections_accepted",
    "connections_open",
    "rss_bytes",
)


def why_not_ready(scores: Mapping[str, int], config: Config, now_ns: int) -> str:
    """What keeps one process from being ready by itself; empty if nothing does."""
    if not scores["accepting"]:
        return "it takes no connections"
    if now_ns - scores["heartbeat_ns"] >= _HEARTBEAT_LASTS * 1e9:
        return "nothing is heard of it"
    if scores["unready"]:
        return "the application says so"
    if scores["stalled_ns"] > config.health_stall * 1e9:
        return "every worker thread is stuck"
    if config.queue_timeout and scores["waiting_ns"] > config.queue_timeout * 1e9:
        return "requests wait for longer than queue_timeout"
    return ""


def worker_figures(worker: Worker, scores: Mapping[str, int]) -> dict[str, Any]:
    """One worker, for programs: times in seconds, sizes in octets."""
    now_ns = time.monotonic_ns()
    obstacle = why_not_ready(scores, worker.generation.config, now_ns)
    figures: dict[str, Any] = {
        "worker": worker.number,
        "pid": worker.process,
        "generation": worker.generation.number,
        "state": worker.state.value,
        "ready": worker.state is State.ready and not obstacle,
        "why_not_ready": obstacle if worker.state is State.ready else f"it is {worker.state.value}",
        "seconds_served": round(worker.served(now_ns / 1e9), 1),
        "is_replaced_since": worker.expires,
        "seconds_stuck": round(scores["stalled_ns"] / 1e9, 1),
        "seconds_oldest_request_waits": round(scores["waiting_ns"] / 1e9, 1),
    }
    if scores["heartbeat_ns"]:
        figures["seconds_since_heard"] = round((now_ns - scores["heartbeat_ns"]) / 1e9, 1)
    figures.update({name: scores[name] for name in SUMMED})
    return figures


def summed(workers: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """The figures of all workers together; of those alone that there are now."""
    sums = dict.fromkeys(SUMMED, 0)
    for each in workers:
        for name in SUMMED:
            sums[name] += each[name]
    return sums
