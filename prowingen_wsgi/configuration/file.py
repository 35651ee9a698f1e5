"""The configuration file: `prowingen.toml`, or `[tool.prowingen]` in `pyproject.toml` (TOML 1.0).

Keys are the options' names, and `app` and `factory`, which the command line has no option for. A
value is what TOML has for it, or the text that the command line takes: `max_body = "10MiB"`.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .config import OPTIONS, ConfigError, nearest
from .layers import Setting

if TYPE_CHECKING:
    from pathlib import Path

    from .layers import Layer

OWN_NAME, SHARED_NAME = "prowingen.toml", "pyproject.toml"
_TABLE = "tool.prowingen"


@dataclass(frozen=True)
class ConfigFile:
    """What a file says.

    name: as messages name it.
    app, factory: the application, as the command line names it; "" if the file names none.
    passed_over: another file that would have been read without this one; empty if there is none.
    """

    name: str = ""
    layer: Layer = field(default_factory=dict)
    app: str = ""
    factory: bool = False
    passed_over: str = ""


def read_config_file(folder: Path, path: str = "", named_by: str = "config") -> ConfigFile:
    """Reads the file at `path`, or the one that `folder` has, if any.

    named_by: what has named `path`, for messages.
    Raises ConfigError that names file, key and what is allowed.
    """
    if path:
        return _read(folder / path, path, named_by)
    own, shared = folder / OWN_NAME, folder / SHARED_NAME
    if own.is_file():
        return _understand(_parse(own, OWN_NAME), OWN_NAME, _passed_over(shared))
    table = _tool_table(shared, SHARED_NAME) if shared.is_file() else None
    return ConfigFile() if table is None else _understand(table, SHARED_NAME)


def _passed_over(shared: Path) -> str:
    try:
        table = _tool_table(shared, SHARED_NAME) if shared.is_file() else None
    except ConfigError:  # what is wrong in a file that is not needed is other tools' to report
        table = None
    return "" if table is None else f"[{_TABLE}] in {SHARED_NAME}"


def _read(path: Path, name: str, named_by: str) -> ConfigFile:
    if not path.is_file():
        raise ConfigError(f'{named_by}: "{name}": there is no such file')
    if path.name != SHARED_NAME:
        return _understand(_parse(path, name), name)
    table = _tool_table(path, name)
    if table is None:
        raise ConfigError(f"{name}: there is no table [{_TABLE}]")
    return _understand(table, name)


def _parse(path: Path, name: str) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib  # a tenth of what the command imports, and most have no file
    else:
        import tomli as tomllib
    try:
        values: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{name}: this is not TOML: {error}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{name}: it cannot be read: {error}") from None
    return values


def _tool_table(path: Path, name: str) -> dict[str, Any] | None:
    tools = _parse(path, name).get("tool", {})
    table = tools.get("prowingen") if isinstance(tools, dict) else None
    if table is not None and not isinstance(table, dict):
        raise ConfigError(f"{name}: {_TABLE} must be a table")
    return table


def _understand(values: dict[str, Any], name: str, passed_over: str = "") -> ConfigFile:
    layer: dict[str, Setting] = {}
    own: dict[str, Any] = {"app": "", "factory": False}
    for key, value in values.items():
        if _is_table(value):
            raise ConfigError(
                f"{name}: {key}: must be no table; options stand by themselves, as threads = 8"
            )
        if key in own:
            if type(value) is not type(own[key]):
                kind = "a text such as hello:app" if key == "app" else "true or false"
                raise ConfigError(f"{name}: {key}: must be {kind}")
            own[key] = value
        elif key in OPTIONS:
            layer[key] = Setting(_value(value, key, f"{name}: {key}"), name)
        else:
            raise ConfigError(f'{name}: no option is called "{key}"{_hint(key)}')
    return ConfigFile(name, layer, own["app"], own["factory"], passed_over)


def _is_table(value: object) -> bool:
    """Also of `[[key]]`, a list of tables."""
    values = value if isinstance(value, list) else [value]
    return any(isinstance(each, dict) for each in values)


def _value(value: object, key: str, label: str) -> object:
    option = OPTIONS[key]
    if isinstance(value, list) and not all(isinstance(each, str) for each in value):
        raise ConfigError(f"{label}: the items of the list must be texts")
    return option.accept(value, label)


def _hint(key: str) -> str:
    return nearest(key.replace("-", "_"), [*OPTIONS, "app", "factory"])
