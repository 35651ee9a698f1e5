"""What `prowingen ctl` prints for people; programs are given JSON.

What comes from requests and from the application, such as a request line in a stack, is printed
with its control characters escaped: it must not be able to say anything to a terminal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence


def event(said: Mapping[str, Any]) -> str:
    """One line."""
    if said.get("is") == "begun":
        return f"generation {said['generation']} begins"
    if said.get("is") == "stopping":
        return f"process {said['pid']} is stopping"
    who = "the application"
    if said.get("worker"):
        who = f"worker {said['worker']} (pid {said['pid']})"
    if said.get("is") == "failed":
        return f"{who} failed to start: {printable(str(said['why']))}"
    return f"{who} is {said.get('is', 'unknown')}"


def result(command: str, said: Mapping[str, Any]) -> str:
    """Lines, without the last newline."""
    return "\n".join(_LINES[command](said))


def _status(said: Mapping[str, Any]) -> Iterator[str]:
    state = "ready" if said["ready"] else f"not ready: {said['why_not_ready']}"
    yield f"{said['state']}, {state}"
    pairs = [
        ("pid", f"{said['pid']} (prowingen-wsgi {said['version']})"),
        ("addresses", ", ".join(said["addresses"])),
        ("up for", duration(said["seconds_up"])),
        ("log level", said["log_level"]),
        ("requests", f"{said['requests_taken']} taken, {said['queue_length']} wait"),
        ("turned away", f"{said['requests_rejected']} queue full, {said['requests_refused']} bad"),
        ("connections", f"{said['connections_open']} open, {said['connections_accepted']} so far"),
        ("memory", size(said["rss_bytes"])),
    ]
    if said["serves_by"] == "workers":
        counts = ", ".join(f"{count} {state}" for state, count in said["workers"].items() if count)
        wanted = f"{said['workers_wanted']} wanted, {said['threads']} threads each"
        pairs.insert(1, ("workers", f"{counts or 'none'} ({wanted})"))
        pairs.insert(2, ("generation", str(said["generation"])))
        if said["last_failed_start"]:
            pairs.append(("last failure", event(said["last_failed_start"])))
    else:
        pairs.insert(1, ("workers", f"none: one process of {said['threads']} threads"))
    for name, value in pairs:
        yield f"  {name:12}  {value}"


WORKER_COLUMNS = ("worker", "pid", "gen", "state", "up", "requests", "queue", "conns", "memory")


def worker_row(each: Mapping[str, Any]) -> tuple[str, ...]:
    """Of the same columns, and what there is to say beside."""
    notes = [each["why_not_ready"]] if each["why_not_ready"] else []
    if each["is_replaced_since"]:
        notes.append(each["is_replaced_since"])
    return (
        str(each["worker"]),
        str(each["pid"]),
        str(each["generation"]),
        each["state"],
        duration(each["seconds_served"]),
        str(each["requests_taken"]),
        str(each["queue_length"]),
        str(each["connections_open"]),
        size(each["rss_bytes"]),
        "; ".join(notes),
    )


def _workers(said: Mapping[str, Any]) -> Iterator[str]:
    rows = [(*WORKER_COLUMNS, ""), *(worker_row(each) for each in said["workers"])]
    yield from table(rows)


def _requests(said: Mapping[str, Any]) -> Iterator[str]:
    from .in_flight import lines  # which uses this

    return lines(said["workers"])


def _stacks(said: Mapping[str, Any]) -> Iterator[str]:
    for each in said["workers"]:
        yield f"worker {each['worker']} (pid {each['pid']}), {each['state']}"
        if each["note"]:
            yield f"  {each['note']}"
        for thread in each["threads"]:
            yield from _thread(thread)


def _thread(thread: Mapping[str, Any]) -> Iterator[str]:
    doing = ""
    if thread["request"] is not None:
        doing = f": {printable(thread['request'])}"
        if thread["seconds"] is not None:
            doing += f", for {thread['seconds']:.1f} s"
    elif thread["idle"]:
        doing = f": {thread['idle']}"
    yield f"  {printable(thread['thread'])}{doing}"
    if thread["idle"]:
        return
    if thread["is_cut"]:
        yield "    ..."
    for frame in thread["frames"]:
        place = f'File "{frame["file"]}", line {frame["line"]}, in {frame["function"]}'
        yield f"    {printable(place)}"
        if frame["source"]:
            yield f"      {printable(frame['source'])}"


def _reload(said: Mapping[str, Any]) -> Iterator[str]:
    if said["is"] == "begun":
        yield f"the reload has begun, of generation {said['generation']}; --wait waits for it"
    else:
        yield f"reloaded: {said['workers']} workers of generation {said['generation']} serve"


def _stop(said: Mapping[str, Any]) -> Iterator[str]:
    yield f"process {said['pid']} " + ("has ended" if said["is"] == "ended" else "is stopping")


def _log_level(said: Mapping[str, Any]) -> Iterator[str]:
    yield f"the log's level is {said['level']}"
    if said["workers_to_follow"]:
        late = ", ".join(map(str, said["workers_to_follow"]))
        yield f"workers that are busy follow as soon as their threads run: {late}"


def _ready(said: Mapping[str, Any]) -> Iterator[str]:
    if said["withdrawn"]:
        yield "probes are told that it is not ready"
    else:
        yield "probes are told what it is by itself"
    if not said["probes"]:
        yield "but neither health_path nor admin_bind is set: no probe can ask"


_LINES = {
    "status": _status,
    "workers": _workers,
    "requests": _requests,
    "stacks": _stacks,
    "reload": _reload,
    "stop": _stop,
    "log-level": _log_level,
    "ready": _ready,
}


def table(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        yield "  ".join(cells).rstrip()


def duration(seconds: float) -> str:
    """Roughly, as people say it."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"


def size(octets: int) -> str:
    return f"{octets / 2**20:.0f} MiB"


def printable(text: str) -> str:
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)
