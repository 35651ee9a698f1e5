"""A command that starts granian, as it stands somewhere, taken apart.

    granian --interface wsgi app:app                          a shell's words
    web: granian --interface wsgi app:app --port $PORT        a line of a Procfile
    CMD ["granian", "--interface", "wsgi", "app:app"]         of a Dockerfile
    ExecStart=/srv/venv/bin/granian --interface wsgi app:app  of a unit of systemd

What stands before `granian` runs it, such as `poetry run` or `exec`; what follows a shell's
operator is another command, or where the output goes.
"""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TYPE_CHECKING

from ...configuration.config import nearest
from ..command import CannotReadError, MalformedError
from .settings import FLAGS, VARIABLES, Takes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

_KEY = re.compile(
    r"\s*(?:[\w.-]+:\s+|ExecStart=[-@:+!]*|(?:CMD|ENTRYPOINT|RUN)\s+)?(.*)", re.DOTALL
)
_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)
_OPERATOR = re.compile(r"[;&|]+|\d*[<>]+&?.*")
_SHELLS = ("sh", "bash", "dash", "ash")
_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)(?::?-([^}]*))?\})")


@dataclass
class CommandLine:
    """What a command says.

    given: the texts of each setting by name, as they are written.
    labels: what each was written as.
    variables: assignments ahead of the command.
    """

    app: str = ""
    given: dict[str, list[str]] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)


def parse(words: Sequence[str], environ: Mapping[str, str]) -> CommandLine:
    """words: the command's; or a single one that is a whole line, pasted.

    Raises MalformedError.
    """
    if len(words) == 1 and re.search(r"\s", words[0]):
        words = _words_of_line(words[0], environ)
    found = CommandLine()
    if len(words) > 2 and PurePath(words[0]).name in _SHELLS and words[1] == "-c":
        words = _words_of_line(words[2], environ)
    rest = iter(_after_name(list(words), found.variables))
    only_names = False
    for word in rest:
        if only_names or not word.startswith("-") or word == "-":
            if found.app:
                raise MalformedError(f'"{word}": the application is "{found.app}" already')
            found.app = word
        elif word == "--":
            only_names = True
        else:
            _take_flag(found, word, rest)
    return found


def _words_of_line(line: str, environ: Mapping[str, str]) -> list[str]:
    match = _KEY.fullmatch(line.replace("\\\n", " ").strip())
    text = match[1] if match else line
    if text.startswith("["):
        try:
            words = json.loads(text)
        except (json.JSONDecodeError, RecursionError):
            raise MalformedError(f"{text}: this is no list of words in quotes") from None
        if not all(isinstance(word, str) for word in words):
            raise MalformedError(f"{text}: must be a list of texts")
        return list(words)
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise MalformedError(f"{text}: this is no command: {error}: close what is open") from None
    return [_VARIABLE.sub(lambda match: _value(match, environ), word) for word in words]


def _value(match: re.Match[str], environ: Mapping[str, str]) -> str:
    name = match[1] or match[2]
    value = environ.get(name) or match[3]
    if value is None:
        raise MalformedError(f"{match[0]}: the variable is not set: set it and import again")
    return value


def _after_name(words: list[str], variables: dict[str, str]) -> list[str]:
    """What follows `granian`; what stands before it is what runs it, and variables that it has."""
    names = [index for index, word in enumerate(words) if PurePath(word).name == "granian"]
    if not names:
        return words
    for word in words[: names[0]]:
        if match := _ASSIGNMENT.fullmatch(word):
            variables[match[1]] = match[2]
    rest = words[names[0] + 1 :]
    ends = [index for index, word in enumerate(rest) if _OPERATOR.fullmatch(word)]
    return rest[: ends[0]] if ends else rest


def _take_flag(found: CommandLine, word: str, rest: Iterator[str]) -> None:
    flag, equals, text = word.partition("=")
    setting = FLAGS.get(flag)
    if setting is None:
        raise MalformedError(f'"{flag}": granian has no such option{nearest(flag, FLAGS)}')
    if setting.takes is Takes.SWITCH:
        if equals:
            raise MalformedError(f'"{word}": {flag} takes no value')
        text = setting.flags[flag]
    elif not equals:
        text = next(rest, "")
        if not text:
            raise MalformedError(f'"{flag}": a value must follow')
    found.labels[setting.name] = flag
    several = setting.takes in (Takes.TEXTS, Takes.PATHS)
    found.given[setting.name] = [*(found.given.get(setting.name, ()) if several else ()), text]


def variables_of_file(path: Path) -> dict[str, str]:
    """NAME=value lines, as Docker and systemd read them. Raises CannotReadError, MalformedError."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise CannotReadError(f"{path}: there is no such file") from None
    except OSError as error:
        raise CannotReadError(f"{path}: it cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise MalformedError(f"{path}: it cannot be read: {error}: save it as UTF-8") from None
    variables = {}
    for number, line in enumerate(text.split("\n"), 1):
        line = line.strip().removeprefix("export ")
        if not line or line[0] in "#;":
            continue
        match = _ASSIGNMENT.fullmatch(line)
        if match is None:
            raise MalformedError(f"{path}:{number}: must be NAME=value")
        quoted = re.fullmatch(r"([\"'])(.*)\1", match[2].strip())
        variables[match[1]] = quoted[2] if quoted else match[2].strip()
    return variables


def of_variables(environ: Mapping[str, str]) -> CommandLine:
    """What GRANIAN_* variables say."""
    found = CommandLine()
    for variable, text in environ.items():
        setting = VARIABLES.get(variable)
        if setting is None or not text:
            continue
        found.labels[setting.name] = variable
        if setting.takes is Takes.TEXTS:
            found.given[setting.name] = text.split()
        elif setting.takes is Takes.PATHS:
            found.given[setting.name] = [part for part in text.split(":") if part]
        else:
            found.given[setting.name] = [text]
    return found
