r"""gunicorn's worker: a `Server` on gunicorn's sockets, and a main thread that minds the process.

    booting --run()--> serving --TERM, max_requests, reload, no arbiter--> draining --> gone
                          \--QUIT, INT, ABRT---------------------------------\----------^

The main thread does what gunicorn asks of a worker: it handles signals, tells the arbiter that the
worker is well as long as its threads are not stuck, and looks whether the arbiter is still there.
"""

from __future__ import annotations

import atexit
import sys
import traceback
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gunicorn.arbiter import Arbiter
from gunicorn.errors import HaltServer
from gunicorn.workers.base import Worker as BaseWorker

from .. import threads
from ..certificates import check_certificates
from ..configuration.config import ConfigError
from ..factories.mounts import Mounts
from ..forks import disown_children
from ..listeners import Listener
from ..machine import memory_budget
from ..originals import os, select, socket, time
from ..output import flush_standard_streams
from ..server import Server, choose_engine
from ..threads import Thread
from .observing import observe
from .routing import ErrorStream, route_errors
from .settings import configure, ignored_variables, unsupported
from .sharing import company

if TYPE_CHECKING:
    from types import FrameType

    from _typeshed.wsgi import WSGIApplication

    from .. import _native

# How often the main thread looks around; for short timeouts, four times in each.
_LOOK = 1.0
# What the server writes into the pipe that wakes the main thread when max_requests are taken;
# anything else there is the number of a signal.
_LIMIT_REACHED = b"L"
_STUCK = b"S"
# One that replaces another and cannot start is followed by the next one after so long, in seconds.
_BEFORE_NEXT = 1.0
# What threads may need beyond `graceful_timeout` before an orphan just exits, in seconds.
_ORPHAN_MARGIN = 5.0


class Worker(BaseWorker):  # type: ignore[misc]  # gunicorn has no types
    """`gunicorn -k prowingen_wsgi.gunicorn.Worker`."""

    cfg: Any
    log: Any
    sockets: list[Any]
    alive: bool

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        """Called once by the arbiter."""
        for warning in ignored_variables(os.environ):
            log.warning(warning)
        with suppress(ConfigError):  # which each worker says that cannot start
            config = configure(cfg, os.environ).anchored(Path(cfg.chdir))
            for level, text in check_certificates(config):
                log.log(level, "%s", text)

    def __init__(
        self, age: int, ppid: int, sockets: Any, app: Any, timeout: float, cfg: Any, log: Any
    ) -> None:
        # In the arbiter, which this stops: in a worker it would be said by each, again and again.
        self.config = _configure(cfg, log)
        super().__init__(age, ppid, sockets, app, timeout, cfg, log)
        self._place = company().join(self)
        self._server: Server | None = None
        self._exit_code = 0
        self._look = min(_LOOK, timeout / 2) if timeout else _LOOK

    def init_process(self) -> None:
        self._place.enter()
        disown_children()
        # Before the application registers exit handlers, and so run after them.
        atexit.register(self._leave)
        super().init_process()

    # ---- serving

    def run(self) -> None:
        try:
            server = self._start()
        except (ConfigError, OSError, RuntimeError, TypeError) as error:
            self.log.error("Cannot serve: %s", error)
            if self.age > self.cfg.workers:  # others serve, and a file may be mended soon
                time.sleep(_BEFORE_NEXT)
                sys.exit(1)
            sys.exit(Arbiter.WORKER_BOOT_ERROR)  # tells the arbiter not to try again
        try:
            while self.alive:
                self._mind(server)
                self._wait()
            self._drain(server)
        except SystemExit as ending:
            self._exit_code = ending.code if isinstance(ending.code, int) else 1
            raise
        finally:
            server.stop(graceful=0)
            self.nr = server.stats()["requests_taken"]

    def _start(self) -> Server:
        route_errors(self.log)
        # The arbiter compares with the monotonic clock, and finds the wall clock's time until now.
        self._beat(0.0)
        self._server = server = Server(
            observe(self._mounted(), self),
            replace(self.config, memory_budget=memory_budget(self.config, self.cfg.workers)),
            listeners=[_share(sock) for sock in self.sockets],
            multiprocess=self.cfg.workers > 1,
            errors=None if self.cfg.errorlog == "-" else ErrorStream(),
        )
        server.supervised_by(self._introduce)
        os.register_at_fork(after_in_child=self._close_in_child)
        server.start()
        return server

    def _close_in_child(self) -> None:
        """In a child of the application's, whose life must not keep the addresses in use."""
        for sock in self.sockets:
            if sock.sock is None:  # gunicorn's way of having closed it, as a drain may have
                continue
            with suppress(OSError):
                os.close(sock.sock.detach())

    def _mounted(self) -> WSGIApplication:
        """The application, below the path that gunicorn's users set as variable SCRIPT_NAME."""
        app: WSGIApplication = self.wsgi
        path = os.environ.get("SCRIPT_NAME", "").rstrip("/")
        if not path:
            return app
        return Mounts(app, [path])

    def _introduce(self, native: _native.Server) -> None:
        native.supervise(
            self._place.scoreboard,
            self._place.slot,
            lifeline=os.dup(self._place.lifeline),
            status_pipe=self.PIPE[1],
            tells_ready=False,
            max_requests=self.max_requests if self.cfg.max_requests else 0,
            grace=self.config.graceful_timeout + _ORPHAN_MARGIN,
            ticket_key=self._place.ticket_key,
            rates=self._place.rates,
        )

    def _mind(self, server: Server) -> None:
        self._beat(server.stalled_for())
        self.nr = server.stats()["requests_taken"]
        if self.alive and self.ppid != os.getppid():
            self.log.info("Parent changed, shutting down: %s", self)
            self.alive = False

    def _beat(self, stalled: float) -> None:
        """A sign of life, as old as the stall: the arbiter kills when that is `timeout` old.

        As notify() does it, by a clock that nobody has stopped.
        """
        last_well = time.monotonic() - stalled
        os.utime(self.tmp.fileno(), (last_well, last_well))

    def _wait(self) -> None:
        """Until the next look, or until a signal or the server has something to say."""
        if not select.select([self.PIPE[0]], [], [], self._look)[0]:
            return
        with suppress(BlockingIOError):
            said = os.read(self.PIPE[0], 4096)
            if _LIMIT_REACHED in said and self.alive:
                self.log.info("Autorestarting worker after %d requests.", self.max_requests)
                self.alive = False
            if _STUCK in said and self.alive:
                self.log.info(
                    "Autorestarting worker: more of its threads are stuck than max_stuck."
                )
                self.alive = False

    def _drain(self, server: Server) -> None:
        """Lets requests finish; the sockets' queues are left to the other workers."""
        stopping = Thread("prowingen-stop", server.stop)
        stopping.start()
        if self.cfg.reuse_port:  # each worker has sockets of its own, which must not queue any more
            for sock in self.sockets:
                sock.close()
        while stopping.is_alive():
            self._mind(server)
            stopping.join(self._look)

    # ---- signals

    def handle_abort(self, sig: int, frame: FrameType | None) -> None:
        """SIGABRT: the arbiter has not heard from this worker for `timeout`."""
        if self._server is not None and self._server.stalled_for():
            self.log.critical("All threads are stuck:\n%s", _stacks(self._server))
        super().handle_abort(sig, frame)

    # ---- the end

    def _leave(self) -> None:
        if self._server is None or not self._server.abandoned:
            return
        # The interpreter's clean-up would unwind threads that are still in the application, through
        # native frames.
        flush_standard_streams()
        os._exit(self._exit_code)


def _configure(cfg: Any, log: Any) -> Any:
    """The server's configuration. Raises HaltServer, which stops the arbiter in good order."""
    reasons = unsupported(cfg)
    if not reasons:
        try:
            # Where gunicorn has gone to; an application that is preloaded may be elsewhere by now.
            config = configure(cfg, os.environ).anchored(Path(cfg.chdir))
            choose_engine(config)
            if config.http3:
                raise ConfigError("http3: it does not go with gunicorn, which opens no UDP sockets")
        except ConfigError as error:
            reasons = [str(error)]
        else:
            return config
    for reason in reasons:
        log.error("prowingen_wsgi.gunicorn.Worker: %s", reason)
    raise HaltServer("The worker class cannot honour the configuration.", Arbiter.WORKER_BOOT_ERROR)


def _share(sock: Any) -> Listener:
    """A listener of its own on one of gunicorn's sockets."""
    return Listener(socket.socket(fileno=os.dup(sock.fileno())))


def _stacks(server: Server) -> str:
    """Where each worker thread is."""
    frames = sys._current_frames()
    parts = []
    for each in server.worker_threads:
        frame = frames.get(each.ident)
        if frame is not None:
            calls = traceback.extract_stack(frame)
            shown = [call for call in calls if call.filename != threads.__file__]
            parts.append(f"{each.name}:\n{''.join(traceback.format_list(shown))}")
    return "".join(parts)
