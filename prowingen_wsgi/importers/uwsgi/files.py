"""What one of uWSGI's configuration files says: keys and values, in order, each with its place.

    .ini             a section; lines `key = value`; comments have lines of their own, by ; or #
    .json .js        an object `{"uwsgi": {...}}`; a list repeats its key
    .yaml .yml       a mapping `uwsgi:`, likewise

The text's %-letters are replaced before anything else is looked at, as uWSGI does.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..command import CannotReadError, MalformedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_JSON, _YAML = (".json", ".js"), (".yaml", ".yml")


@dataclass(frozen=True)
class Entry:
    """One line of a configuration, or what stands for one.

    place: the file, with the line where that is known.
    """

    key: str
    value: str
    place: str


def read_entries(path: Path, name: str, section: str, expand: Callable[[str], str]) -> list[Entry]:
    """The entries of one section of one file.

    name: the file as messages name it.
    expand: what replaces the %-letters.
    Raises CannotReadError and MalformedError.
    """
    text = expand(_text(path, name))
    if name.endswith(_JSON):
        return list(_of_json(text, name, section))
    if name.endswith(_YAML):
        return list(_of_yaml(text, name, section))
    if name.endswith((".xml", ".lua", ".pl")):
        raise MalformedError(f"{name}: this format is not read: write it as an ini file")
    return _of_ini(text, name, section)


def _text(path: Path, name: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise CannotReadError(f"{name}: there is no such file") from None
    except OSError as error:
        raise CannotReadError(f"{name}: it cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise MalformedError(f"{name}: it cannot be read: {error}: save it as UTF-8") from None


def _of_ini(text: str, name: str, wanted: str) -> list[Entry]:
    entries = []
    section, sections = "", []
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.strip(" \t\r")
        place = f"{name}:{number}"
        if line.startswith("["):
            if not line.endswith("]"):
                raise MalformedError(f'{place}: "{line}": a section ends with a bracket: [uwsgi]')
            section = line[1:-1]
            sections.append(section)
        elif line and line[0] not in ";#":
            key, _, value = line.partition("=")
            if not key.strip(" \t\r"):
                raise MalformedError(f'{place}: "{line}": must be key = value')
            if section == wanted:
                entries.append(Entry(key.rstrip(" \t\r"), value.strip(" \t\r"), place))
    if wanted not in sections:
        raise _no_section(name, wanted, sections)
    return entries


def _no_section(name: str, wanted: str, sections: list[str]) -> MalformedError:
    if not sections:
        return MalformedError(f"{name}: there is no section: begin it with a line [{wanted}]")
    return MalformedError(
        f"{name}: there is no section [{wanted}], but {', '.join(sections)}: name the one that is "
        f"meant, as in {name}:{sections[0]}"
    )


def _of_json(text: str, name: str, wanted: str) -> Iterator[Entry]:
    try:
        found = json.loads(text, object_pairs_hook=_Pairs, parse_float=str, parse_int=str)
    except json.JSONDecodeError as error:
        raise MalformedError(f"{name}:{error.lineno}: this is not JSON: {error.msg}") from None
    except RecursionError:
        raise MalformedError(f"{name}: this is nested too deep: uWSGI's options are flat") from None
    if not isinstance(found, _Pairs):
        raise MalformedError(f'{name}: must be an object such as {{"uwsgi": {{"processes": 2}}}}')
    section = [value for key, value in found.pairs if key == wanted]
    if not section or not isinstance(section[0], _Pairs):
        raise _no_section(name, wanted, [key for key, _ in found.pairs])
    for key, value in section[0].pairs:
        for each in value if isinstance(value, list) else [value]:
            yield Entry(key, _plain(each, f"{name}: {key}"), name)


class _Pairs:
    """An object of JSON, in which a key may come again."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        self.pairs = pairs


def _plain(value: object, label: str) -> str:
    if isinstance(value, (list, _Pairs)):
        raise MalformedError(f"{label}: must be a text, a number, true, false or a list of them")
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _of_yaml(text: str, name: str, wanted: str) -> Iterator[Entry]:
    try:
        import yaml
    except ImportError:
        raise CannotReadError(
            f"{name}: the package PyYAML is needed to read it: pip install PyYAML"
        ) from None
    try:
        found = yaml.compose(text, Loader=yaml.BaseLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{name}:{mark.line + 1}" if mark else name
        problem = getattr(error, "problem", None) or error
        raise MalformedError(f"{where}: this is not YAML: {problem}") from None
    if not isinstance(found, yaml.MappingNode):
        raise MalformedError(f"{name}: must begin with uwsgi: and have the options below it")
    section = [value for key, value in found.value if key.value == wanted]
    if not section or not isinstance(section[0], yaml.MappingNode):
        raise _no_section(name, wanted, [str(key.value) for key, _ in found.value])
    for key, value in section[0].value:
        place = f"{name}:{key.start_mark.line + 1}"
        for each in value.value if isinstance(value, yaml.SequenceNode) else [value]:
            if not isinstance(each, yaml.ScalarNode) or not isinstance(key, yaml.ScalarNode):
                raise MalformedError(f"{place}: must be a text, a number or a list of them")
            yield Entry(str(key.value), str(each.value), place)
