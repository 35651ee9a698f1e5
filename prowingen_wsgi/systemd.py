"""What systemd gives a service, and wants to be told: sd_listen_fds(3) and sd_notify(3).

Both are plain enough to be spoken without its library: environment variables, and a datagram of
NAME=value lines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .logs import error_log
from .originals import os, socket, time
from .threads import Latch, Thread

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

_FIRST_SOCKET = 3


def passed_sockets(environ: MutableMapping[str, str], name: str = "") -> list[int]:
    """Descriptors of the sockets that systemd opened for this process; of those with this
    FileDescriptorName alone, if there is one.

    The application's own child processes do not inherit them.
    """
    if environ.get("LISTEN_PID") != str(os.getpid()):
        return []  # meant for another process, or for none
    count = int(environ.get("LISTEN_FDS", "0"))
    names = environ.get("LISTEN_FDNAMES", "").split(":")
    names += [""] * (count - len(names))
    sockets = range(_FIRST_SOCKET, _FIRST_SOCKET + count)
    for descriptor in sockets:
        os.set_inheritable(descriptor, False)
    return [each for each, called in zip(sockets, names, strict=False) if name in ("", called)]


class Notifier:
    """Tells systemd what the service is doing; does nothing where nobody wants to know."""

    def __init__(self, environ: MutableMapping[str, str]) -> None:
        """Takes NOTIFY_SOCKET and the watchdog's variables out of the environment, so that the
        application's child processes cannot speak for the service."""
        self._address = environ.pop("NOTIFY_SOCKET", "")
        if self._address.startswith("@"):
            self._address = "\0" + self._address[1:]
        interval = environ.pop("WATCHDOG_USEC", "")
        process = environ.pop("WATCHDOG_PID", "")
        meant = process in ("", str(os.getpid()))
        self.watchdog = int(interval) / 1e6 if interval.isdecimal() and meant else 0.0
        """Seconds within which systemd wants to hear something; 0: it does not."""
        self._next_keep_alive = 0.0

    def ready(self, status: str) -> None:
        self._send("READY=1", f"STATUS={status}")

    def reloading(self) -> None:
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._send("RELOADING=1", f"MONOTONIC_USEC={now}", "STATUS=reloading")

    def stopping(self) -> None:
        self._send("STOPPING=1", "STATUS=finishing what runs")

    def keep_alive(self) -> None:
        """To be called often: says that the service lives, as often as systemd wants to hear it."""
        now = time.monotonic()
        if self.watchdog and now >= self._next_keep_alive:
            self._next_keep_alive = now + self.watchdog / 3
            self._send("WATCHDOG=1")

    def _send(self, *lines: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.sendto("\n".join(lines).encode(), self._address)
        except OSError as error:
            error_log.warning("systemd cannot be told %s: %s", lines[0], error)


class Watchdog:
    """A thread that keeps systemd's watchdog quiet while the server is not stuck."""

    def __init__(self, notifier: Notifier, stalled_for: Callable[[], float]) -> None:
        self._notifier = notifier
        self._stalled_for = stalled_for
        self._ended = Latch()
        self._thread = Thread("prowingen-watchdog", self._run)
        if notifier.watchdog:
            self._thread.start()

    def _run(self) -> None:
        while not self._ended.wait(self._notifier.watchdog / 4):
            if self._stalled_for() < self._notifier.watchdog:
                self._notifier.keep_alive()

    def end(self) -> None:
        self._ended.open()
        self._thread.join()
