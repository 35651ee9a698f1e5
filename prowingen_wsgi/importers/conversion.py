"""Settings of another server become options of this one, and remarks about the rest.

Whatever is given is either in the file that is written or in a remark: an option that this server
would refuse, alone or together with others, is left out and said to be.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..configuration.config import OPTIONS, Config, ConfigError
from ..configuration.conflicts import conflicts
from ..configuration.values import Octal

WaysOut = Mapping[str, "str | Callable[[Any], str]"]
"""Why a setting has no equivalent, with what to do instead; perhaps made of its value."""


@dataclass(frozen=True)
class Becomes:
    """The option that a setting becomes, and how its value does.

    convert: raises ValueError that says why a value cannot be taken over.
    """

    option: str
    convert: Callable[[Any], Any] = lambda value: value


class Conversion:
    """What is collected of a configuration.

    app, factory: the application, as the file names it.
    options: accepted values by name, in the order in which they are written.
    remarks: lines about what is not in the file, or means something else there.
    """

    def __init__(self) -> None:
        self.app = ""
        self.factory = False
        self.options: dict[str, Any] = {}
        self.remarks: list[str] = []
        self._set_by: dict[str, str] = {}
        self._reasons: dict[str, str] = {}

    def take(self, label: str, becomes: Becomes, value: Any, *, reason: str = "") -> None:
        """Sets the option that a setting becomes, or says why it is not set.

        label: the setting, as a remark names it.
        reason: why the option is written although nobody has set it; a comment in the file.
        """
        option = becomes.option
        self._set_by[option] = label
        self._reasons.pop(option, None)
        try:
            self.options[option] = OPTIONS[option].accept(becomes.convert(value), option)
            toml_value(self.options[option]).encode()
        except (ConfigError, TypeError, ValueError) as error:
            self.options.pop(option, None)
            self.remark(label, f"not taken over: {error}")
        else:
            if reason:
                self._reasons[option] = reason

    def derive(self, option: str, value: Any, reason: str) -> None:
        """Sets an option that follows from others."""
        self.options[option] = value
        self._set_by[option] = option
        self._reasons[option] = reason

    def lack(self, label: str, way_out: str | Callable[[Any], str], value: Any) -> None:
        """Remarks that a setting has no equivalent, with what to do instead."""
        self.remark(label, way_out if isinstance(way_out, str) else way_out(value))

    def remark(self, label: str, text: str) -> None:
        """One line, whatever the value that it quotes."""
        self.remarks.append("".join(_shown(each) for each in f"{label}: {text}"))

    def settle(self) -> None:
        """Leaves out what the server would refuse together; a word only of what is asked for."""
        while conflict := next(conflicts(Config.from_values(self.options)), None):
            option, why = conflict
            del self.options[option]
            if option not in self._reasons:
                self.remark(self._set_by[option], f"not taken over: {why}")

    def text(self) -> str:
        """The text of a `prowingen.toml`."""
        lines = [f"app = {toml_value(self.app)}"] if self.app else []
        if self.factory:
            lines.append("factory = true")
        for option, value in self.options.items():
            if value != OPTIONS[option].default:
                reason = self._reasons.get(option, "")
                comment = f"  # {reason}" if reason else ""
                lines.append(f"{option} = {toml_value(_written(option, value))}{comment}")
        return "".join(f"{line}\n" for line in lines)


def _written(option: str, value: Any) -> Any:
    return OPTIONS[option].kind.format(value) if isinstance(OPTIONS[option].kind, Octal) else value


def _shown(character: str) -> str:
    return character if character.isprintable() else ascii(character)[1:-1]


def toml_value(value: object) -> str:
    """A value as TOML writes it. Its basic strings are JSON's, but for DEL, which is escaped."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
