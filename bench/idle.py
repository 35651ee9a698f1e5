"""Holds idle connections open from processes of their own: keep-alive ones here.

    python -m bench.idle PORT COUNT

Each connection asks once and reads its answer, so that it is idle the way a browser's
is. Prints how many are open, then, for each line of input, how many still are; ends at
the end of input. `websocket_load idle` does the same with WebSockets.
"""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager, suppress
from socket import create_connection, socket
from typing import TYPE_CHECKING

from bench.limits import raise_open_files

if TYPE_CHECKING:
    from collections.abc import Iterator

REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
PROCESSES = 2


def hold(port: int, count: int) -> list[socket]:
    """Stops at the first connection that is refused or left unanswered for 2 s."""
    held: list[socket] = []
    with suppress(OSError):
        while len(held) < count:
            connection = create_connection(("127.0.0.1", port), 2.0)
            connection.sendall(REQUEST)
            if not connection.recv(4096):
                break
            held.append(connection)
    return held


def still_open(connection: socket) -> bool:
    """Nothing to read means open; the end of stream or an error means closed."""
    connection.setblocking(False)
    try:
        return bool(connection.recv(4096))
    except BlockingIOError:
        return True
    except OSError:
        return False


def main(port: int, count: int) -> None:
    raise_open_files()
    held = hold(port, count)
    print(len(held), flush=True)
    for _ in sys.stdin:
        print(sum(still_open(connection) for connection in held), flush=True)


class Holders:
    """The helper processes, spoken to over their standard streams."""

    def __init__(self, commands: list[list[str]]) -> None:
        self._processes = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for command in commands
        ]
        self.opened = self._numbers()

    def count(self) -> int:
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        return self._numbers()

    def close(self) -> None:
        for process in self._processes:
            process.communicate(timeout=10)

    def _numbers(self) -> int:
        total = 0
        for process in self._processes:
            assert process.stdout is not None
            total += int(process.stdout.readline() or 0)
        return total


def commands(port: int, count: int) -> list[list[str]]:
    """What holds `count` keep-alive connections."""
    share = [count // PROCESSES] * PROCESSES
    share[0] += count - sum(share)
    return [[sys.executable, "-m", "bench.idle", str(port), str(part)] for part in share]


@contextmanager
def holding(helpers: list[list[str]]) -> Iterator[Holders]:
    holders = Holders(helpers)
    try:
        yield holders
    finally:
        holders.close()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
