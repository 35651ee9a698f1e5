"""Everything that a command's configuration is read from, as often as it is reloaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .config import OPTIONS, Config, ConfigError
from .config_file import read_config_file
from .layers import Effective, arguments_layer, environment_layer, merge, unknown_variables

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping, Sequence

CONFIG_VARIABLE = "PROWINGEN_CONFIG"
"""Names the configuration file, if the command line does not."""


@dataclass(frozen=True)
class Reading:
    """What one reading has found.

    app, factory: the application that the file names; "" if it names none.
    warnings: what is odd but no error, as lines.
    """

    effective: Effective
    app: str
    factory: bool
    warnings: list[str]

    @property
    def config(self) -> Config:
        return self.effective.config


class Sources:
    """The command line, which stays, and what may change: the file, and the environment.

    given: the command line's options, as `Arguments.given`.
    config: the file that the command line names; "" for the one in the current directory.
    environ: the environment; variables of `env_file` are added to it, and leave it again with the
        reading after if they are not in the file any more.

    Paths of the two files are relative to the directory that this is made in.
    """

    def __init__(
        self,
        given: Mapping[str, Sequence[tuple[str, str]]],
        config: str,
        environ: MutableMapping[str, str],
    ) -> None:
        """Raises ConfigError for a wrong value on the command line."""
        self._arguments = arguments_layer(given)
        self._config = config or environ.get(CONFIG_VARIABLE, "")
        self._environ = environ
        self._folder = Path.cwd()
        self._added: dict[str, str] = {}

    def read(self) -> Reading:
        """Reads everything anew. Raises ConfigError; the environment is then as it was before."""
        file = read_config_file(self._folder, self._config)
        before = {
            name: value
            for name, value in self._environ.items()
            if self._added.get(name) != value  # what an earlier reading added
        }
        early = merge(file.layer, environment_layer(before), self._arguments)
        path = early.config.env_file
        added = {
            name: value
            for name, value in (_variables(self._folder / path, path) if path else {}).items()
            if name not in before
        }
        environment = environment_layer({**before, **added})
        effective = merge(file.layer, environment, self._arguments)
        check_together(effective)
        for name in self._added:
            self._environ.pop(name, None)
        self._environ.update(before)
        self._environ.update(added)
        self._added = added
        warnings = unknown_variables(self._environ)
        if file.passed_over:
            warnings.append(f"{file.passed_over} is not read, since there is {file.name}")
        return Reading(effective, file.app, file.factory, warnings)


def _variables(path: Path, name: str) -> dict[str, str]:
    """The NAME=value lines of a file, as python-dotenv reads them."""
    try:
        from dotenv import dotenv_values  # an extra
    except ImportError:
        raise ConfigError(
            "env_file: the package python-dotenv is needed: pip install 'prowingen-wsgi[env-file]'"
        ) from None
    if not path.is_file():
        raise ConfigError(f'env_file: "{name}": there is no such file')
    return {key: value for key, value in dotenv_values(path).items() if value is not None}


_NEED_WORKERS = ("preload", "max_requests", "max_requests_jitter", "max_rss", "worker_timeout")


def check_together(effective: Effective) -> None:
    """Raises ConfigError for options that contradict each other, or do nothing without another."""
    config = effective.config

    def refuse(name: str, why: str) -> None:
        source = effective.sources[name]
        names_it = source in (*OPTIONS[name].flags, OPTIONS[name].env)
        raise ConfigError(f"{source if names_it else f'{source}: {name}'}: {why}")

    for name in _NEED_WORKERS:
        if getattr(config, name) != OPTIONS[name].default and not config.workers:
            refuse(name, "it needs a supervisor: --workers 1 or more")
    if config.max_requests_jitter and not config.max_requests:
        refuse("max_requests_jitter", "it needs max_requests")
    if config.reload and config.preload:
        refuse("preload", "it does not go with reload")
    if config.reload_paths and not config.reload:
        refuse("reload_paths", "it needs reload")
