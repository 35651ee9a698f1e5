"""Runs `bench/native/websocket_load.cpp`, and reads what it prints.

It does not correct for coordinated omission, as wrk does: a latency is that of a message that was
sent, in a closed loop.
"""

from __future__ import annotations

import json
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from bench.load import LoadError, LoadResult
from bench.paths import WEBSOCKET_LOAD

if TYPE_CHECKING:
    from collections.abc import Iterator

SATURATED = 0.95
"""Share of a core beyond which the load generator, and not the server, is what was measured."""


@dataclass(frozen=True)
class BroadcastResult:
    load: LoadResult
    """Of each receipt, since the word that started its broadcast."""
    broadcast_ms: float
    """Median time from that word until all have it."""
    spread_ms: float
    """Likewise, from the first receipt."""


def parse(output: str) -> LoadResult:
    """Reads the one JSON object that it prints; raises LoadError where it is none."""
    return _result(_figures(output))


def parse_broadcast(output: str) -> BroadcastResult:
    figures = _figures(output)
    try:
        times, spreads = figures["broadcast_us"], figures["spread_us"]
        return BroadcastResult(_result(figures), median(times) / 1000, median(spreads) / 1000)
    except (KeyError, ValueError):  # the latter: of no broadcast
        raise LoadError(f"no broadcast: {output.strip()[-300:]!r}") from None


def _figures(output: str) -> dict[str, Any]:
    try:
        figures = json.loads(output)
    except ValueError:
        figures = None
    if not isinstance(figures, dict):
        raise LoadError(f"not a report of websocket_load: {output.strip()[-300:]!r}")
    return figures


def _result(figures: dict[str, Any]) -> LoadResult:
    try:
        if figures["busy"] > SATURATED:
            raise LoadError(f"the load generator itself was busy: {figures['busy']:.0%} of a core")
        return LoadResult(
            requests=int(figures["messages"]),
            requests_per_second=figures["messages"] / figures["seconds"],
            p50_ms=figures["p50_us"] / 1000,
            p99_ms=figures["p99_us"] / 1000,
            non_2xx=0,
            socket_errors={"websocket": int(figures["errors"])},
        )
    except KeyError as missing:
        raise LoadError(f"a report of websocket_load without {missing}") from None


def _command(mode: str, url: str, connections: int) -> list[str]:
    if not WEBSOCKET_LOAD.exists():
        raise LoadError("websocket_load is not built: python -m bench setup")
    return [str(WEBSOCKET_LOAD), mode, "--url", url, "--connections", str(connections)]


def run(url: str, *, connections: int, seconds: float, options: list[str]) -> LoadResult:
    """A closed loop over so many WebSockets, for so long."""
    command = _command("echo", url.replace("http:", "ws:", 1), connections)
    try:
        done = subprocess.run(
            [*command, "--seconds", str(seconds), *options],
            capture_output=True,
            text=True,
            timeout=seconds + 60,
            check=True,
        )
    except subprocess.CalledProcessError as error:
        raise LoadError(f"websocket_load failed: {error.stderr.strip()}") from None
    except subprocess.TimeoutExpired:
        raise LoadError("websocket_load did not end") from None
    found = parse(done.stdout)
    if not found.requests:
        raise LoadError(f"no message came back: {done.stderr.strip()}")
    return found


def holders(port: int, count: int) -> list[list[str]]:
    """What holds `count` idle WebSockets; `bench.idle` speaks to it."""
    return [_command("idle", f"ws://127.0.0.1:{port}/echo", count)]


class Listeners:
    """The process that has the WebSockets to which is broadcast."""

    def __init__(self, port: int, count: int, messages: int) -> None:
        command = _command("listen", f"ws://127.0.0.1:{port}/room", count)
        self._process = subprocess.Popen(
            [*command, "--messages", str(messages)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.opened = int(self._process.stdout.readline() or 0)

    def broadcast(self) -> BroadcastResult:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write("\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise LoadError("websocket_load has ended") from None
        return parse_broadcast(self._process.stdout.readline())

    def close(self) -> None:
        self._process.communicate(timeout=10)


@contextmanager
def listening(port: int, count: int, messages: int) -> Iterator[Listeners]:
    """Each is told `messages` times by `broadcast`."""
    listeners = Listeners(port, count, messages)
    try:
        yield listeners
    finally:
        listeners.close()
