"""A file with this process's number, for scripts that send it signals."""

from __future__ import annotations

from pathlib import Path

from ..logs import error_log
from ..originals import os


class PidFileError(Exception):
    """A file that cannot be ours; one line."""


class PidFile:
    """Written when it is made, and removed by the same process only, if it is still its own."""

    def __init__(self, path: str) -> None:
        """Raises PidFileError if another process that runs has it, or it cannot be written."""
        self._path = Path(path).absolute()  # the current directory may change
        self._process = os.getpid()
        other = self._owner()
        if other is not None and other != self._process and _runs(other):
            raise PidFileError(f"pidfile: {path}: process {other} has it, and runs")
        # Written beside it and moved there: who reads it finds a whole number.
        draft = self._path.with_name(f".{self._path.name}.{self._process}")
        try:
            draft.write_text(f"{self._process}\n", encoding="ascii")
            draft.replace(self._path)
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise PidFileError(f"pidfile: {path}: {error.strerror}") from error

    def remove(self) -> None:
        if os.getpid() == self._process and self._owner() == self._process:
            try:
                self._path.unlink(missing_ok=True)
            except OSError as error:
                error_log.warning("the pid file stays, %s: %s", self._path, error.strerror)

    def _owner(self) -> int | None:
        try:
            return int(self._path.read_text(encoding="ascii"))
        except (OSError, ValueError):
            return None


def _runs(process: int) -> bool:
    if process <= 0:
        return False
    try:
        os.kill(process, 0)
    except PermissionError:
        return True  # it is somebody else's
    except (ProcessLookupError, OverflowError):
        return False
    return True
