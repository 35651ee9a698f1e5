"""What the options of the group "TLS" mean to a whole server: files that can be used, and URLs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import _native
from .configuration.config import ConfigError

if TYPE_CHECKING:
    from .configuration.config import Config


def check_certificates(config: Config) -> None:
    """Reads the files that a server will read, so that errors come before anything is served.

    Raises ConfigError that names the option, the file and what is wrong with it.
    """
    try:
        _native.check_tls(config.native_options())
    except ValueError as error:
        raise ConfigError(str(error)) from None


def served_url(url: str, config: Config) -> str:
    """A listening socket's URL by what is spoken there; `unix:/path` stays as it is."""
    return url.replace("http://", "https://", 1) if config.certfile else url
