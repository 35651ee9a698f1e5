"""The kinds of value an option can have: how each is read, checked and written.

A kind turns a user's text into a value (`parse`), refuses values out of bounds (`check`), and
writes a value so that `parse` reads it back (`format`). All three say what is allowed when they
refuse. Nothing here knows where a text came from: see `sources`.
"""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)", re.IGNORECASE)
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)", re.IGNORECASE)

_SIZE_UNITS = {
    "": 1,
    "b": 1,
    **{letter: 1024**power for power, letter in enumerate("kmgtp", 1)},
    **{f"{letter}ib": 1024**power for power, letter in enumerate("kmgtp", 1)},
    **{f"{letter}b": 1000**power for power, letter in enumerate("kmgtp", 1)},
}
# How many of a unit are a second, or how many seconds a unit is: 51 / 1000 is the float that 0.051
# is, and 51 * 0.001 is not.
_FRACTIONS = {"ms": 1000}
_MULTIPLES = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


class BadValueError(ValueError):
    """A value that its kind refuses; `reason` says what is allowed."""

    def __init__(self, value: object, reason: str) -> None:
        super().__init__(value, reason)
        self.value = value
        self.reason = reason

    def __str__(self) -> str:
        # A message is one line, and what a file has in it need not be.
        shown = (c if c.isprintable() else ascii(c)[1:-1] for c in str(self.value))
        return f'"{"".join(shown)}": {self.reason}'


class Kind(ABC):
    """What every kind of value can do. Raises `BadValueError` for what it refuses."""

    metavar: str
    unit: str = ""
    cpp_type: str = ""
    """The C++ type of an option of this kind, if it goes to the native side."""

    @abstractmethod
    def parse(self, text: str) -> object:
        """Reads what a user wrote on a command line or in a variable."""

    def parse_flags(self, texts: Sequence[str]) -> object:
        """Reads what a command line says, one time after another."""
        return self.parse(texts[-1])

    @abstractmethod
    def check(self, value: object) -> object:
        """Accepts a value made in Python, perhaps as a close type such as an int for seconds."""

    @abstractmethod
    def format(self, value: object) -> str:
        """Writes a value as a user would."""

    @property
    @abstractmethod
    def allowed(self) -> str:
        """What is allowed, to go after "must be"."""

    @property
    def bounds(self) -> str:
        """The bounds or choices alone, for a table; empty if there are none."""
        return ""

    def anchored(self, value: object, folder: Path) -> object:
        """The value with its relative paths as absolute ones, from `folder` on."""
        del folder
        return value


@dataclass(frozen=True)
class Count(Kind):
    """A whole number."""

    minimum: int
    maximum: int
    metavar = "N"
    cpp_type = "std::size_t"

    def parse(self, text: str) -> int:
        if not re.fullmatch(r"[+-]?\d+", text.strip(), re.ASCII):
            raise BadValueError(text, f"must be {self.allowed}")
        return self.check(int(text))

    def check(self, value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise BadValueError(value, f"must be {self.allowed}")
        if not self.minimum <= value <= self.maximum:
            raise BadValueError(value, f"must be {self.allowed}")
        return value

    def format(self, value: object) -> str:
        return str(value)

    @property
    def allowed(self) -> str:
        return f"a whole number, {self.bounds}"

    @property
    def bounds(self) -> str:
        return f"{self.minimum}–{self.maximum}"


@dataclass(frozen=True)
class CountOrAuto(Count):
    """A whole number, or the word auto for what the machine suggests."""

    def parse(self, text: str) -> int | str:  # type: ignore[override]
        return "auto" if text.strip().lower() == "auto" else super().parse(text)

    def check(self, value: object) -> int | str:  # type: ignore[override]
        return value if value == "auto" else super().check(value)

    @property
    def bounds(self) -> str:
        return f"{super().bounds}, auto"


@dataclass(frozen=True)
class Octal(Kind):
    """A file mode mask in octal digits; -1 stands for none."""

    metavar = "MODE"

    def parse(self, text: str) -> int:
        if text.strip() == "-1":
            return -1
        if not re.fullmatch(r"(0o)?[0-7]{1,4}", text.strip(), re.ASCII):
            raise BadValueError(text, f"must be {self.allowed}")
        return self.check(int(text.strip().removeprefix("0o"), 8))

    def check(self, value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not -1 <= value <= 0o777:
            raise BadValueError(value, f"must be {self.allowed}")
        return value

    def format(self, value: object) -> str:
        return "-1" if value == -1 else f"{value:03o}"

    @property
    def allowed(self) -> str:
        return f"octal digits such as 022, {self.bounds}"

    @property
    def bounds(self) -> str:
        return "000–777, -1"


@dataclass(frozen=True)
class Size(Kind):
    """A number of bytes. Letters alone (`k`) and `KiB` mean 1024, `kB` means 1000."""

    minimum: int
    maximum: int
    cpp_type: str = "std::size_t"
    metavar = "SIZE"
    unit = "bytes"

    def parse(self, text: str) -> int:
        match = _SIZE.fullmatch(text.strip())
        scale = _SIZE_UNITS.get(match[2].lower()) if match else None
        if match is None or scale is None:
            raise BadValueError(text, f"must be {self.allowed}")
        size = float(match[1]) * scale if "." in match[1] else int(match[1]) * scale
        if not self.minimum <= size <= self.maximum:
            raise BadValueError(text, f"must be {self.allowed}")
        return int(size)

    def check(self, value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise BadValueError(value, f"must be {self.allowed}")
        if not self.minimum <= value <= self.maximum:
            raise BadValueError(value, f"must be {self.allowed}")
        return value

    def format(self, value: object) -> str:
        assert isinstance(value, int)
        for power, letter in reversed([*enumerate("KMGTP", 1)]):
            if value >= 1024**power and value % 1024**power == 0:
                return f"{value // 1024**power}{letter}iB"
        return str(value)

    @property
    def allowed(self) -> str:
        return f"a number of bytes such as 512, 64KiB, 10k or 1MiB, {self.bounds}"

    @property
    def bounds(self) -> str:
        return f"{self.format(self.minimum)}–{self.format(self.maximum)}"


@dataclass(frozen=True)
class Seconds(Kind):
    """A duration, in seconds unless the text names another unit."""

    minimum: float
    maximum: float
    metavar = "SECONDS"
    unit = "seconds"
    cpp_type = "double"

    def parse(self, text: str) -> float:
        match = _DURATION.fullmatch(text.strip())
        unit = match[2].lower() if match else None
        if match and unit in _MULTIPLES:
            return self._within(float(match[1]) * _MULTIPLES[unit], text)
        if match and unit in _FRACTIONS:
            return self._within(float(match[1]) / _FRACTIONS[unit], text)
        raise BadValueError(text, f"must be {self.allowed}")

    def check(self, value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise BadValueError(value, f"must be {self.allowed}")
        return self._within(float(value), value)

    def _within(self, seconds: float, given: object) -> float:
        if not math.isfinite(seconds) or not self.minimum <= seconds <= self.maximum:
            raise BadValueError(given, f"must be {self.allowed}")
        return seconds

    def format(self, value: object) -> str:
        assert isinstance(value, float)
        milliseconds = value * 1000
        if value and value < 1 and milliseconds.is_integer():
            return f"{int(milliseconds)}ms"
        for unit, scale in (("d", 86400), ("h", 3600)):
            if value >= scale and value % scale == 0:
                return f"{int(value // scale)}{unit}"
        if not value % 1:
            return f"{int(value)}s"
        from decimal import Decimal  # most are whole ones

        return f"{Decimal(repr(value)):f}s"

    @property
    def allowed(self) -> str:
        return f"a duration such as 30, 500ms or 2m, {self.bounds}"

    @property
    def bounds(self) -> str:
        return f"{self.format(float(self.minimum))}–{self.format(float(self.maximum))}"


@dataclass(frozen=True)
class Switch(Kind):
    """On or off."""

    metavar = ""
    cpp_type = "bool"
    _WORDS: ClassVar[dict[str, bool]] = {
        **dict.fromkeys(("1", "true", "yes", "on"), True),
        **dict.fromkeys(("0", "false", "no", "off"), False),
    }

    def parse(self, text: str) -> bool:
        value = self._WORDS.get(text.strip().lower())
        if value is None:
            raise BadValueError(text, f"must be {self.allowed}")
        return value

    def check(self, value: object) -> bool:
        if not isinstance(value, bool):
            raise BadValueError(value, f"must be {self.allowed}")
        return value

    def format(self, value: object) -> str:
        return "on" if value else "off"

    @property
    def allowed(self) -> str:
        return "on or off (also yes/no, true/false, 1/0)"

    @property
    def bounds(self) -> str:
        return "on, off"


@dataclass(frozen=True)
class Choice(Kind):
    """One of a few words."""

    choices: tuple[str, ...]
    metavar = "NAME"
    cpp_type = "std::string"

    def parse(self, text: str) -> str:
        return self.check(text.strip().lower())

    def check(self, value: object) -> str:
        if not isinstance(value, str) or value not in self.choices:
            raise BadValueError(value, f"must be {self.allowed}")
        return value

    def format(self, value: object) -> str:
        return str(value)

    @property
    def allowed(self) -> str:
        return f"one of {self.bounds}"

    @property
    def bounds(self) -> str:
        return ", ".join(self.choices)


@dataclass(frozen=True)
class Text(Kind):
    """Printable ASCII: such a text may end up in a header field or a log line."""

    metavar: str = "TEXT"
    ascii_only: bool = True
    cpp_type = "std::string"

    def parse(self, text: str) -> str:
        return self.check(text)

    def check(self, value: object) -> str:
        if not isinstance(value, str):
            raise BadValueError(value, f"must be {self.allowed}")
        printable = re.fullmatch(r"[ -~]*", value) if self.ascii_only else "\0" not in value
        if not printable:
            raise BadValueError(value, f"must be {self.allowed}")
        return value

    def format(self, value: object) -> str:
        return str(value)

    @property
    def allowed(self) -> str:
        return "printable ASCII" if self.ascii_only else "text without NUL"


@dataclass(frozen=True)
class UrlPath(Text):
    """A path of URLs as clients send it, without a slash at its end; or nothing."""

    metavar: str = "PATH"

    def check(self, value: object) -> str:
        text = super().check(value)
        parts = text.split("/")
        if text and (parts[0] or any(part in ("", ".", "..") for part in parts[1:])):
            raise BadValueError(text, f"must be {self.allowed}")
        if set("?# %") & set(text):
            raise BadValueError(text, f"must be {self.allowed}")
        return text

    @property
    def allowed(self) -> str:
        return "a path such as /-/health, without a slash at its end"


@dataclass(frozen=True)
class FilePath(Text):
    """A path that is used while the server runs, when the application may have gone elsewhere.

    words: what is no path.
    """

    metavar: str = "PATH"
    ascii_only: bool = False
    words: tuple[str, ...] = ()

    def anchored(self, value: object, folder: Path) -> str:
        assert isinstance(value, str)
        return value if not value or value in self.words else anchored_path(value, folder)


@dataclass(frozen=True)
class Secret(Text):
    """A text that is not shown, in errors neither."""

    ascii_only: bool = False

    def check(self, value: object) -> str:
        try:
            return super().check(value)
        except BadValueError as error:
            raise BadValueError("***", error.reason) from None

    def format(self, value: object) -> str:
        return "***" if value else ""


@dataclass(frozen=True)
class Many(Kind):
    """Texts, `minimum` of them at least, each of which `check_one` accepts.

    One text has commas between them; a flag that is repeated has one of them each time, and more
    where none can have a comma in it.
    """

    check_one: Callable[[str], object]
    """Raises ValueError with what is allowed."""
    metavar: str = "TEXT"
    minimum: int = 1
    anchor_one: Callable[[str, Path], str] = lambda text, _: text
    """What `anchored` does to each."""
    may_hold_commas: bool = False
    """Whether one of them can, as a path."""
    cpp_type = "std::vector<std::string>"

    def parse(self, text: str) -> tuple[str, ...]:
        return self.check(_split(text))

    def parse_flags(self, texts: Sequence[str]) -> tuple[str, ...]:
        if self.may_hold_commas:
            return self.check(tuple(texts))
        return self.check(tuple(part for text in texts for part in _split(text)))

    def check(self, value: object) -> tuple[str, ...]:
        if not isinstance(value, (tuple, list)) or len(value) < self.minimum:
            raise BadValueError(value, f"must be {self.allowed}")
        for part in value:
            if not isinstance(part, str):
                raise BadValueError(part, f"must be {self.allowed}")
            try:
                self.check_one(part)
            except ValueError as error:
                raise BadValueError(part, str(error)) from None
        return tuple(value)

    def format(self, value: object) -> str:
        assert isinstance(value, tuple)
        return ",".join(value)

    def anchored(self, value: object, folder: Path) -> tuple[str, ...]:
        assert isinstance(value, tuple)
        return tuple(self.anchor_one(text, folder) for text in value)

    @property
    def allowed(self) -> str:
        few = "one or more" if self.minimum else "any number of them"
        return f"{few}, separated by commas"


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def path_text(text: str) -> str:
    """For lists of paths. Raises ValueError for what no path can be."""
    if not text or "\0" in text:
        raise ValueError("must be a path")
    return text


def anchored_path(text: str, folder: Path) -> str:
    """A path as an absolute one; one that is already stays as it is written."""
    path = Path(text)
    return text if path.is_absolute() else str((folder / path).absolute())
