"""What is kept between conversations with an authority, all of it in one folder:

    account-key.pem           the key of the account
    account.json              which account that is, at which authority
    state.json                what has failed, and when it is tried again
    certificates/NAME.pem     what is served: a certificate with its chain and its key
    certificates/NAME.key     the key of the one that is asked for
    challenges/NAME.pem       answers to the authority, for as long as it may ask: see
    challenges/TOKEN          cpp/tls/challenges.h
    lock                      held by who is about to have something issued

Each file is readable by one user alone, who is the only one to touch them: no other trusts what is
in a folder of that user's. It comes into being whole: a server that reads it anew at that moment
reads the one before or this one. A certificate that an authority has issued begins with a line that
says which; one without it is a server's own, to serve by until then.
"""

from __future__ import annotations

import fcntl
import json
import stat
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import _native
from .configuration.config import ConfigError
from .originals import os, time
from .threads import Lock

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_ISSUER_LINE = "Issued by the authority of "
# Chains with their keys have some 6 KiB, and blocks of file systems seldom more.
_ROOM = b"\n" * (32 * 1024)
# In seconds: what no file that is being written is older than.
_STALE = 600.0

# Which folders this process has locked. The system's lock is a process's: two servers in one would
# both have it, and who closes the file first would give it back for both.
_locked: dict[Path, int] = {}
_locking = Lock()


@dataclass(frozen=True)
class Issued:
    """A certificate that an authority has issued, with those that lead to it and its key (PEM).

    directory: the authority's.
    """

    directory: str
    pem: bytes = field(repr=False)


class AcmeFolder:
    """Its methods are for the user who serves."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._shown: set[Path] = set()

    def prepare(self, names: Iterable[str] = ()) -> None:
        """Makes what is missing, and for each of these names something to serve by, if there is
        nothing. Raises ConfigError if that cannot be, or the folder is somebody else's."""
        at = self.path
        try:
            for at in (self.path, self._certificates, self._challenges):
                at.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._check(at)
            for name in names:
                at = self.certificate_file(name)
                if not at.exists():
                    self._write(at, "".join(_native.new_self_signed_certificate(name)))
        except OSError as error:
            raise ConfigError(f'acme_folder: "{at}": {error.strerror}') from None

    def _check(self, folder: Path) -> None:
        # The whole may be elsewhere, by a link of an administrator's; a part of it is not.
        found = folder.stat() if folder == self.path else folder.lstat()
        if not stat.S_ISDIR(found.st_mode):
            raise ConfigError(f'acme_folder: "{folder}": it has to be a folder, and no link to one')
        if found.st_uid != os.geteuid():
            raise ConfigError(
                f'acme_folder: "{folder}": it belongs to the user number {found.st_uid}, and has '
                f"to be that of number {os.geteuid()}, who serves"
            )

    @property
    def _certificates(self) -> Path:
        return self.path / "certificates"

    @property
    def _challenges(self) -> Path:
        return self.path / "challenges"

    # ---- certificates

    def certificate_file(self, name: str) -> Path:
        return self._certificates / f"{name}.pem"

    def issued(self, name: str) -> Issued | None:
        """None: no authority has yet. Raises OSError for a file that cannot be read."""
        try:
            pem = self.certificate_file(name).read_bytes()
        except FileNotFoundError:
            return None
        line = pem.split(b"\n", 1)[0].decode("latin-1")
        if not line.startswith(_ISSUER_LINE):
            return None
        return Issued(line.removeprefix(_ISSUER_LINE), pem)

    def keep_issued(self, name: str, directory: str, chain: str, key: str) -> None:
        """Takes the room that `keep_next_key` has kept. Raises OSError."""
        next_key = self._next_key_file(name)
        if kept := self.next_key(name):
            os.truncate(next_key, len(kept))
        self._write(self.certificate_file(name), f"{_ISSUER_LINE}{directory}\n{chain}\n{key}")
        next_key.unlink(missing_ok=True)

    def next_key(self, name: str) -> bytes | None:
        """What `keep_next_key` was given, and no certificate has been kept for (PEM). Raises
        OSError."""
        try:
            return self._next_key_file(name).read_bytes().rstrip(_ROOM[:1]) + b"\n"
        except FileNotFoundError:
            return None

    def keep_next_key(self, name: str, pem: bytes) -> None:
        """With room for the certificate, so that a full disk is met before there is one. Raises
        OSError."""
        self._write(self._next_key_file(name), (pem + _ROOM).decode())

    def _next_key_file(self, name: str) -> Path:
        return self._certificates / f"{name}.key"

    # ---- the account

    def account_key(self) -> bytes | None:
        """PEM. Raises OSError."""
        try:
            return (self.path / "account-key.pem").read_bytes()
        except FileNotFoundError:
            return None

    def keep_account_key(self, pem: bytes) -> None:
        """Raises OSError."""
        self._write(self.path / "account-key.pem", pem.decode())

    def account(self) -> dict[str, str]:
        """What `keep_account` was given last; empty: nothing. Raises OSError."""
        found = self._read_document("account.json")
        return {str(name): str(value) for name, value in found.items()}

    def keep_account(self, account: Mapping[str, str]) -> None:
        """Raises OSError."""
        self._write_document("account.json", account)

    # ---- tries

    def tries(self, directory: str, name: str) -> object:
        """What `keep_tries` was given last; None: nothing. Raises OSError."""
        of_directory = self._read_document("state.json").get(directory)
        return of_directory.get(name) if isinstance(of_directory, dict) else None

    def keep_tries(self, directory: str, name: str, tries: Mapping[str, object]) -> None:
        """By who has the lock. Raises OSError."""
        kept = self._read_document("state.json")
        of_directory = kept.get(directory)
        before = of_directory if isinstance(of_directory, dict) else {}
        self._write_document("state.json", {**kept, directory: {**before, name: dict(tries)}})

    # ---- what an authority asks for

    @contextmanager
    def answering(self, file: str, text: str) -> Iterator[None]:
        """For as long as it may ask. Raises OSError."""
        path = self._challenges / file
        self._shown.add(path)
        try:
            self._write(path, text)
            yield
        finally:
            path.unlink(missing_ok=True)
            self._shown.discard(path)

    def withdraw(self) -> None:
        """Ends what another thread shows, which does not get to it. Raises OSError."""
        for path in tuple(self._shown):
            path.unlink(missing_ok=True)

    # ---- one at a time

    @contextmanager
    def lock(self) -> Iterator[bool]:
        """False: another one has it. What somebody has left who was killed is gone then.

        Raises OSError."""
        folder = self.path.resolve()
        with _locking:
            taken = _locked.get(folder) == os.getpid()  # and not that of whom this is a fork
            if not taken:
                _locked[folder] = os.getpid()
        if taken:
            yield False
            return
        try:
            handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.fchmod(handle, 0o600)
                mine = _lock_now(handle)
                if mine:
                    self._clean_up()
                yield mine
            finally:
                os.close(handle)
        finally:
            with _locking:
                _locked.pop(folder, None)

    def _clean_up(self) -> None:
        for each in self._challenges.iterdir():
            if not stat.S_ISDIR(each.lstat().st_mode):
                each.unlink(missing_ok=True)
        # A server that starts makes certificates of its own without the lock.
        for each in (*self.path.glob(".*"), *self._certificates.glob(".*")):
            with suppress(FileNotFoundError):
                found = each.lstat()
                if stat.S_ISREG(found.st_mode) and abs(time.time() - found.st_mtime) > _STALE:
                    each.unlink()

    # ---- files

    def _read_document(self, file: str) -> dict[str, Any]:
        """A file of JSON; empty: there is none, or it is damaged. Raises OSError."""
        with suppress(FileNotFoundError, ValueError):
            found = json.loads((self.path / file).read_text())
            if isinstance(found, dict):
                return found
        return {}

    def _write_document(self, file: str, document: Mapping[str, object]) -> None:
        self._write(self.path / file, json.dumps(document, indent=2) + "\n")

    @staticmethod
    def _write(path: Path, text: str) -> None:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".")  # readable by this user alone
        try:
            with os.fdopen(handle, "w") as file:
                file.write(text)
                file.flush()
                os.fsync(handle)
            Path(name).replace(path)
        except OSError as error:  # of a disk that is full the system does not say which file
            raise OSError(error.errno, error.strerror, str(path)) from error
        finally:
            Path(name).unlink(missing_ok=True)


def _lock_now(handle: int) -> bool:
    try:
        # A process's, and not of its children, who would keep it.
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True
