r"""Listening sockets: opened from addresses, handed to the native side, cleaned up after.

    open_listeners() --> Listener --hand_over()--> the native side owns the socket
                              \--close()---------> closed, its socket file removed

A Unix socket's file is removed while the socket is still open: its inode cannot be anybody else's
as long as it is.
"""

from __future__ import annotations

import errno
import stat
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .configuration.addresses import (
    Address,
    InheritedSocket,
    SystemdSockets,
    TcpAddress,
    UnixAddress,
    parse_address,
)
from .forks import keep_from_children, leave_to_children
from .logs import error_log
from .originals import os, socket
from .systemd import passed_sockets

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

# How often a port that one family has free is looked for in another, for "localhost:0".
_FREE_PORT_ATTEMPTS = 16
_FAMILY_MISSING = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)

# A family and an address of it, as getaddrinfo gives them.
_Target = tuple[int, tuple[Any, ...]]


class ListenError(OSError):
    """A socket that could not be opened; its text is one line that names the address.

    family: the one that it was, of an address that stands for several.
    """

    def __init__(self, number: int | None, message: str, family: int | None = None) -> None:
        super().__init__(number, message)
        self.family = family

    def __str__(self) -> str:
        return str(self.strerror)


class Listener:
    """A listening, nonblocking socket with its description: `http://127.0.0.1:8000`, `unix:/path`.

    The process that made it removes its socket file, and no other one does.

    name: its family and its address, as the kernel has them.
    original: the inherited descriptor that it listens on a copy of; -1: none.
    """

    def __init__(self, sock: socket.socket, socket_file: str = "", original: int = -1) -> None:
        sock.setblocking(False)
        self.description = describe(sock)
        self.name = (sock.family, sock.getsockname())
        self._socket = sock
        self._file = Path(socket_file).absolute() if socket_file else None
        self._identity = _identity(self._file) if self._file else None
        self._maker = os.getpid()
        self._original = original

    def fileno(self) -> int:
        return self._socket.fileno()

    @property
    def port(self) -> int:
        """Of TCP; 0 of another socket."""
        family, address = self.name
        return 0 if family == socket.AF_UNIX else int(address[1])

    @property
    def file(self) -> Path | None:
        """A Unix socket's file, if there is one that is this listener's to remove."""
        return self._file

    def keep_from_application(self) -> None:
        """Before the application is loaded: no process that it starts gets the socket."""
        if self._socket.fileno() >= 0:
            keep_from_children(self._socket.fileno(), self._socket.close)
        if self._original >= 0:
            keep_from_children(self._original)
            os.set_inheritable(self._original, False)

    def hand_over(self) -> int:
        """The file descriptor, which from now on is the caller's to close."""
        leave_to_children(self._socket.fileno())
        return self._socket.detach()

    def remove_file(self) -> None:
        """Removes a Unix socket's file, so that nobody connects any more. Idempotent."""
        if self._file and self._maker == os.getpid() and _identity(self._file) == self._identity:
            try:
                self._file.unlink()
            except OSError as error:
                error_log.warning(
                    "the socket's file stays, %s: %s: this process may not write in its folder "
                    "any more; the next start replaces it",
                    self._file,
                    error.strerror,
                )
        self._file = None

    def close(self) -> None:
        """Idempotent. A socket that was handed over stays open."""
        self.remove_file()
        leave_to_children(self._socket.fileno())
        self._socket.close()


def open_listeners(
    addresses: Sequence[str],
    backlog: int,
    present: Collection[Listener] = (),
    written: Sequence[str] = (),
) -> list[Listener]:
    """Opens a socket for each address, or for each of a host name's addresses.

    written: the addresses as the user has written them, if that is not as they are to be opened.
    present: TCP sockets of this process, of which one that has an address already stands for it.

    Raises ListenError, with no further socket left open, when one cannot be had.
    """
    with ExitStack() as undo:
        listeners: list[Listener] = []
        for text, named in zip(addresses, written or addresses, strict=True):
            try:
                opened = _open(parse_address(text), backlog, present)
            except OSError as error:
                why = reason(error)
                if named != text and getattr(error, "family", None) == socket.AF_INET:
                    why += " (with ipv6_only it is IPv6's alone)"
                raise ListenError(error.errno, f"cannot listen on {named}: {why}") from error
            for listener in opened:
                if listener not in present:
                    undo.callback(listener.close)
                listeners.append(listener)
        undo.pop_all()
        return listeners


def describe(sock: socket.socket) -> str:
    """What a user would write to reach a listening socket."""
    name = sock.getsockname()
    if sock.family == socket.AF_UNIX:
        # The kernel's names without a file begin with NUL, which is customarily written as @.
        path = os.fsdecode(name)
        return "unix:" + ("@" + path[1:] if path.startswith("\0") else path)
    host, port = name[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def reason(error: OSError) -> str:
    """What kept a socket from being opened, in a few words."""
    if isinstance(error, socket.gaierror):
        return f"no such host ({(error.strerror or '').lower()})"
    if isinstance(error, ListenError):
        return str(error)
    if error.errno == errno.EACCES:
        return "permission denied"
    return os.strerror(error.errno).lower() if error.errno else str(error)


def _open(address: Address, backlog: int, present: Collection[Listener]) -> list[Listener]:
    if isinstance(address, TcpAddress):
        return _open_tcp(address, backlog, present)
    if isinstance(address, UnixAddress):
        return [_open_unix(address.path, backlog)]
    if isinstance(address, SystemdSockets):
        return _adopt_passed(address.name, backlog)
    return [_adopt(address, backlog)]


def _open_tcp(address: TcpAddress, backlog: int, present: Collection[Listener]) -> list[Listener]:
    found = socket.getaddrinfo(
        address.host or None, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    # A hosts file may name an address twice.
    targets: list[_Target] = list(dict.fromkeys((entry[0], entry[4]) for entry in found))
    attempts = _FREE_PORT_ATTEMPTS if address.port == 0 and len(targets) > 1 else 1
    while True:
        attempts -= 1
        try:
            return _bind_all(targets, address.port, backlog, present)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or not attempts:
                raise


def _bind_all(
    targets: Sequence[_Target], port: int, backlog: int, present: Collection[Listener]
) -> list[Listener]:
    """Binds all to one port; a family that this machine lacks is left out if another is there."""
    with ExitStack() as undo:
        listeners: list[Listener] = []
        missing: OSError | None = None
        for family, sockaddr in targets:
            wanted = (sockaddr[0], port, *sockaddr[2:])
            if there := [each for each in present if each.name == (family, wanted)]:
                listeners.append(there[0])
                continue
            try:
                listener = Listener(_bind(family, wanted, backlog))
            except OSError as error:
                if error.errno not in _FAMILY_MISSING:
                    if all(family == each for each, _ in targets):
                        raise
                    name = "IPv4" if family == socket.AF_INET else "IPv6"
                    why = f"{reason(error)} on {name}"
                    raise ListenError(error.errno, why, family) from error
                missing = error
                continue
            undo.callback(listener.close)
            listeners.append(listener)
            port = listener.name[1][1]
        if missing and not listeners:
            raise missing
        undo.pop_all()
        return listeners


def _bind(family: int, sockaddr: tuple[Any, ...] | str, backlog: int) -> socket.socket:
    with ExitStack() as undo:
        sock = socket.socket(family, socket.SOCK_STREAM)
        undo.callback(sock.close)
        if family != socket.AF_UNIX:
            # A restart need not wait for the last connections' TIME_WAIT.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # So that 0.0.0.0 and [::] can be bound side by side, whatever the system's default.
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(sockaddr)
        sock.listen(backlog)
        undo.pop_all()
        return sock


def _open_unix(path: str, backlog: int) -> Listener:
    _remove_stale(Path(path))
    try:
        return Listener(_bind(socket.AF_UNIX, path, backlog), socket_file=path)
    except OSError as error:
        if error.errno is None:  # Python's own: the path does not fit the kernel's structure
            raise ListenError(errno.ENAMETOOLONG, "the path is too long for a socket") from None
        raise


def _remove_stale(path: Path) -> None:
    """Removes a socket file that nobody listens on any more, as after a crash."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise ListenError(errno.EADDRINUSE, "a file that is not a socket is in the way")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        result = probe.connect_ex(str(path))
    if result == errno.ECONNREFUSED:
        path.unlink(missing_ok=True)
    elif result in (0, errno.EAGAIN, errno.EINPROGRESS):  # EAGAIN: its backlog is full
        raise ListenError(errno.EADDRINUSE, "another server listens on it")
    elif result != errno.ENOENT:  # gone by now
        raise OSError(result, os.strerror(result))


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _adopt(address: InheritedSocket, backlog: int) -> Listener:
    """Listens on a copy of an inherited descriptor: the original stays for who opens it again."""
    with ExitStack() as undo:
        copy = os.dup(address.fd)
        try:
            sock = socket.socket(fileno=copy)
        except OSError:
            os.close(copy)
            raise ListenError(errno.ENOTSOCK, "not a socket") from None
        undo.callback(sock.close)
        if sock.type != socket.SOCK_STREAM or sock.family not in (
            socket.AF_INET,
            socket.AF_INET6,
            socket.AF_UNIX,
        ):
            raise ListenError(errno.EPROTOTYPE, "not a TCP or Unix stream socket")
        name = sock.getsockname()
        if not (name if sock.family == socket.AF_UNIX else name[1]):
            raise ListenError(errno.EINVAL, "the socket is not bound to an address")
        try:
            sock.getpeername()
        except OSError:
            if not _is_listening(sock):
                sock.listen(backlog)
        else:
            raise ListenError(errno.EISCONN, "a connection, not a listening socket")
        undo.pop_all()
        return Listener(sock, original=address.fd)


def _adopt_passed(name: str, backlog: int) -> list[Listener]:
    """Listens on what systemd has opened (sd_listen_fds(3))."""
    descriptors = passed_sockets(os.environ, name)
    if not descriptors:
        meant = f" called {name}" if name else ""
        raise ListenError(errno.ENOENT, f"systemd has passed no socket{meant} to this process")
    with ExitStack() as undo:
        listeners: list[Listener] = []
        for descriptor in descriptors:
            listeners.append(_adopt(InheritedSocket(descriptor), backlog))
            undo.callback(listeners[-1].close)
        undo.pop_all()
        return listeners


def _is_listening(sock: socket.socket) -> bool:
    try:
        return bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    except OSError:  # macOS cannot tell; listening twice does no harm
        return False
