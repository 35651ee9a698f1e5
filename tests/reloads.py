"""Counts the requests that reloads lose: bursts of SIGHUP, for minutes, in each way of running.

    python tests/reloads.py --bursts 30 [--engine embedded] [--only quiet starved ...]

The short form of this is in test_supervisor_reload.py. `starved` runs busy loops beside the server:
what is lost, is lost where a process does not get to run at the wrong moment.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent / "engines"))

from harness.process import run_server
from harness.reloading import Bursts, connecting

from prowingen_wsgi import _native

if TYPE_CHECKING:
    from collections.abc import Iterator

BUSY_LOOPS = 4
PAUSE = 3.0
WAYS: dict[str, tuple[str, ...]] = {
    "quiet": (),
    "starved": (),
    "preload": ("--preload",),
    "recycled": ("--max-requests", "500"),
    "changing": (),
    "everything": ("--preload", "--max-requests", "500"),
}
"""Further arguments of the server. `starved` and `everything` have busy loops beside them;
`changing` and `everything` want one worker more and one less in between."""


@contextmanager
def busy_loops(count: int, seconds: float) -> Iterator[None]:
    """For so long at most, whatever becomes of this process."""
    code = f"import time; end = time.monotonic() + {seconds}\nwhile time.monotonic() < end: pass"
    with ExitStack() as stack:
        for _ in range(count):
            loop = stack.enter_context(subprocess.Popen([sys.executable, "-c", code]))
            stack.callback(loop.kill)
        yield


def count(engine: str, way: str, bursts: int) -> tuple[int, list[str]]:
    """Connections, and what became of those that were lost."""
    burst = Bursts(changing=way in ("changing", "everything"))
    loops = BUSY_LOOPS if way in ("starved", "everything") else 0
    with (
        run_server("apps.workers:app", engine, "--workers", "2", *WAYS[way]) as server,
        busy_loops(loops, 60 + bursts * (PAUSE + 5)),
    ):
        with connecting(server.address) as tally:
            for _ in range(bursts):
                burst.send(server)
                time.sleep(PAUSE)
        server.signal()
        lost = list(tally.lost)
        if (code := server.wait(60)) != 0:
            lost.append(f"the server ended with code {code}")
        lost += [line for line in server.log.splitlines() if "is killed" in line]
        return tally.connections, lost


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--engine", choices=_native.engines(), nargs="*", help="all by default")
    parser.add_argument("--only", choices=WAYS, nargs="*", help="some ways of running")
    parser.add_argument("--bursts", type=int, default=30, help="in each way (30)")
    options = parser.parse_args()
    connections, lost = 0, 0
    for engine in options.engine or _native.engines():
        for way in options.only or WAYS:
            made, faults = count(engine, way, options.bursts)
            print(f"{engine:9} {way:10} {len(faults)} lost of {made:,}", flush=True)
            for fault in sorted(set(faults)):
                print(f"    {faults.count(fault)} x {fault}", flush=True)
            connections += made
            lost += len(faults)
    print(f"{lost} lost of {connections:,} connections")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
