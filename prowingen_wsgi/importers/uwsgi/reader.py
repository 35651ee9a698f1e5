"""A configuration as uWSGI reads it (core/ini.c and core/config.c of its sources say how).

Files are read line by line, and some lines act at once: they include another file, set another
option, begin a condition or a loop. In what is left, `$(VARIABLE)`, `@(file)` and `%(option)` are
replaced in that order. Keys that are no options are variables: their values are for placeholders.
"""

from __future__ import annotations

import glob
import re
from pathlib import Path
from typing import TYPE_CHECKING

from ...originals import socket
from ..command import CannotReadError, MalformedError
from .files import Entry, read_entries
from .magic import CORES, cores, expand, expansion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_INCLUDES = ("ini", "yaml", "yml", "json", "js", "include", "config")
_SETTERS = ("set", "set-placeholder", "set-ph")
_ENDS = ("end", "endif", "end-if", "endfor", "end-for")
_MOST_FILES = 100
_MOST_ROUNDS = 50
_MOST_TIMES = 10_000
_LONGEST = 100_000

_ENVIRONMENT, _FILE, _OPTION = "$", "@", "%"
# What follows a placeholder's sign: parentheses in it are part of its name, in pairs.
_PLACEHOLDER = r"\((?P<name>[^()]*(?:\([^()]*\)[^()]*)*)\)"


class Reader:
    """Reads files, from the one that is named on.

    entries: what they say, in order, once `read` has returned.
    referred: the names that placeholders have asked for.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.entries: list[Entry] = []
        self.referred: set[str] = set()
        self._environ = environ
        self._first: dict[str, str] = {}
        self._last = ""
        self._files = 0
        self._condition: Callable[[Entry], Iterator[str]] | None = None
        self._failed = False
        self._in_body = False  # what a line of a condition or a loop includes is under none itself

    def read(self, name: str) -> list[Entry]:
        """Everything that the file says, and those that it includes.

        name: a path, perhaps with a section, as in app.ini:other.
        Raises CannotReadError and MalformedError.
        """
        self._read(name)
        for sign, replace in (
            (_ENVIRONMENT, self._variable),
            (_FILE, self._file),
            (_OPTION, self._placeholder),
        ):
            # In place: what refers to a later one has it as it stands by then.
            for index, entry in enumerate(self.entries):
                self.entries[index] = self._replaced(entry, sign, replace)
        for entry in list(self.entries):
            if entry.key == "inherit":
                self._read(entry.value, entry.place)
        return self.entries

    def _read(self, name: str, place: str = "") -> None:
        name = cores(name)
        file, colon, section = name.rpartition(":")
        if not colon or "/" in section:
            file, section = name, ""
        file = file or self._last
        told_by = f"{place}: " if place else ""
        self._files += 1
        if self._files > _MOST_FILES:
            raise MalformedError(f"{told_by}{name}: files include each other without end")
        if re.match(r"[a-z]+://", file) or file == "-":
            raise MalformedError(f"{told_by}{file}: only files are read: save it as one")
        self._last = file
        path = Path(file).absolute()
        table = expansion(path, file, section, self._first)
        self._first = self._first or {letter: table[letter] for letter in "OPSDCENX"}
        try:
            found = read_entries(path, file, section or "uwsgi", lambda text: expand(text, table))
        except CannotReadError as error:
            raise CannotReadError(f"{told_by}{error}") from None
        for entry in found:
            self._take(entry)

    def _take(self, entry: Entry) -> None:
        if "\0" in f"{entry.key}{entry.value.replace(CORES, '')}":
            raise MalformedError(f"{entry.place}: there is a NUL in it: take it out")
        if not self._in_body and entry.key in _ENDS:
            self._condition, self._failed = None, False
        elif not self._in_body and entry.key == "else":
            self._condition = None
        if self._condition is None or self._in_body:
            self._add(entry)
            return
        self._in_body = True
        for value in self._condition(entry):
            self._add(Entry(entry.key, value, entry.place))
        self._in_body = False

    def _add(self, entry: Entry) -> None:
        key, value = entry.key, entry.value
        if key in _INCLUDES:
            self._read(value, entry.place)
        elif key in _SETTERS:
            name, equals, text = value.partition("=")
            if not equals:
                raise MalformedError(f'{entry.place}: {key}: "{value}": must be name=value')
            self._take(Entry(name, text, entry.place))
        elif key == "else":
            self._begin(entry, self._otherwise)
        elif key in _LOOPS:
            self._begin(entry, lambda body: _looped(_LOOPS[key](value, entry.place), body))
        elif (test := self._test(key, cores(value), entry.place)) is not None:
            self._begin(entry, lambda body: self._tested(*test, body))
        elif key not in _ENDS:
            self.entries.append(entry)

    def _begin(self, entry: Entry, condition: Callable[[Entry], Iterator[str]]) -> None:
        if self._condition is not None:
            raise MalformedError(
                f"{entry.place}: {entry.key}: conditions and loops do not go into each other: end "
                "the one before it first, with endif or endfor"
            )
        self._condition = condition

    def _otherwise(self, body: Entry) -> Iterator[str]:
        if self._failed:
            yield body.value

    def _tested(self, holds: bool, shown: str, body: Entry) -> Iterator[str]:
        self._failed = not holds
        if holds:
            yield body.value.replace("%(_)", shown)

    def _test(self, key: str, value: str, place: str) -> tuple[bool, str] | None:
        """Whether what a line asks for is so, and what %(_) stands for below it; or None for a key
        that asks nothing."""
        match = _asks(key)
        if match is None:
            return None
        kind = match[2]
        wanted, equals, expected = value.partition("=")
        if kind in ("env", "opt"):
            known = self._environ if kind == "env" else self._options()
            if kind == "opt":
                self.referred.add(wanted)
            shown = known.get(wanted)
            holds = shown is not None and (not equals or shown == expected)
        else:
            try:
                holds, shown = _TESTS[kind](value), value
            except re.error as error:
                raise MalformedError(
                    f'{place}: {key}: "{value}": this is no pattern: {error}'
                ) from None
        return holds != bool(match[1]), shown or ""

    def _options(self) -> dict[str, str]:
        """The first value of each, which is the one that placeholders see."""
        return {entry.key: entry.value for entry in reversed(self.entries)}

    def _replaced(
        self, entry: Entry, sign: str, replace: Callable[[str, str], str | None]
    ) -> Entry:
        def found(match: re.Match[str]) -> str:
            value = replace(match["name"], entry.place) if match["name"] else None
            return match[0] if value is None else value

        text = entry.value
        for _ in range(_MOST_ROUNDS):  # what is put in may have placeholders in it
            before = text
            text = re.sub(re.escape(sign) + _PLACEHOLDER, found, before)
            if text == before:
                return Entry(entry.key, text, entry.place)
            if len(text) > _LONGEST:
                break
        raise MalformedError(
            f'{entry.place}: {entry.key}: "{entry.value}": refers to itself, by others perhaps'
        )

    def _variable(self, name: str, _place: str) -> str | None:
        """As uWSGI from 2.1 on does, with a default after - or :-."""
        match = re.fullmatch(r"([^:-]+)(:?-)(.*)", name)
        if match is None:
            return self._environ.get(name)
        value = self._environ.get(match[1])
        return match[3] if value is None or (not value and match[2] == ":-") else value

    def _file(self, name: str, place: str) -> str | None:
        if re.match(r"[a-z]+://", name):
            return None  # a command's output, or a page's: nothing to run or fetch here
        try:
            return Path(cores(name)).read_text(encoding="utf-8").rstrip("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise CannotReadError(f"{place}: @({name}): it cannot be read: {error}") from None

    def _placeholder(self, name: str, _place: str) -> str | None:
        known = self._options()
        words = name.split()
        self.referred.update(words)
        if len(words) == 1 and name == words[0]:
            return known.get(name)
        return _calculated(words, known)


def _calculated(words: list[str], known: Mapping[str, str]) -> str:
    """`%(a b)` puts values together; `%(a * 2 + 1)` calculates, from left to right."""
    result, sign = "", ""
    for word in words:
        if word in _SIGNS:
            sign = word
        elif word in ("++", "--"):
            result, sign = str(_number(result) + (1 if word == "++" else -1)), ""
        else:
            value = cores(word if re.fullmatch(r"\d+", word) else known.get(word, ""))
            result = str(_SIGNS[sign](_number(result), _number(value))) if sign else result + value
            sign = ""
    return result


def _number(text: str) -> int:
    match = re.match(r"\s*[+-]?\d+", text)
    return int(match[0]) if match else 0


_SIGNS: Mapping[str, Callable[[int, int], int]] = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": lambda left, right: int(left / right) if right else 0,
}


def _looped(values: Iterator[str], body: Entry) -> Iterator[str]:
    for value in values:
        yield body.value.replace("%(_)", value)


def _times(value: str, place: str) -> Iterator[str]:
    times = _number(cores(value))
    if times > _MOST_TIMES:
        raise MalformedError(f"{place}: {value}: at most {_MOST_TIMES} times")
    yield from map(str, range(1, times + 1))


def _lines(name: str, place: str) -> Iterator[str]:
    try:
        yield from Path(cores(name)).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CannotReadError(f"{place}: {name}: it cannot be read: {error}") from None


_LOOPS: Mapping[str, Callable[[str, str], Iterator[str]]] = {
    "for": lambda value, _: iter(value.split()),
    # Path.glob takes no absolute pattern.
    "for-glob": lambda value, _: iter(sorted(glob.glob(cores(value))) or [value]),  # noqa: PTH207
    "for-times": _times,
    "for-readline": _lines,
}
_TESTS: Mapping[str, Callable[[str], bool]] = {
    "env": lambda _: False,
    "opt": lambda _: False,
    "exists": lambda path: Path(path).exists(),
    "file": lambda path: Path(path).is_file(),
    "dir": lambda path: Path(path).is_dir(),
    "directory": lambda path: Path(path).is_dir(),
    "hostname": lambda name: socket.gethostname() == name,
    "hostname-match": lambda pattern: re.search(pattern, socket.gethostname()) is not None,
    "plugin": lambda name: name.startswith("python") or name in ("http", "corerouter", "gevent"),
    "reload": lambda _: False,
}


def _asks(key: str) -> re.Match[str] | None:
    match = re.fullmatch(r"if-?(not-)?(.+)", key)
    return match if match and match[2] in _TESTS else None


def acts(key: str) -> bool:
    """Whether a key is about how the configuration is read, and done with once it is."""
    acting = (*_INCLUDES, *_SETTERS, *_ENDS, *_LOOPS, "else", "inherit")
    return key in acting or _asks(key) is not None
