"""For development: reloads the server when a source file changes.

A process of its own, because watching takes threads, which a process that forks should not have. It
sends its parent SIGHUP, so a change does what an administrator's reload does: a file that cannot be
imported leaves the old workers serving until it is mended.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from ..configuration.config import ConfigError
from ..logs import error_log
from ..originals import os, signal

if TYPE_CHECKING:
    from ..configuration.config import Config

# How often it looks whether its parent is still there.
_LOOK_MS = 1000


def check(config: Config) -> None:
    """Raises ConfigError if nothing can be watched here."""
    if find_spec("watchfiles") is None:
        raise ConfigError(
            "reload: the package watchfiles is needed: pip install 'prowingen-wsgi[reload]'"
        )
    for path in config.reload_paths:
        if not Path(path).exists():
            raise ConfigError(f'reload_paths: "{path}": there is no such file or folder')


def watch(config: Config) -> int:
    """Watches until the parent is gone: Python files below the current directory and in what
    `pythonpath` names, and everything in `reload_paths`."""
    import watchfiles  # an extra

    parent = os.getppid()
    further = [Path(path).absolute() for path in config.reload_paths]
    sources = [Path.cwd(), *(Path(path).absolute() for path in config.pythonpath)]

    class Filter(watchfiles.DefaultFilter):
        def __call__(self, change: watchfiles.Change, path: str) -> bool:
            if any(Path(path) == each or each in Path(path).parents for each in further):
                return True
            return path.endswith(".py") and super().__call__(change, path)

    for changes in watchfiles.watch(
        *dict.fromkeys([*sources, *further]),
        watch_filter=Filter(),
        rust_timeout=_LOOK_MS,
        yield_on_timeout=True,
        raise_interrupt=False,
    ):
        if os.getppid() != parent:
            break
        if changes:
            names = sorted({_shown(path) for _, path in changes})
            error_log.info("changed: %s", ", ".join(names))
            os.kill(parent, signal.SIGHUP)
    return 0


def _shown(path: str) -> str:
    try:
        return str(Path(path).relative_to(Path.cwd()))
    except (ValueError, FileNotFoundError):  # it is elsewhere, or there is no current directory
        return path
