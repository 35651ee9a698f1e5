"""What is kept between conversations with an authority, all of it in one folder:

    account-key.pem           the key of the account
    account.json              which account that is, at which authority
    certificates/NAME.pem     what is served: a certificate with its chain and its key
    challenges/NAME.pem       answers to the authority, for as long as it may ask: see
    challenges/TOKEN          cpp/tls/challenges.h
    lock                      held by who is about to have something issued

Each file is readable by one user alone, and comes into being whole: a server that reads it anew at
that moment reads the one before or this one. A certificate that an authority has issued begins with
a line that says which; one without it is a server's own, to serve by until then.
"""

from __future__ import annotations

import fcntl
import json
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from . import _native
from .configuration.config import ConfigError
from .originals import os

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_ISSUER_LINE = "Issued by the authority of "


@dataclass(frozen=True)
class Owner:
    """Whose the files are; -1: who makes them."""

    user: int = -1
    group: int = -1


@dataclass(frozen=True)
class Issued:
    """A certificate that an authority has issued, with those that lead to it and its key (PEM).

    directory: the authority's.
    """

    directory: str
    pem: bytes


class AcmeFolder:
    def __init__(self, path: Path, owner: Owner | None = None) -> None:
        self.path = path
        self._owner = owner or Owner()

    def prepare(self) -> None:
        """Makes what is missing. Raises ConfigError if that cannot be, or it is somebody else's."""
        try:
            for folder in (self.path, self.path / "certificates", self.path / "challenges"):
                if not folder.exists():
                    folder.mkdir(mode=0o700, parents=True)
                    os.chown(folder, self._owner.user, self._owner.group)
            owner = self.path.stat().st_uid
        except OSError as error:
            raise ConfigError(f'acme_folder: "{self.path}": {error.strerror}') from None
        wanted = os.geteuid() if self._owner.user == -1 else self._owner.user
        if owner != wanted:
            raise ConfigError(
                f'acme_folder: "{self.path}": it belongs to the user number {owner}, and has to be '
                f"that of number {wanted}, who serves"
            )

    # ---- certificates

    def certificate_file(self, name: str) -> Path:
        return self.path / "certificates" / f"{name}.pem"

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
        """Raises OSError."""
        self._write(self.certificate_file(name), f"{_ISSUER_LINE}{directory}\n{chain}\n{key}")

    def make_own(self, name: str) -> None:
        """Something to serve by, if there is nothing. Raises ConfigError."""
        path = self.certificate_file(name)
        try:
            if not path.exists():
                self._write(path, "".join(_native.new_self_signed_certificate(name)))
        except OSError as error:
            raise ConfigError(f'acme_folder: "{path}": {error.strerror}') from None

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
        with suppress(FileNotFoundError, ValueError):
            found = json.loads((self.path / "account.json").read_text())
            if isinstance(found, dict):
                return {str(name): str(value) for name, value in found.items()}
        return {}

    def keep_account(self, account: Mapping[str, str]) -> None:
        """Raises OSError."""
        self._write(self.path / "account.json", json.dumps(account, indent=2) + "\n")

    # ---- what an authority asks for

    @contextmanager
    def answering(self, file: str, text: str) -> Iterator[None]:
        """For as long as it may ask. Raises OSError."""
        path = self.path / "challenges" / file
        self._write(path, text)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)

    # ---- one at a time

    @contextmanager
    def lock(self) -> Iterator[bool]:
        """False: another process has it. Raises OSError."""
        with (self.path / "lock").open("w") as file:
            try:
                # A process's, and not of its children, who would keep it.
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except (BlockingIOError, PermissionError):
                yield False
            else:
                yield True

    def _write(self, path: Path, text: str) -> None:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".")  # readable by this user alone
        try:
            with os.fdopen(handle, "w") as file:
                file.write(text)
                file.flush()
                os.fchown(handle, self._owner.user, self._owner.group)
                os.fsync(handle)
            Path(name).replace(path)
        finally:
            Path(name).unlink(missing_ok=True)
