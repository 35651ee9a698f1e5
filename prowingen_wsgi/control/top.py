"""`prowingen top`: what a server does, in a terminal, twice a second until q is pressed.

    asked --> a Frame of what is to be seen --> painted, as much as the terminal has room for
      ^---------- half a second, or a key --------------'

Below what the server as a whole does there are its workers or, since t was pressed, the requests
that their threads are in. Asking is done by the control socket, as by `prowingen ctl`; a server
that goes away is waited for, since that is when one looks. Rates are between two answers, so the
first frame has none. For scripts the same is printed once, and a server that is not there is an
error.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from ..originals import os, time
from ..output import print_error, write_output
from . import in_flight
from .client import NoServerError, SilentError, ask
from .command import DONE, FAILED, MISUSE, NO_SERVER, SILENT, VARIABLE
from .protocol import NotDone
from .shown import WORKER_COLUMNS, duration, printable, size, table, worker_row

if TYPE_CHECKING:
    import curses
    from collections.abc import Mapping, Sequence

INTERVAL = 0.5
"""Seconds from one look to the next."""

# In seconds: what a server gets for an answer, which is to be there at once.
_PATIENCE = 2.0
_ENDS = {ord("q"), ord("Q"), 27}  # the last is Escape
_TURNS = {ord("t"), ord("T")}
_RATED = ("requests_taken", "connections_accepted")


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="prowingen top",
        description="Shows what a server does, by its control socket, until q is pressed.",
        allow_abbrev=False,
    )
    parser.add_argument("--socket", metavar="PATH", help=f"the server's (default: ${VARIABLE})")
    parser.add_argument(
        "--threads",
        action="store_true",
        help="show the requests that threads are in, and not the workers, until t is pressed",
    )
    parser.add_argument(
        "--once", action="store_true", help="print it once, which takes no terminal, and end"
    )
    return parser


def main(arguments: Sequence[str]) -> int:
    """Runs the command and returns its exit code: 2 where there is no terminal, and with --once
    those of `prowingen ctl`."""
    parser = make_parser()
    given = parser.parse_args(arguments)
    path = given.socket or os.environ.get(VARIABLE, "")
    if not path:
        parser.error(f"which server? Give its --socket PATH, or set {VARIABLE}")
    watched = Watched(path, threads=given.threads)
    if given.once:
        return _print_once(watched)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        print_error("top needs a terminal; with --once it does not")
        return MISUSE
    try:
        import curses  # which not every Python has
    except ImportError as error:
        print_error(f"top needs Python's module curses: {error}")
        return FAILED
    try:
        curses.wrapper(lambda screen: _show(screen, watched))
    except curses.error as error:
        print_error(f"this terminal cannot show it: {error}")
        return FAILED
    except KeyboardInterrupt:
        pass
    return 0


def _print_once(watched: Watched) -> int:
    try:
        lines = watched.look()
    except NoServerError as error:
        print_error(printable(str(error)))
        return NO_SERVER
    except SilentError as error:
        print_error(printable(str(error)))
        return SILENT
    except NotDone as error:
        print_error(printable(str(error)))
        return FAILED
    write_output("".join(f"{line}\n" for line in lines))
    return DONE


class Watched:
    """A server that is looked at again and again.

    threads: whether what is looked at are the requests in its threads, and not its workers.
    """

    def __init__(self, path: str, *, threads: bool = False) -> None:
        self.threads = threads
        self._path = path
        self._before: Mapping[str, Any] = {}
        self._asked_at = 0.0

    def lines(self) -> list[str]:
        """What is to be seen now, whatever has become of it."""
        try:
            seen = self.look()
        except (NoServerError, SilentError, NotDone) as error:
            self._before = {}
            return [printable(str(error)), "", "waiting for it; q ends this"]
        other = "workers" if self.threads else "threads"
        return [*seen, "", f"t shows {other}, q ends this"]

    def look(self) -> list[str]:
        """The same. Raises NoServerError, SilentError, NotDone."""
        now = time.monotonic()
        status = self._ask("status")
        rows = self._ask("requests" if self.threads else "workers")["workers"]
        rates = self._rates(status, now)
        below = in_flight.lines(rows) if self.threads else worker_lines(rows)
        return [*head_lines(status, rates), "", *below]

    def _ask(self, command: str) -> dict[str, Any]:
        answer = ask(self._path, command, patience=_PATIENCE)
        for _ in answer:
            pass
        return answer.result

    def _rates(self, status: Mapping[str, Any], now: float) -> dict[str, float]:
        """Of the same server's since the last look. Sums fall when a worker goes: then there is
        no rate."""
        before, elapsed = self._before, now - self._asked_at
        self._before, self._asked_at = status, now
        if before.get("pid") != status["pid"] or elapsed <= 0:
            return {}
        grown = {name: status[name] - before[name] for name in _RATED}
        return {name: each / elapsed for name, each in grown.items() if each >= 0}


def head_lines(status: Mapping[str, Any], rates: Mapping[str, float]) -> list[str]:
    state = "ready" if status["ready"] else f"NOT READY: {status['why_not_ready']}"
    requests, connections = (f"{rates[name]:.0f}/s" if name in rates else "-/s" for name in _RATED)
    return [
        f"prowingen {status['version']}  pid {status['pid']}  up {duration(status['seconds_up'])}"
        f"  {status['state']}, {state}",
        ", ".join(status["addresses"]),
        f"requests {requests} ({status['requests_taken']}), {status['queue_length']} wait, "
        f"{status['workers_running']} threads run Python",
        f"connections {connections}, {status['connections_open']} open; turned away: "
        f"{status['requests_rejected']} queue full, {status['requests_refused']} bad",
        f"memory {size(status['rss_bytes'])}; log level {status['log_level']}",
    ]


def worker_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(table([(*WORKER_COLUMNS, ""), *(worker_row(each) for each in rows)]))


def _show(screen: curses.window, watched: Watched) -> None:
    import curses

    looks_at = 0.0
    lines: list[str] = []
    while True:
        now = time.monotonic()
        if now >= looks_at:
            looks_at = now + INTERVAL
            lines = watched.lines()
            _paint(screen, lines)
        screen.timeout(max(int((looks_at - time.monotonic()) * 1000), 0))
        key = screen.getch()
        if key in _ENDS:
            return
        if key in _TURNS:
            watched.threads = not watched.threads
            looks_at = 0.0
        if key == curses.KEY_RESIZE:
            _paint(screen, lines)


def _paint(screen: curses.window, lines: Sequence[str]) -> None:
    height, width = screen.getmaxyx()
    screen.erase()
    for number, line in enumerate(lines[:height]):
        # The last column of the last line cannot be written without scrolling.
        screen.addnstr(number, 0, line, width - 1)
    screen.refresh()
