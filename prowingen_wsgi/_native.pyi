"""The native module: engines, worker pool and WSGI adapter. See cpp/bindings.cpp."""

from collections.abc import Callable, Mapping
from typing import final

from _typeshed.wsgi import WSGIApplication

# What pybind11 makes its classes with; under this name it is not to be had at run time.
class _Pybind11Type(type): ...

@final
class Server(metaclass=_Pybind11Type):
    def __init__(
        self,
        app: WSGIApplication,
        listeners: list[tuple[int, str]],
        options: Mapping[str, object],
        *,
        log: Callable[[int, str, BaseException | None], None],
        access_log: Callable[[str], None] | None,
    ) -> None:
        """Takes over the listening sockets, and starts nothing.

        Raises ValueError for a bad option; the sockets are then still the caller's.
        """

    def start(self) -> None:
        """Starts the native threads and accepts connections. Call it after the last fork."""

    def work(self) -> None:
        """A worker thread's body: serves requests until `stop`."""

    def pump_log(self) -> None:
        """One thread's body: hands log events to the callables until `stop`."""

    def begin_drain(self) -> None:
        """Accepts no more, closes idle connections and lets requests finish."""

    def wait_drained(self, seconds: float) -> bool:
        """Waits without the GIL. True when no exchange is left."""

    def stop(self) -> None:
        """Closes everything now and wakes every blocked call."""

    def reopen_logs(self) -> None:
        """Opens the access log's file anew, after a rotation."""

    def stalled_for(self) -> float:
        """Seconds for which no worker has taken or ended a request, though it should have."""

    def stats(self) -> dict[str, int]:
        """Counters since the start."""

def engines() -> dict[str, str]:
    """The engines built in, each with a text of its versions."""
