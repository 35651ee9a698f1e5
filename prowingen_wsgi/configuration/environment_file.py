"""The file of variables that `env_file` names, in the format of python-dotenv.

Each line is `NAME=value`, perhaps after `export`; a value may be in quotes and go over lines, and
`${NAME}` or `${NAME:-default}` stands for a variable of the environment or of a line before.
"""

from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING

from .config import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# They say where this file is, or are read before it.
_TOO_LATE = ("PROWINGEN_CONFIG", "PROWINGEN_ENV_FILE")


def read_env_file(path: Path, name: str, environ: Mapping[str, str]) -> dict[str, str]:
    """The file's variables that the environment does not have.

    name: the file as messages name it.
    Raises ConfigError that names the file and, for what is no variable, the line.
    """
    try:
        from dotenv.parser import parse_stream  # an extra
        from dotenv.variables import parse_variables
    except ImportError:
        raise ConfigError(
            "env_file: the package python-dotenv is needed: pip install 'prowingen-wsgi[env-file]'"
        ) from None
    added: dict[str, str] = {}
    for binding in parse_stream(StringIO(_text(path, name))):
        text = binding.original.string  # blank lines before it included
        line = binding.original.line + text[: len(text) - len(text.lstrip())].count("\n")
        place = f'env_file: "{name}": line {line}'
        if binding.error or "\0" in text:
            raise ConfigError(f"{place}: must be NAME=value")
        if binding.key is None or binding.value is None or binding.key in environ:
            continue  # a comment, a name alone, or what is set already
        if binding.key in _TOO_LATE:
            raise ConfigError(f"{place}: {binding.key} has no effect here; set it elsewhere")
        # The library's own interpolation would see the process's environment, and let the file win.
        known = {**added, **environ}
        atoms = parse_variables(binding.value)
        added[binding.key] = "".join(atom.resolve(known) for atom in atoms)
    return added


def _text(path: Path, name: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f'env_file: "{name}": there is no such file') from None
    except OSError as error:
        raise ConfigError(f'env_file: "{name}": it cannot be read: {error.strerror}') from None
    except UnicodeDecodeError as error:
        raise ConfigError(f'env_file: "{name}": it cannot be read: {error}') from None
