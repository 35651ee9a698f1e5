"""What %-letters stand for in uWSGI's configuration files: %n, %d, %c and their like.

They are replaced in the whole text of a file, comments included, before it is parsed. Capital
letters are about the first file that is read, small ones about the one that they are in. A letter
that stands for nothing is taken out, with its percent sign.
"""

from __future__ import annotations

import grp
import pwd
import re
from pathlib import Path
from typing import TYPE_CHECKING

from ...originals import os, socket, time

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

CORES = "\0k"
"""Stands for %k, the number of cores, so that it can become auto; see `cores`."""


def expansion(path: Path, name: str, section: str, first: Mapping[str, str]) -> dict[str, str]:
    """What the letters stand for in one file.

    path: absolute.
    name, section: as they are given.
    first: those of the first file; empty in the first one itself.
    """
    folder = path.parent
    own = {
        "o": name,
        "p": str(path),
        "s": path.name,
        "d": f"{folder}/" if str(folder) != "/" else "/",
        "c": folder.name,
        "e": path.suffix.removeprefix("."),
        "n": path.name.rpartition(".")[0] or path.name,
        "x": section,
        **{str(number): part for number, part in enumerate(folder.parts[1:11])},
    }
    table = {**_of_this_machine(), **own}
    outer = first or {letter.upper(): own[letter] for letter in "opsdcenx"}
    return {**table, **{letter: outer[letter] for letter in "OPSDCENX"}}


def _of_this_machine() -> dict[str, str]:
    uid, gid = os.getuid(), os.getgid()
    now = time.time()
    return {
        "%": "%",
        "(": "%(",
        "[": "\033",
        "v": str(Path.cwd()),
        "h": socket.gethostname(),
        "t": str(int(now)),
        "T": str(int(now * 1_000_000)),
        "k": CORES,
        "u": str(uid),
        "U": _name(lambda: pwd.getpwuid(uid).pw_name, uid),
        "g": str(gid),
        "G": _name(lambda: grp.getgrgid(gid).gr_name, gid),
    }


def _name(look_up: Callable[[], str], number: int) -> str:
    try:
        return look_up()
    except KeyError:
        return str(number)


def expand(text: str, table: Mapping[str, str]) -> str:
    """The text of a file, with what its letters stand for."""
    return re.sub("%(.)", lambda match: table.get(match[1], ""), text, flags=re.DOTALL)


def cores(text: str) -> str:
    """A value with the number of cores in it."""
    return text.replace(CORES, str(os.cpu_count() or 1))
