"""A server: sockets, the native side, and the threads that run the application.

                 start()               stop()                 all threads gone, or given up
    created ------------------> running --------> stopping ------------------------> stopped
       '------------------------------- stop() --------------------------------------^

The sockets are open from `created` on, so that errors come early and a process can fork between
construction and start; everything that owns a thread begins in `running`. Worker threads are native
and daemons: an application that never returns cannot keep the process from ending.
"""

from __future__ import annotations

import atexit
import logging
from contextlib import ExitStack, suppress
from enum import Enum
from typing import TYPE_CHECKING, Any
from weakref import WeakMethod

# The last three are what the native module imports with the first request that needs them. By then
# a package's upgrade may have put those of another version there.
from . import _native, own_control, upgraded, websocket, websocket_dialects  # noqa: F401
from .acme_certificates import with_acme_certificates
from .certificates import check_certificates, https_port, served_url
from .configuration.config import Config, ConfigError
from .configuration.statsd import statsd_terms
from .configuration.time_limits import split_time_limit
from .datagrams import open_seats
from .deadlines import tell_overdue
from .development_certificates import with_development_certificate
from .forks import close_in_children, leave_to_children
from .listeners import Listener, open_listeners
from .logs import GuardedAccessLog, error_log, lock_logging_natively, log_native_event
from .machine import memory_budget
from .originals import os, time
from .signals import QUIT_SIGNAL, REOPEN_SIGNAL, STOP_SIGNALS, SignalQueue
from .spooling import check_spool_dir
from .threads import (
    WORKER_PREFIX,
    Gate,
    Latch,
    Lock,
    RLock,
    Thread,
    current,
    green_threads,
    import_for_hubs,
    let_interpreter_end,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from signal import Signals
    from types import TracebackType
    from typing import Protocol

    from _typeshed.wsgi import ErrorStream, WSGIApplication

    from .acme_renewal import AcmeThread
    from .datagrams import Seat

    class OwnControl(Protocol):
        @property
        def outside(self) -> int: ...
        def start(self) -> None: ...
        def end(self) -> None: ...


__all__ = ["Server", "serve", "set_ready"]

# How long a wait goes on before signals are looked at: short to a human at a keyboard.
_SLICE = 0.05
# What threads get to end in once the native side has closed everything.
_LAST_GRACE = 0.5


# Those of this process that have started and not stopped.
_running: set[Server] = set()


class _State(Enum):
    created = "created"
    running = "running"
    stopping = "stopping"
    stopped = "stopped"


class Server:
    """Serves a WSGI application (PEP 3333) until it is stopped.

    A context manager: it starts on entry, unless it runs already, and stops on exit. Any thread
    may call any method. A process may have several.

    app: the application; called by several threads at once unless `config.threads` is 1.
    config: the options; the defaults without it.
    access_log: called with each line of the access log, without its newline, on a thread of its
        own; what it raises is logged. `config.access_log` is then without effect.
    interface: how `app` is called: "wsgi", or "listener" for a handler as `create_server` takes.
    listeners: open sockets to serve on instead of opening `config.bind`; they are taken over.
    apps: for each of `listeners`, what is called in place of `app` for what comes in by it.
    redirects: the same in place of `config.redirect_http`.
    admins: the same in place of `config.admin_bind`.
    seats: with HTTP/3, this process's UDP sockets for each of `listeners`, which are taken over;
        opened without them, for a process that is the only one on its ports.
    door: whoever answers the control socket takes there what is asked on `admins`; -1: this server
        answers itself, and that is the stacks alone.
    admin_token: with it more may be asked there than to see the stacks; empty: nothing more.
    multiprocess: other processes serve the same application, as environ["wsgi.multiprocess"] says.
    errors: environ["wsgi.errors"]; without it, what `sys.stderr` is when a request is taken.

    Raises ListenError (an OSError) if a socket cannot be opened, ConfigError (a ValueError) if the
    engine is not built in, a certificate or `spool_dir` cannot be used, or an option is set that
    only the command has (workers and what belongs to them), and TypeError if `app` or `access_log`
    cannot be called.
    """

    def __init__(
        self,
        app: Callable[..., Any],
        config: Config | None = None,
        *,
        access_log: Callable[[str], object] | None = None,
        interface: str = "wsgi",
        listeners: Sequence[Listener] | None = None,
        apps: Sequence[Callable[..., Any]] | None = None,
        redirects: Sequence[Listener] | None = None,
        admins: Sequence[Listener] | None = None,
        seats: Sequence[Seat | None] | None = None,
        door: int = -1,
        admin_token: str = "",
        multiprocess: bool = False,
        errors: ErrorStream | None = None,
    ) -> None:
        if not callable(app):
            what = "a WSGI application" if interface == "wsgi" else "a handler"
            raise TypeError(f"{what} must be callable, not {type(app).__name__}")
        if access_log is not None and not callable(access_log):
            raise TypeError(f"access_log must be callable, not {type(access_log).__name__}")
        self.config = with_acme_certificates(
            with_development_certificate(config or Config()).anchored()
        )
        if listeners is None:  # a host that opens them does what its options ask for
            self.config.check_embedded()
        self.engine = choose_engine(self.config)
        self._certificates = check_certificates(self.config)
        check_spool_dir(self.config)
        self._interface = interface
        self._access_log = None if access_log is None else GuardedAccessLog(access_log)
        self._door = door
        self._admin_token = admin_token
        self._multiprocess = multiprocess
        self._errors = errors
        self._listeners, self._redirects, self._admins, self._seats = _opened(
            self.config, listeners, redirects, admins, seats
        )
        self._apps = tuple(apps or (app for _ in self._listeners))
        self._static_files = _static_files(self.config, self._apps)

        self._addresses = [served_url(each.description, self.config) for each in self._listeners]
        self._native: _native.Server | None = None
        self._supervision: Callable[[_native.Server], None] | None = None
        self._own_control: OwnControl | None = None
        self._keeps_requests = False
        self._milestone = logging.INFO
        self._threads: list[Thread] = []
        self._workers = 0
        self._further = Lock()
        self._acme: AcmeThread | None = None
        # The threads wait for it until the native side runs, or will not.
        self._gate = Gate()
        self._signals = SignalQueue()
        self._state = _State.created
        # Guards the state and who stops. Reentrant, as a signal handler may call stop().
        self._lock = RLock()
        self._stopper: int | None = None
        self._deadline = float("inf")
        self._stopped = Latch()
        self._pid = 0

    @property
    def addresses(self) -> list[str]:
        """Where it listens: URLs, and `unix:/path` for Unix sockets. Port 0 is resolved."""
        return list(self._addresses)

    @property
    def redirects(self) -> list[str]:
        """The URLs whose clients are sent on to HTTPS."""
        return [each.description for each in self._redirects]

    @property
    def admins(self) -> list[str]:
        """The URLs where administrators are answered."""
        return [each.description for each in self._admins]

    @property
    def _all_listeners(self) -> tuple[Listener, ...]:
        return (*self._listeners, *self._redirects, *self._admins)

    @property
    def _is_parents(self) -> bool:
        """Whether this is the copy in a child that was forked while the server ran."""
        return self._pid not in (0, os.getpid())

    @property
    def abandoned(self) -> list[str]:
        """Names of the threads that the application has kept although the server stopped."""
        if self._state in (_State.created, _State.running):
            return []
        return [thread.name for thread in self._threads if thread.is_alive()]

    def supervised_by(self, introduce: Callable[[_native.Server], None]) -> None:
        """Lets a supervisor see the native side of this process, just before the start.

        The supervisor tells of starts and stops; this then does so for debugging only. A process
        that is told to stop twice, by its supervisor and as one of a group, does so once: SIGQUIT
        alone makes `run` hurry. Its handlers stay, so that no signal cuts the process's exit.
        """
        self._supervision = introduce
        self._milestone = logging.DEBUG

    def start(self) -> None:
        """Starts threads and accepts connections; returns at once.

        Raises ConfigError if the native side refuses an option, OSError if the access log cannot
        be opened, RuntimeError if the server was started before.
        """
        with self._lock:
            if self._state is not _State.created:
                raise RuntimeError(f"a server starts once, and this one is {self._state.value}")
            # Before anything is started, so that every failure below is cleaned up by stop().
            self._state = _State.running
            self._pid = os.getpid()
            try:
                self._start()
            except BaseException:
                self.stop(graceful=0)
                raise
            atexit.register(self._at_exit)
        if self.config.threads > 1 and (library := green_threads()):
            error_log.warning(
                "%s has patched threading: of worker threads that wait for one of its locks, some "
                "may wait for ever; patch with thread=False, or not at all",
                library,
            )
        error_log.log(
            self._milestone,
            "listening on %s (engine %s, %d threads, pid %d)",
            ", ".join(self._addresses),
            self.engine,
            self.config.threads,
            self._pid,
        )
        if self._supervision is None:
            if self._redirects:
                error_log.info("redirecting %s to HTTPS", ", ".join(self.redirects))
            if self._admins:
                error_log.info("telling administrators on %s", ", ".join(self.admins))
            for level, text in self._certificates:
                error_log.log(level, "%s", text)

    def _start(self) -> None:
        door = self._door
        if self._admins and door < 0:
            self._own_control = own_control(self)
            door = self._own_control.outside
        try:
            native = _native.Server(
                self._apps,
                [(listener.fileno(), listener.description) for listener in self._listeners],
                {
                    **self.config.native_options(),
                    "engine": self.engine,
                    "memory_budget": memory_budget(self.config),
                },
                log=log_native_event,
                access_log=self._access_log,
                interface=self._interface,
                multiprocess=self._multiprocess,
                errors=self._errors,
                redirects=[(each.fileno(), each.description) for each in self._redirects],
                redirect_port=https_port(self._listeners),
                datagrams=[
                    ([], 0) if seat is None else (seat.filenos(), seat.first)
                    for seat in self._seats
                ],
                add_thread=_calling(self._add_further_worker),
                time_limits=[split_time_limit(text) for text in self.config.request_timeout_of],
                tell_overdue=tell_overdue,
                statsd=statsd_terms(self.config),
                add_departure_thread=_calling(self._add_departure_thread),
                admins=[(each.fileno(), each.description) for each in self._admins],
                **_admin_page(self._admins),
                admin_door=door,
                admin_token=self._admin_token,
                **self._static_files,
            )
        except ValueError as error:
            raise ConfigError(str(error)) from None
        for listener in self._all_listeners:
            with suppress(OSError):  # an inherited one may have been closed: it was copied
                listener.keep_from_application()
        descriptors = [each.hand_over() for each in self._all_listeners]
        for seat in filter(None, self._seats):
            descriptors += seat.hand_over()
        self._native = native
        _running.add(self)
        close_in_children(descriptors)  # until the native side sees to that
        try:
            self._start_threads(native)
        finally:
            for descriptor in descriptors:
                leave_to_children(descriptor)

    def _start_threads(self, native: _native.Server) -> None:
        if self._keeps_requests:
            native.keep_requests()
        if self._supervision is not None:
            self._supervision(native)
        if green_threads():
            lock_logging_natively()
            import_for_hubs()
        # First, as there may be no more to be had: no client has come then, and a supervisor has
        # not been told that this process serves.
        self._add_thread("prowingen-log", lambda: _pump_log(native))
        for _ in range(self.config.threads):
            self._add_worker()
        if self.config.acme_domain and self._supervision is None:
            from .acme_renewal import AcmeThread  # an extra

            self._acme = AcmeThread(self.config)
        native.start()
        if self._own_control is not None:
            self._own_control.start()
        self._gate.open()
        if self._acme is not None:
            self._acme.start()

    def _add_worker(self) -> None:
        assert self._native is not None
        self._workers += 1
        self._add_thread(f"{WORKER_PREFIX}{self._workers}", self._native.work, traced=True)

    def _add_further_worker(self) -> None:
        """In place of one whose request lives long, or is stuck; others have ended with theirs."""
        with self._further:
            self._threads[:] = [thread for thread in self._threads if thread.is_alive()]
            self._add_worker()

    def _add_departure_thread(self) -> None:
        """For what the application has called when clients depart; once, when it first asks."""
        assert self._native is not None
        with self._further:
            self._add_thread("prowingen-departures", self._native.call_departures, traced=True)

    def _add_thread(self, name: str, body: Callable[[], None], *, traced: bool = False) -> None:
        thread = Thread(name, body, self._gate, traced=traced)
        try:
            thread.start()
        except RuntimeError as error:
            raise RuntimeError(
                f"cannot start {name}: {error}: `threads`, or the size of their stacks, is more "
                "than the limits of this process or this machine allow"
            ) from None
        self._threads.append(thread)

    def stop(self, graceful: float | None = None) -> None:
        """Stops accepting, lets requests finish, then closes everything; returns when it is done.

        graceful: seconds that requests get to finish in; `config.graceful_timeout` without it.
        Idempotent. A call while another thread's is under way can shorten that one's time. Does
        nothing in a child that was forked while the server ran: the server is the parent's.
        """
        if self._is_parents:
            return
        seconds = self.config.graceful_timeout if graceful is None else graceful
        me = current()
        with self._lock:
            self._deadline = min(self._deadline, time.monotonic() + seconds)
            mine = self._stopper is None
            if mine:
                self._stopper = me
                self._state = _State.stopping
        if mine:
            try:
                self._stop()
            finally:
                self._state = _State.stopped
                self._stopped.open()
                self._signals.wake()
        elif self._stopper != me:  # a signal handler must not wait for what it interrupted
            self._stopped.wait()
        let_interpreter_end()

    def _stop(self) -> None:
        atexit.unregister(self._at_exit)
        if self._acme is not None:
            self._acme.end()
        for listener in self._all_listeners:
            listener.close()
        for seat in filter(None, self._seats):
            seat.close()
        native = self._native
        if native is None:
            self._end_control()
            return
        try:
            native.begin_drain()
            if not self._patiently(native.wait_drained):
                error_log.warning("closing connections whose requests have not finished")
        finally:
            _running.discard(self)
            native.stop()
            self._end_control()
            self._gate.shut()
            self._deadline = max(self._deadline, time.monotonic() + _LAST_GRACE)
            self._patiently(self._join)
            if self._acme is not None:
                self._acme.join(_LAST_GRACE)
        if self.abandoned:
            error_log.warning("the application still runs on %s", ", ".join(self.abandoned))

    def _end_control(self) -> None:
        if self._own_control is not None:
            self._own_control.end()

    def _patiently(self, done: Callable[[float], bool]) -> bool:
        """Calls `done(seconds)` until it is true, time is up, or a signal says to hurry."""
        while True:
            left = self._deadline - time.monotonic()
            if done(max(0.0, min(_SLICE, left))):
                return True
            if left <= 0:
                return False
            if any(self._obey_at_once(number) for number in self._signals.pending()):
                self._deadline = time.monotonic()

    def _join(self, seconds: float) -> bool:
        """Waits for one thread. True when none is left to wait for.

        Those whose requests were answered in their place have had their time.
        """
        waiting = [
            thread for thread in self._threads if thread.is_alive() and not thread.is_current()
        ]
        if len(waiting) <= self.stats().get("workers_stuck", 0):
            return True
        waiting[0].join(seconds)
        return False

    def wait(self, timeout: float | None = None) -> bool:
        """Waits until the server has stopped, for at most so many seconds. False: it has not."""
        return self._stopped.wait(timeout)

    def run(
        self,
        stop_signals: Sequence[Signals] = STOP_SIGNALS,
        *,
        on_start: Callable[[], object] | None = None,
        on_stop: Callable[[], object] | None = None,
    ) -> Signals | None:
        """Serves until SIGINT, SIGTERM, SIGQUIT or `stop`; starts the server if need be.

        stop_signals: those that end it, if not these three.
        on_start, on_stop: called once it serves, and when a signal ends it, before the stop.

        Returns the signal that ended it, when everything is closed. SIGQUIT, or a second signal,
        closes what still runs at once. SIGUSR1 reopens the logs. Signals are handled in the main
        thread only, and the handlers before are put back; in another thread this waits for `stop`.
        """
        supervised = self._supervision is not None
        with self._signals.installed((*stop_signals, REOPEN_SIGNAL), for_good=supervised):
            if self._state is _State.created:
                self.start()
            if on_start is not None:
                on_start()
            ended_by = self._signals.next()
            while ended_by and not self._obey(ended_by):
                ended_by = self._signals.next()
            if ended_by is None:
                self.wait()
                return None
            if on_stop is not None:
                on_stop()
            if ended_by != QUIT_SIGNAL and self._supervision is None:
                ended_by = self._stay(ended_by)
            if ended_by == QUIT_SIGNAL:
                error_log.log(self._milestone, "%s: closing everything at once", ended_by.name)
            else:
                error_log.log(
                    self._milestone,
                    "%s: finishing what runs, for at most %g s; a second signal closes it at once",
                    ended_by.name,
                    self.config.graceful_timeout,
                )
            at_once = ended_by == QUIT_SIGNAL or self._state is _State.stopping
            self.stop(graceful=0 if at_once else None)
            return ended_by

    def _stay(self, ended_by: Signals) -> Signals:
        """Serves on for `config.drain_delay`, until others send nobody here any more.

        Returns the signal that ends it: the first, or one more that came meanwhile.
        """
        delay = self.config.drain_delay
        if not delay or self._native is None:
            return ended_by
        self._native.announce_stop()
        error_log.info("%s: serving on for %g s, and not ready any more", ended_by.name, delay)
        until = time.monotonic() + delay
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(left, _SLICE))
            for number in self._signals.pending():
                if self._obey(number):
                    return number
        return ended_by

    def _obey(self, number: Signals) -> bool:
        """Does what a signal says. True if that is to stop."""
        if number == REOPEN_SIGNAL:
            self.reopen_logs()
        return number in STOP_SIGNALS

    def _obey_at_once(self, number: Signals) -> bool:
        """The same during a stop. True if that is to close everything at once."""
        return self._obey(number) and (number == QUIT_SIGNAL or self._supervision is None)

    def reopen_logs(self) -> None:
        """Opens the access log's file anew, after a rotation."""
        if self._native is not None:
            self._native.reopen_logs()

    def renew_certificates(self) -> None:
        """Reads the files of certificates anew, for connections that begin from now on.

        Which a server does by itself when they change, within about two seconds. Raises ConfigError
        for files that it cannot use, and goes on with what it has.
        """
        if self._native is not None:
            try:
                self._native.renew_certificates()
            except ValueError as error:
                raise ConfigError(str(error)) from None

    def set_ready(self, ready: bool = True) -> None:
        """Tells probes (`config.health_path`) whether this process should be given requests.

        It serves all the same. Of several worker processes one that is ready is enough. Does
        nothing before the start.
        """
        if self._native is not None:
            self._native.set_ready(ready)

    def withdraw(self, withdrawn: bool) -> None:
        """Tells probes what an administrator says, whatever the application does: that this process
        should be given no requests, or that it is for itself to say."""
        if self._native is not None:
            self._native.withdraw(withdrawn)

    def readiness(self) -> str:
        """Why probes are told that this process is not ready; empty if it is."""
        return "it does not serve" if self._native is None else self._native.readiness()

    def requests(self) -> list[tuple[int, str, float]]:
        """Of each thread that is in a request its number, the request's line, and for how many
        seconds; -1 in a callback of a WebSocket's."""
        return [] if self._native is None else self._native.requests()

    def keep_requests(self) -> None:
        """Has `doing` tell what threads are in; before the start. It costs requests a little."""
        self._keeps_requests = True

    def doing(self) -> list[tuple[int, str, str, str, float, float | None]]:
        """Of each worker thread that is in a request its number and state, the client's address,
        the request's line, for how many seconds, and how many `request_timeout` leaves it; None:
        all it takes. Of 64 threads at most."""
        return [] if self._native is None else self._native.doing()

    def stalled_for(self) -> float:
        """Seconds for which the worker threads have been stuck; 0.0 if they are not.

        They are if no request was taken or ended although every thread is in one, or some wait. A
        thread that waits for a client is not stuck: `body_timeout` and `write_timeout` end that.
        """
        return 0.0 if self._native is None else self._native.stalled_for()

    @property
    def worker_threads(self) -> list[Thread]:
        """Those that call the application."""
        return [each for each in self._threads if each.name.startswith(WORKER_PREFIX)]

    def stats(self) -> dict[str, int]:
        """Counters since the start; empty before it."""
        return {} if self._native is None else self._native.stats()

    def __enter__(self) -> Server:
        if self._state is not _State.running:
            self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _at_exit(self) -> None:
        # Threads in native code must not outlive the interpreter.
        self.stop(graceful=0)


def _static_files(config: Config, apps: Sequence[Callable[..., Any]]) -> dict[str, Any]:
    """What the native side is told of `static` and `sendfile`; nothing without them."""
    if not config.static and not config.sendfile:
        return {}
    # What few need takes its time.
    from .static_mounts import media_types, sendfile_mounts, static_mounts

    return {
        "static_mounts": static_mounts(config, apps),
        "sendfile_mounts": sendfile_mounts(config),
        "media_types": media_types(),
    }


def _admin_page(admins: Sequence[Listener]) -> dict[str, Any]:
    """What the native side shows administrators; nothing without them."""
    if not admins:
        return {}
    from .admin_page import admin_page  # what few need

    document, policy = admin_page()
    return {"admin_page": document, "admin_policy": policy}


def _calling(method: Callable[[], None]) -> Callable[[], None]:
    """Calls it for as long as its object is there, and does not keep that."""
    reference = WeakMethod(method)

    def call() -> None:
        bound = reference()
        if bound is not None:
            bound()

    return call


def _pump_log(native: _native.Server) -> None:
    """The log thread's body: it ends with the server only, since nobody else takes the lines."""
    while True:
        try:
            native.pump_log()
        except BaseException:  # noqa: BLE001, PERF203  # a callable that exits, a late tracer
            error_log.exception("lines of the log are lost")
        else:
            return


def set_ready(ready: bool = True) -> None:
    """Tells probes whether this process should be given requests, as the application knows it.

    Of all servers that run in it: see `Server.set_ready`. To be called by the application, such as
    while it warms up, or once what it depends on is gone.
    """
    for server in list(_running):
        server.set_ready(ready)


def serve(
    app: WSGIApplication,
    bind: str | Sequence[str] | None = None,
    threads: int | None = None,
    *,
    access_log: str | os.PathLike[str] | Callable[[str], object] | None = None,
    **options: object,
) -> Server:
    """Starts a server for a WSGI application; to be used in a `with` statement, or stopped.

        with prowingen_wsgi.serve(app, bind="127.0.0.1:0", threads=4) as server:
            print(server.addresses)

    bind: one address or several, as in `Config.bind`; port 0 takes a free one.
    threads: worker threads.
    access_log: a path, "-" for standard output, or a callable that takes each line.
    options: any other field of `Config`, as its value or as the text of its command-line option.

    Reads no environment variables and installs no signal handlers. Raises what `Server`,
    `Server.start` and `Config` raise, and TypeError for an option that does not exist.
    """
    if bind is not None:
        options["bind"] = bind
    if threads is not None:
        options["threads"] = threads
    line_taker = None
    if callable(access_log):
        line_taker = access_log
    elif access_log is not None:
        options["access_log"] = os.fspath(access_log)
    server = Server(app, Config.embedded(options), access_log=line_taker)
    server.start()
    return server


def _opened(
    config: Config,
    listeners: Sequence[Listener] | None,
    redirects: Sequence[Listener] | None,
    admins: Sequence[Listener] | None,
    seats: Sequence[Seat | None] | None,
) -> tuple[list[Listener], list[Listener], list[Listener], list[Seat | None]]:
    """What is served, what sends its clients on to HTTPS, where administrators are answered, and
    what HTTP/3 is spoken on, as far as they are not open yet.

    Raises ListenError."""
    with ExitStack() as undo:
        if listeners is None:
            listeners = open_listeners(config.places, config.backlog, written=config.bind)
            for listener in listeners:
                undo.callback(listener.close)
        if redirects is None:
            redirects = open_listeners(
                config.redirect_places, config.backlog, written=config.redirect_http
            )
            for listener in redirects:
                undo.callback(listener.close)
        if admins is None:
            admins = open_listeners(config.admin_places, config.backlog, written=config.admin_bind)
            for listener in admins:
                undo.callback(listener.close)
        if seats is None:
            seats = open_seats(listeners, config.io_threads) if config.http3 else []
        undo.pop_all()
        return list(listeners), list(redirects), list(admins), list(seats)


def choose_engine(config: Config) -> str:
    """The engine that a configuration means. Raises ConfigError if this build has none such."""
    built = _native.engines()
    name = config.engine
    if name == "auto":
        name = "embedded"  # the leaner one
    if name not in built:
        raise ConfigError(f'engine: "{name}": this build has only {", ".join(sorted(built))}')
    return name
