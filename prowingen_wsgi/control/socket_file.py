"""The control socket's file: a Unix socket that nobody but its user can open, at any moment.

    missing, or nobody listens on it --> bound (0600) and listening --> removed, then closed

Who looks whether somebody listens on a path, removes what is stale and binds it anew, has its
folder locked (flock(2)) meanwhile: of two servers that start at the same time one gets the path,
and the other is told so. The file is removed while the socket is still open: its inode cannot be
anybody else's as long as it is.
"""

from __future__ import annotations

import errno
import fcntl
import stat
import struct
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ..forks import keep_from_children, leave_to_children
from ..logs import error_log
from ..originals import os, socket, time

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .protocol import NotDone, Request

MOST_CONVERSATIONS = 16
MOST_PATH = 107 if sys.platform == "linux" else 103
"""Octets of a path that the kernel's structure has room for."""

_MODE = 0o600
_BACKLOG = 64
# In seconds: how long a folder may be another's. Nobody needs it for more than a moment.
_LOCK_TIME = 2.0
_LOCK_LOOK = 0.01
_CREDENTIALS = struct.Struct("iII")  # ucred of unix(7): pid, uid, gid


class ControlSocketError(Exception):
    """A path that cannot be had; one line."""


class ControlSocket:
    """Listens from when it is made; removed by the process that made it, and no other one. A source
    of an Endpoint's: see there."""

    most = MOST_CONVERSATIONS
    ends_with_peer = False  # who sends a line with nc(1) has closed that side by then

    def __init__(self, path: str) -> None:
        """Raises ControlSocketError if another server listens on the path, or it cannot be had."""
        self.path = Path(path).absolute()  # the current directory may change
        self._maker = os.getpid()
        if len(os.fsencode(self.path)) > MOST_PATH:
            raise ControlSocketError(
                f"control_socket: {self.path}: a socket's path has {MOST_PATH} octets at most"
            )
        try:
            with _locked(self.path.parent):
                _remove_stale(self.path)
                self._socket = _bind(self.path)
        except OSError as error:
            raise ControlSocketError(f"control_socket: {self.path}: {error.strerror}") from error
        self._identity = _identity(self.path)
        keep_from_children(self._socket.fileno(), self._socket.close)

    def fileno(self) -> int:
        return self._socket.fileno()

    def give_to(self, user: int, group: int) -> None:
        """Before this process becomes that user: the file is then as much its own as before."""
        os.chown(self.path, user, group, follow_symlinks=False)

    def accept(self) -> socket.socket:
        """The next connection, nonblocking. Raises BlockingIOError without one, and OSError."""
        descriptor, _ = self._socket._accept()  # type: ignore[attr-defined]
        connection = socket.socket(fileno=descriptor)
        connection.setblocking(False)
        return connection

    def stranger(self, connection: socket.socket) -> int | None:
        """The user at the other end, if it is neither root nor this process's; where the kernel
        does not tell (Linux does), the file's mode alone keeps others away."""
        option = getattr(socket, "SO_PEERCRED", None)
        if option is None:
            return None
        data = connection.getsockopt(socket.SOL_SOCKET, option, _CREDENTIALS.size)
        _, user, _ = _CREDENTIALS.unpack(data)
        return None if user in (0, os.geteuid()) else int(user)

    def refusal(self, _request: Request) -> NotDone | None:
        return None

    def forget(self) -> None:
        """In a child that the server forks: the socket is its parent's."""
        if self._socket.fileno() >= 0:
            leave_to_children(self._socket.fileno())
            self._socket.close()

    def close(self) -> None:
        """Removes the file, if it is still this one's, and closes the socket. Idempotent."""
        if self._socket.fileno() < 0:
            return
        if os.getpid() == self._maker and _identity(self.path) == self._identity:
            try:
                self.path.unlink()
            except OSError as error:
                error_log.warning(
                    "the control socket's file stays, %s: %s: the next start replaces it",
                    self.path,
                    error.strerror,
                )
        self.forget()


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Raises OSError if there is no such folder, or another process keeps it locked."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        deadline = time.monotonic() + _LOCK_TIME
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise OSError(
                        errno.EBUSY, "another process keeps its folder locked (flock(2))"
                    ) from None
                time.sleep(_LOCK_LOOK)
            except OSError:
                break  # a file system without locks, where two starts at once are not told apart
        yield
    finally:
        os.close(descriptor)


def _remove_stale(path: Path) -> None:
    """Removes a socket file that nobody listens on any more, as after a crash. Raises OSError."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise OSError(errno.EEXIST, "a file that is not a socket is in the way")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        result = probe.connect_ex(str(path))
    if result == errno.ECONNREFUSED:
        path.unlink(missing_ok=True)
    elif result in (0, errno.EAGAIN, errno.EINPROGRESS):  # EAGAIN: its backlog is full
        raise OSError(errno.EADDRINUSE, "another server listens on it")
    elif result != errno.ENOENT:  # gone by now
        raise OSError(result, os.strerror(result))


def _bind(path: Path) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    is_bound = False
    try:
        listening.setblocking(False)
        if sys.platform == "linux":
            # The file is made with the mode of the socket itself (unix(7)); the mask of this
            # process, which other threads make files by, stays as it is.
            os.fchmod(listening.fileno(), _MODE)
            listening.bind(str(path))
        else:
            mask = os.umask(0o777 & ~_MODE)
            try:
                listening.bind(str(path))
            finally:
                os.umask(mask)
        is_bound = True
        if stat.S_IMODE(path.lstat().st_mode) & ~_MODE:
            raise OSError(errno.EPERM, "the file system does not keep it from other users")
        listening.listen(_BACKLOG)
    except BaseException:
        if is_bound:
            with suppress(OSError):
                path.unlink()
        listening.close()
        raise
    return listening


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.lstat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
