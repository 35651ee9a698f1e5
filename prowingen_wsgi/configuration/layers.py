"""Where each option's value comes from: layers, of which a later one wins.

    defaults  <  file  <  environment  <  command line

A layer maps options to settings, each with the name that its user knows it by (`prowingen.toml`,
`PROWINGEN_THREADS`, `--threads`): errors and `--check` quote it. See `sources` for who reads them
when.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .config import OPTIONS, Config, nearest

DEFAULT = "default"

_PREFIX = "PROWINGEN_"
# A server factory's name and a configuration file's, which are no options.
_RESERVED = frozenset({"PROWINGEN_SERVER", "PROWINGEN_CONFIG"})


@dataclass(frozen=True)
class Setting:
    value: object
    source: str


Layer = Mapping[str, Setting]


@dataclass(frozen=True)
class ResolvedConfig:
    """A configuration with the source of each of its values."""

    config: Config
    sources: Mapping[str, str]


def environment_layer(environ: Mapping[str, str]) -> Layer:
    """The PROWINGEN_* variables. Raises ConfigError for a wrong value."""
    return {
        option.name: Setting(option.parse(environ[option.env], option.env), option.env)
        for option in OPTIONS.values()
        if option.env in environ
    }


def unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """A warning for each PROWINGEN_* variable that is no option, with the nearest that is one."""
    # Compared without the prefix, which would make any two of them look alike.
    known = {option.env.removeprefix(_PREFIX) for option in OPTIONS.values()}
    warnings = []
    for variable in sorted(environ):
        name = variable.removeprefix(_PREFIX)
        if variable.startswith(_PREFIX) and name not in known and variable not in _RESERVED:
            hint = nearest(name, known).replace('"', f'"{_PREFIX}', 1)
            warnings.append(f"the environment's {variable} is no option{hint}")
    return warnings


def arguments_layer(given: Mapping[str, Sequence[tuple[str, str]]]) -> Layer:
    """The command line: for each option named, the flags as written with their texts.

    A repeated flag adds a value to an option that takes several; of any other the last one counts.
    Raises ConfigError for a wrong value.
    """
    layer = {}
    for name, uses in given.items():
        flag = uses[-1][0]
        value = OPTIONS[name].parse_flags([text for _, text in uses], flag)
        layer[name] = Setting(value, flag)
    return layer


def merge(*layers: Layer) -> ResolvedConfig:
    """Lays the layers over the defaults, the last one on top."""
    settings = {name: Setting(option.default, DEFAULT) for name, option in OPTIONS.items()}
    for layer in layers:
        settings.update(layer)
    config = Config.from_values({name: setting.value for name, setting in settings.items()})
    return ResolvedConfig(config, {name: setting.source for name, setting in settings.items()})
