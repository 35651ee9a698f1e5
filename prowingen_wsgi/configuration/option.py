"""What an option is: what it says about itself, and how its values are read and checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .values import BadValueError, Kind, Secret, Switch

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["ConfigError", "Option", "option_field"]


class ConfigError(ValueError):
    """An option that is wrong: names the option, the value and what is allowed."""


@dataclass(frozen=True)
class Option:
    """What one field of `Config` says about itself."""

    kind: Kind
    help: str
    group: str
    native: bool
    short: str = ""
    name: str = ""
    default: Any = None

    @property
    def env(self) -> str:
        """The environment variable that sets it."""
        return f"PROWINGEN_{self.name.upper()}"

    @property
    def flag(self) -> str:
        return f"--{self.name.replace('_', '-')}"

    @property
    def flags(self) -> tuple[str, ...]:
        """What sets it on the command line; a switch has a second flag that turns it off."""
        negative = (f"--no-{self.flag[2:]}",) if isinstance(self.kind, Switch) else ()
        return (*filter(None, [self.short]), self.flag, *negative)

    @property
    def cpp_type(self) -> str:
        """Its type in the C++ options struct; empty if it stays in Python."""
        return self.kind.cpp_type if self.native else ""

    def parse(self, text: str, label: str) -> object:
        """Reads a user's text. Raises ConfigError that begins with `label`."""
        try:
            return self.kind.parse(text)
        except BadValueError as error:
            raise ConfigError(f"{label}: {error}") from None

    def parse_flags(self, texts: Sequence[str], label: str) -> object:
        """Reads a command line's texts. Raises ConfigError that begins with `label`."""
        try:
            return self.kind.parse_flags(texts)
        except BadValueError as error:
            raise ConfigError(f"{label}: {error}") from None

    def accept(self, value: object, label: str) -> object:
        """Checks a value made in Python; a str is read as a user's text. Raises ConfigError."""
        if isinstance(value, str):
            return self.parse(value, label)
        try:
            return self.kind.check(value)
        except BadValueError as error:
            raise ConfigError(f"{label}: {error}") from None

    def anchored(self, value: object, folder: Path) -> object:
        """As `Kind.anchored`. Raises ConfigError if it takes a current directory that is gone."""
        try:
            return self.kind.anchored(value, folder)
        except FileNotFoundError:
            raise ConfigError(
                f'{self.name}: "{self.kind.format(value)}": the current directory is gone: give an '
                "absolute path"
            ) from None


def option_field(
    default: Any, kind: Kind, meaning: str, *, group: str, native: bool = True, short: str = ""
) -> Any:
    """A field of `Config`, with what it says about itself."""
    says = Option(kind, meaning, group, native, short)
    return field(default=default, metadata={"option": says}, repr=not isinstance(kind, Secret))
