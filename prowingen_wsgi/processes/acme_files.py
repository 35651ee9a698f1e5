"""The folder of certificates by ACME, made for a user whom root is about to become.

What is in a folder of that user's is that user's to change at any moment, a link to something of
root's included. So root makes the folder, where nobody else has a say in where that is, and a child
that has become the user makes what is in it.
"""

from __future__ import annotations

import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ..configuration.config import ConfigError
from ..originals import os, signal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ..acme_folder import AcmeFolder
    from .privileges import Identity

# As path_resolution(7) has it.
_MOST_LINKS = 40


def prepare_as(identity: Identity, folder: AcmeFolder, names: Iterable[str]) -> None:
    """`AcmeFolder.prepare`, as this identity. Raises ConfigError."""
    if identity.is_ours:
        folder.prepare(names)
        return
    try:
        _make_for(identity, folder.path.absolute())
        fault = _told_by_child(lambda: _prepare(identity, folder, names))
    except OSError as error:
        raise ConfigError(f'acme_folder: "{folder.path}": {error.strerror}') from None
    if fault:
        raise ConfigError(fault)


def _prepare(identity: Identity, folder: AcmeFolder, names: Iterable[str]) -> str:
    try:
        identity.assume()
        folder.prepare(names)
    except OSError as error:
        return f"user: {error.strerror}"
    except ConfigError as error:
        return str(error)
    return ""


# ---- by root


def _make_for(identity: Identity, path: Path) -> None:
    """The folder, if root alone can make it. Raises OSError."""
    missing = []
    while not os.path.lexists(path):
        missing.append(path.name)
        path = path.parent
    at = _place_of_root(path) if missing else None
    if at is None:
        return  # what is to be done yet is within that user's power, or it is not to be done
    for name in reversed(missing):
        at = at / name
        at.mkdir(mode=0o700)
        handle = os.open(at, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if name == missing[0]:
                os.fchown(handle, *identity.numbers)
            else:
                os.fchmod(handle, 0o755)  # whatever this process's umask is: others go through
        finally:
            os.close(handle)


def _place_of_root(path: Path) -> Path | None:
    """The same without links; None: somebody else than root can have it lead elsewhere."""
    at, parts, links = Path("/"), list(path.parts[1:]), 0
    while True:
        found = at.stat()
        open_to_others = found.st_mode & 0o022 and not found.st_mode & stat.S_ISVTX
        if found.st_uid != 0 or open_to_others:
            return None
        if not parts:
            return at
        part = parts.pop(0)
        found = (at / part).lstat()
        if not stat.S_ISLNK(found.st_mode):
            at = at.parent if part == ".." else at / part
            continue
        links += 1
        if found.st_uid != 0 or links > _MOST_LINKS:
            return None
        target = (at / part).readlink()
        if target.is_absolute():
            at = Path("/")
        parts = [each for each in target.parts if each != "/"] + parts


# ---- by a child


def _told_by_child(main: Callable[[], str]) -> str:
    """What `main` returns in a process of its own. Raises OSError."""
    reader, writer = os.pipe()
    try:
        # Its parent's handlers are none of its.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            process = os.fork()
            if process == 0:
                _tell(writer, main)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        os.close(writer)
        writer = -1
        told = b""
        while more := os.read(reader, 4096):
            told += more
        os.waitpid(process, 0)
    finally:
        os.close(reader)
        if writer >= 0:
            os.close(writer)
    if not told:
        return f"acme_folder: the process that makes it, {process}, has ended before it was done"
    return told[1:].decode(errors="replace")


def _tell(writer: int, main: Callable[[], str]) -> None:
    """Does not return."""
    with suppress(BaseException):
        told = main()
        os.write(writer, b"." + told.encode(errors="replace"))
    os._exit(0)
