"""Everything that a command's configuration is read from, as often as it is reloaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .config import ConfigError
from .conflicts import check_together
from .environment_file import read_env_file
from .file import read_config_file
from .layers import ResolvedConfig, arguments_layer, environment_layer, merge, unknown_variables

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .config import Config

CONFIG_VARIABLE = "PROWINGEN_CONFIG"
"""Names the configuration file, if the command line does not."""


@dataclass(frozen=True)
class LoadedConfig:
    """What one reading has found.

    file: the configuration file as messages name it; "" without one.
    app, factory: the application that the file names; "" if it names none.
    variables: those of `env_file` that the environment lacks. They are the application's: whoever
        loads it sets them, in its own process, so that a reading that fails later leaves no trace.
    warnings: what is odd but no error, as lines.
    """

    resolved: ResolvedConfig
    file: str
    app: str
    factory: bool
    variables: Mapping[str, str]
    warnings: list[str]

    @property
    def config(self) -> Config:
        return self.resolved.config


class Sources:
    """The command line, which stays, and what may change: the files, and the environment.

    folder: the current directory; paths of the two files are relative to it, also later.
    given: the command line's options, as `Arguments.given`.
    config: the file that the command line names; "" for the one in the current directory.
    environ: the environment; it is read, and stays as it is.
    """

    def __init__(
        self,
        given: Mapping[str, Sequence[tuple[str, str]]],
        config: str,
        environ: Mapping[str, str],
    ) -> None:
        """Raises ConfigError for a wrong value on the command line, or if the current directory is
        gone."""
        self._arguments = arguments_layer(given)
        self._config = config or environ.get(CONFIG_VARIABLE, "")
        self._config_named_by = "--config" if config else CONFIG_VARIABLE
        self._environ = environ
        try:
            self.folder = Path.cwd()
        except FileNotFoundError:
            raise ConfigError("the current directory is gone: start in one that is there") from None

    def read(self) -> LoadedConfig:
        """Reads everything anew. Raises ConfigError."""
        file = read_config_file(self.folder, self._config, self._config_named_by)
        early = merge(file.layer, environment_layer(self._environ), self._arguments)
        path = early.config.env_file
        variables = read_env_file(self.folder / path, path, self._environ) if path else {}
        environ = {**self._environ, **variables}
        resolved = merge(file.layer, environment_layer(environ), self._arguments)
        check_together(resolved)
        warnings = unknown_variables(environ)
        if file.passed_over:
            warnings.append(f"{file.passed_over} is not read, since there is {file.name}")
        return LoadedConfig(resolved, file.name, file.app, file.factory, variables, warnings)
