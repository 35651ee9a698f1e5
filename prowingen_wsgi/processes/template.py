"""With `preload`: a process that has loaded the application, which workers are forked from.

They share its memory until they write to it. It is not the supervisor itself: that never loads the
application, so that a reload finds new code, and nothing of the application's can hurt it.

    supervisor --forks--> template --forks--> worker
         ^ '--- {"spawn": slot} + a pipe ---^ |
         |      {"stop_listening": 1}         |
         '--- {"spawned": pid}, {"exited": pid, "status": n}
"""

from __future__ import annotations

import errno
import gc
import json
from array import array
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any

from .. import logs
from ..configuration.config import ConfigError
from ..datagrams import Seat
from ..forks import close_in_children, keep_from_children, leave_to_children
from ..loader import LOAD_ERRORS, explain, summary
from ..originals import os, selectors, signal, socket
from ..output import print_error
from ..signals import SignalQueue
from ..threads import non_daemon_threads
from .child import Post, serve
from .forking import fork
from .process_exit import ProcessExit
from .worker import BOOT_FAILED, SpawnError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from _typeshed.wsgi import WSGIApplication

    from .generation import Generation

_MESSAGE_SIZE = 1 << 16
# Linux sends no more with a message (SCM_MAX_FD).
_MOST_DESCRIPTORS = 253
# Programs that the application starts in another thread meanwhile do not inherit what comes.
_CLOSE_ON_EXEC: int = getattr(socket, "MSG_CMSG_CLOEXEC", 0)  # macOS has none
# Forking takes milliseconds, also with gigabytes to share.
_ANSWER_TIMEOUT = 30.0


class TemplateLostError(SpawnError):
    """It is gone, or does not answer: a worker that it forks later has nobody to report to."""


class Template:
    """A process that has loaded the application, as its supervisor sees it.

    process: its process id.
    fileno(): readable when it has something to say, or is gone.
    is_ready: it has loaded the application.
    is_gone: it has closed its end; how it ended is not known yet.
    failure: why the application cannot be loaded; empty if it has not said so.
    """

    def __init__(self, generation: Generation, post: Post, forget: Callable[[], None]) -> None:
        """Forks it; it is ready when `messages` says so. Raises OSError."""
        self._control, theirs = socket.socketpair()
        self._heard = b""
        self._pending: list[dict[str, Any]] = []
        self.is_ready = False
        self.is_gone = False
        self.failure = ""

        def main() -> int:
            try:
                template = _Template(generation, post, theirs)
            except OSError as error:
                print_error(explain(error))
                return BOOT_FAILED
            return template.run()

        def forget_all() -> None:
            forget()
            self._control.close()

        try:
            self.process = fork(main, forget_all)
        except OSError:
            self._control.close()
            theirs.close()
            raise
        theirs.close()
        self._control.settimeout(_ANSWER_TIMEOUT)

    def fileno(self) -> int:
        return self._control.fileno()

    def spawn(self, post: Post) -> int:
        """Has it fork a worker; its process id.

        Raises SpawnError, and TemplateLostError if it can no longer be told what it answers.
        """
        firsts = [None if seat is None else [seat.first, len(seat)] for seat in post.seats]
        asked = {
            "spawn": post.number,
            "seats": firsts,
            "has_link": post.link >= 0,
            "log_level": logs.told_level(),
        }
        request = json.dumps(asked).encode() + b"\n"
        links = [post.link] if post.link >= 0 else []
        sockets = [number for seat in post.seats if seat is not None for number in seat.filenos()]
        try:
            socket.send_fds(self._control, [request], [post.status, *links, *sockets])
            while True:
                heard = self._receive()
                answers = [each for each in heard if "spawned" in each or "failed" in each]
                self._pending += [each for each in heard if each not in answers]
                for answer in answers:
                    if "failed" in answer:
                        raise SpawnError(os.strerror(answer["failed"]))
                    return int(answer["spawned"])
        except (OSError, EOFError) as error:
            raise TemplateLostError(
                f"the process that has loaded the application is gone: {error}"
            ) from None

    def stop_listening(self) -> None:
        """Has it close the sockets, after which it is asked for no worker."""
        if not self.is_gone:
            with suppress(OSError):  # it has gone, which the next reading shows
                self._control.sendall(json.dumps({"stop_listening": 1}).encode() + b"\n")

    def messages(self) -> list[dict[str, Any]]:
        """What it says: {"ready": 1}, {"exited": pid, "status": n}, {"unloadable": why}; waits
        for it.

        Raises EOFError or OSError once it is gone.
        """
        return self._receive()

    def last_messages(self) -> list[dict[str, Any]]:
        """What it has said before it ended; waits for nothing."""
        self._control.setblocking(False)
        try:
            return self._receive()
        except (EOFError, OSError):
            return []

    def take_pending(self) -> list[dict[str, Any]]:
        """What it said meanwhile, while `spawn` waited for its answer."""
        pending, self._pending = self._pending, []
        return pending

    def _receive(self) -> list[dict[str, Any]]:
        data = self._control.recv(_MESSAGE_SIZE)
        if not data:
            raise EOFError("it has closed its end")
        *lines, self._heard = (self._heard + data).split(b"\n")
        return [json.loads(line) for line in lines]

    def close(self) -> None:
        """Lets it go; its workers go on."""
        self._control.close()


class _Template:
    """The template's own side."""

    def __init__(self, generation: Generation, post: Post, control: socket.socket) -> None:
        self._generation = generation
        self._post = post
        self._control = control
        self._selector = selectors.DefaultSelector()
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._ends = (control, self._wake_reader, self._wake_writer)

    def run(self) -> int:
        # It ends when its supervisor lets it go. Not SIG_IGN, which programs would inherit that
        # the application starts while it is loaded; what it forks then has the default action.
        with SignalQueue().installed([signal.SIGTERM], for_good=True):
            return self._run()

    def _run(self) -> int:
        self._generation.keep_from_application()
        close_in_children([self._post.lifeline, *self._post.doors])
        for mine in self._ends:
            keep_from_children(mine.fileno(), mine.close)
        try:
            self._generation.identity.assume()
            app = self._generation.load()
        except (*LOAD_ERRORS, ConfigError, OSError) as error:
            self._say({"unloadable": summary(error)})
            print_error(explain(error))
            return BOOT_FAILED
        # What is there now is garbage or will be there for ever: collecting it again in each worker
        # would touch, and so copy, every page.
        gc.collect()
        gc.freeze()
        self._wake_writer.setblocking(False)
        signal.set_wakeup_fd(self._wake_writer.fileno())
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])
        self._selector.register(self._control, selectors.EVENT_READ)
        self._selector.register(self._wake_reader, selectors.EVENT_READ)
        self._say({"ready": 1})
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._wake_reader:
                    self._wake_reader.recv(_MESSAGE_SIZE)
                elif not self._obey(app):
                    self._leave()
                    return 0
            self._reap()

    def _obey(self, app: WSGIApplication) -> bool:
        """Reads one request. False: the supervisor has let go."""
        try:
            data, descriptors = _receive(self._control)
        except ConnectionResetError:  # it has ended with something unread
            return False
        if not data:
            return False
        request = json.loads(data)
        if "stop_listening" in request:
            self._generation.stop_listening()
            return True
        sizes = [0 if each is None else each[1] for each in request["seats"]]
        if len(descriptors) != 1 + request["has_link"] + sum(sizes):
            # The kernel leaves out what this process has no number free for.
            for each in descriptors:
                os.close(each)
            self._say({"failed": errno.EMFILE})
            return True
        status, *numbers = descriptors
        link = numbers.pop(0) if request["has_link"] else -1
        logs.tell_level(request["log_level"])
        sockets = iter([socket.socket(fileno=number) for number in numbers])
        post = Post(
            number=request["spawn"],
            status=status,
            lifeline=self._post.lifeline,
            scoreboard=self._post.scoreboard,
            rates=self._post.rates,
            seats=[
                each and Seat(each[0], list(islice(sockets, each[1]))) for each in request["seats"]
            ],
            link=link,
            door=self._post.door,
        )
        try:
            process = fork(lambda: serve(post, self._generation, app), self._forget)
        except OSError as error:
            self._say({"failed": error.errno or 0})
        else:
            self._say({"spawned": process})
        os.close(post.status)
        if post.link >= 0:
            os.close(post.link)
        for seat in post.seats:
            if seat is not None:
                seat.close()
        return True

    def _leave(self) -> None:
        """Threads that the application has begun would keep this process, which nobody needs."""
        if non_daemon_threads():
            ProcessExit().exit_now()

    def _forget(self) -> None:
        for mine in self._ends:
            leave_to_children(mine.fileno())
            mine.close()
        self._selector.close()

    def _reap(self) -> None:
        for process, status in ended_children():
            self._say({"exited": process, "status": status})

    def _say(self, message: dict[str, Any]) -> None:
        try:
            self._control.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            return  # it has gone, which the next reading shows


def _receive(control: socket.socket) -> tuple[bytes, list[int]]:
    """A message and the descriptors that came with it, which programs do not inherit."""
    # Not `recv_fds`, which passes no flags on.
    descriptors = array("i")
    data, ancillary, _, _ = control.recvmsg(
        _MESSAGE_SIZE, socket.CMSG_LEN(_MOST_DESCRIPTORS * descriptors.itemsize), _CLOSE_ON_EXEC
    )
    for level, kind, content in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            descriptors.frombytes(content[: len(content) - len(content) % descriptors.itemsize])
    if not _CLOSE_ON_EXEC:
        for descriptor in descriptors:
            os.set_inheritable(descriptor, False)
    return data, list(descriptors)


def ended_children() -> Iterator[tuple[int, int]]:
    """Process ids and statuses (waitpid(2)) of the children that have ended."""
    while True:
        try:
            process, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if process == 0:
            return
        yield process, status
