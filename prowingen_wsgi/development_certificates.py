"""Certificates for development: a local authority, and a certificate of it for localhost.

    authority.pem            what browsers are to trust, once
    authority-with-key.pem   the same with its key
    localhost.pem            the certificate with its key, made anew before it expires

Each file comes into being whole, so that two processes may do this at once. OpenSSL makes them.
"""

from __future__ import annotations

import tempfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from . import _native
from .configuration.config import ConfigError
from .originals import os, time

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .configuration.config import Config

# A certificate is valid for 365 days.
_RENEWED_AFTER = 300 * 86400.0
_END_OF_CERTIFICATE = "-----END CERTIFICATE-----\n"


class DevelopmentCertificates:
    """Those of one folder.

    authority: the file of the authority's certificate.
    certificate: the file of the certificate and its key.
    """

    def __init__(self, folder: Path) -> None:
        self.authority = folder / "authority.pem"
        self.certificate = folder / "localhost.pem"
        self._folder = folder
        self._with_key = folder / "authority-with-key.pem"

    def make(self, *, anew: bool = False) -> None:
        """Makes what is missing, or will soon have expired.

        anew: the certificate in any case; the authority, which has been trusted, stays.
        Raises ConfigError if the folder cannot be written to, or holds something else.
        """
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            others = [path for path in (self.authority, self.certificate) if path.exists()]
            if others and not self._with_key.exists():  # which comes before them
                raise ConfigError(
                    f'"{others[0]}" is there already, and was not made by this: name another folder'
                )
            if not self._with_key.exists():
                self._write("".join(_native.new_development_authority()), self._with_key, keep=True)
            authority, key = _apart(self._with_key.read_text())
            if not self.authority.exists() or self.authority.read_text() != authority:
                self._write(authority, self.authority)
            if anew or not self._is_fresh():
                made = _native.new_development_certificate(authority, key)
                self._write("".join(made), self.certificate)
        except OSError as error:
            raise ConfigError(f'"{self._folder}": {error.strerror}') from None
        except ValueError as error:
            raise ConfigError(f'"{self._with_key}": {error}') from None

    def _is_fresh(self) -> bool:
        with suppress(FileNotFoundError):
            made = self.certificate.stat().st_mtime
            return made >= self._with_key.stat().st_mtime and time.time() - made < _RENEWED_AFTER
        return False

    def _write(self, text: str, path: Path, *, keep: bool = False) -> None:
        """keep: the file that another process has written meanwhile, if there is one."""
        handle, name = tempfile.mkstemp(dir=self._folder)  # readable by this user alone
        try:
            with os.fdopen(handle, "w") as file:
                file.write(text)
            if keep:
                with suppress(FileExistsError):
                    os.link(name, path)
            else:
                Path(name).replace(path)
        finally:
            Path(name).unlink(missing_ok=True)


def _apart(text: str) -> tuple[str, str]:
    certificate, end, key = text.partition(_END_OF_CERTIFICATE)
    return certificate + end, key


def development_folder(environ: Mapping[str, str]) -> Path:
    """A user's own, as the XDG base directory specification has it.

    Raises ConfigError for a user who has none."""
    base = environ.get("XDG_DATA_HOME", "")
    if Path(base).is_absolute():
        return Path(base) / "prowingen"
    try:
        return Path.home() / ".local/share/prowingen"
    except RuntimeError:
        raise ConfigError("there is no home directory: set HOME or XDG_DATA_HOME") from None


def with_development_certificate(config: Config) -> Config:
    """The configuration with its certificate, if it asks for HTTPS and names none.

    Raises ConfigError if there can be none."""
    if not config.https or config.certfile:
        return config
    try:
        files = DevelopmentCertificates(development_folder(os.environ))
        files.make()
    except ConfigError as error:
        raise ConfigError(f"https: {error}") from None
    return replace(config, certfile=(str(files.certificate),), keyfile=())
