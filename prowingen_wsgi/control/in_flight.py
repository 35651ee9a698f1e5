"""The requests that worker threads are in, as the command `requests` tells of them.

    native: a tuple for each thread --row()--> what programs are given --table_rows()--> people

A process writes them where the supervisor reads them, without anybody's GIL and only while somebody
asks: see cpp/processes/activity.h. What clients have sent is text here and stays text: whoever
prints it makes it printable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .shown import duration, printable, table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    Doing = tuple[int, str, str, str, float, float | None]
    """As `_native.Server.doing` has it."""

COLUMNS = ("worker", "pid", "thread", "state", "for", "left", "client", "method", "target")
# Letters of a method that people are shown; none of those that are registered has more.
_METHOD_SIZE = 18
_NOTHING = "no thread is in a request"


def row(doing: Doing) -> dict[str, Any]:
    """One thread, for programs: times in seconds."""
    ident, state, client, line, seconds, left = doing
    # None of the three parts of a request line has a blank in it.
    method, _, rest = line.partition(" ")
    target, _, _ = rest.partition(" ")
    return {
        "ident": ident,
        "state": state,
        "client": client,
        "method": method,
        "target": target,
        "seconds": round(seconds, 3),
        "seconds_left": None if left is None else round(left, 3),
    }


def of_process(
    worker: int, process: int, doing: Sequence[Doing] | None, note: str = ""
) -> dict[str, Any]:
    """One process; `doing`: None: it does not say."""
    rows = [row(each) for each in doing or ()]
    return {"worker": worker, "pid": process, "note": note, "requests": rows}


def lines(workers: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """For people, what has taken longest first."""
    workers = list(workers)
    found = [(each, request) for each in workers for request in each["requests"]]
    found.sort(key=lambda pair: -pair[1]["seconds"])
    if found:
        yield from table([COLUMNS, *(_cells(*pair) for pair in found)])
    else:
        yield _NOTHING
    for each in workers:
        if each["note"]:
            yield f"worker {each['worker']} (pid {each['pid']}): {each['note']}"


def _cells(worker: Mapping[str, Any], request: Mapping[str, Any]) -> tuple[str, ...]:
    left = request["seconds_left"]
    return (
        str(worker["worker"]),
        str(worker["pid"]),
        f"{request['ident']:#x}",
        printable(request["state"]).replace("_", " "),
        duration(request["seconds"]),
        "" if left is None else duration(max(left, 0.0)),
        printable(request["client"]) or "-",
        printable(request["method"][:_METHOD_SIZE]),
        printable(request["target"]),
    )
