"""Where request bodies that wait for their end are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import _native
from .configuration.config import ConfigError

if TYPE_CHECKING:
    from .configuration.config import Config


def check_spool_dir(config: Config) -> None:
    """Makes a file in the directory that is named, so that an error comes before anything is
    served. The system's own temporary directory is not asked for: without it a server serves, and
    refuses the bodies that need it.

    Raises ConfigError that names the option, the directory and what is wrong with it.
    """
    if not config.spool_dir:
        return
    try:
        _native.check_spool(config.native_options())
    except ValueError as error:
        raise ConfigError(str(error)) from None
