"""The token by which an administrator's requests are told from all others: a line in a file.

Whoever knows it can stop the server, so the file is to be its readers' alone, as private keys are.
What is in it fits an Authorization field: the characters of RFC 6750 section 2.1.
"""

from __future__ import annotations

import re
import stat

from ..configuration.config import ConfigError
from ..originals import os

LEAST = 16
MOST = 1024

_TOKEN = re.compile(rb"[A-Za-z0-9\-._~+/]+=*")
_BY_OTHERS = stat.S_IROTH | stat.S_IWOTH
_OPEN_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK  # of a pipe nobody may write to


def read_token(path: str) -> str:
    """Raises ConfigError: there is no such file, it is open to others, or holds no token."""
    try:
        descriptor = os.open(path, _OPEN_FLAGS)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise _error(path, str(why)) from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise _error(path, "it is no regular file")
        if status.st_mode & _BY_OTHERS:
            mode = stat.S_IMODE(status.st_mode)
            raise _error(path, f"every user may read or write it (mode {mode:04o}): chmod o-rw")
        text = os.read(descriptor, MOST + 2)
    except OSError as error:
        raise _error(path, str(error.strerror)) from None
    finally:
        os.close(descriptor)
    token = text.strip(b" \t\r\n")
    if not token:
        raise _error(path, "it is empty; such as `openssl rand -hex 32` makes a token")
    if len(text) > MOST:
        raise _error(path, f"a token has {MOST} characters at most")
    if not _TOKEN.fullmatch(token):
        raise _error(
            path, "a token is one line of letters, digits and -._~+/ (RFC 6750), with = at its end"
        )
    if len(token) < LEAST:
        raise _error(path, f"a token has {LEAST} characters at least, or it would be guessed")
    return token.decode()


def _error(path: str, why: str) -> ConfigError:
    return ConfigError(f'admin_token_file: "{path}": {why}')
