"""Writes the tables of docs/from_uwsgi.md and docs/from_granian.md from the importers' own.

    python tools/generate_migrations.py

Each stands between two comments; what is around it is written by hand.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from prowingen_wsgi.importers.granian import equivalents as granian  # noqa: E402
from prowingen_wsgi.importers.granian.settings import SETTINGS  # noqa: E402
from prowingen_wsgi.importers.uwsgi import equivalents as uwsgi  # noqa: E402
from prowingen_wsgi.importers.uwsgi import lacking  # noqa: E402
from prowingen_wsgi.importers.uwsgi.families import FAMILIES  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from prowingen_wsgi.importers.conversion import Becomes, WaysOut

_SOME_VALUE = "…"


def uwsgi_tables() -> Iterator[str]:
    aliases: dict[str, list[str]] = {}
    for alias, name in uwsgi.ALIASES.items():
        aliases.setdefault(name, []).append(alias)

    def names(name: str) -> str:
        return ", ".join(f"`{each}`" for each in (name, *aliases.get(name, ())))

    yield from _becoming(uwsgi.BECOMES, names)
    yield from _done(uwsgi.DONE, names)
    yield from _lacking(lacking.LACKING, names, without=uwsgi.BECOMES)
    yield from _section("By the beginning of the name", "options", "instead")
    yield from _grouped({f"{name}…": text for name, text in FAMILIES.items()}, lambda it: f"`{it}`")


def granian_tables() -> Iterator[str]:
    def names(name: str) -> str:
        return ", ".join(f"`{flag}`" for flag in SETTINGS[name].flags)

    yield from _becoming(granian.BECOMES, names)
    yield from _done(granian.DONE, names)
    yield from _lacking(granian.LACKING, names)


def _section(title: str, *columns: str) -> Iterator[str]:
    yield from ("", f"### {title}", "", f"| {' | '.join(columns)} |", "|---" * len(columns) + "|")


def _becoming(table: Mapping[str, Becomes], names: Callable[[str], str]) -> Iterator[str]:
    yield from _section("What becomes an option", "theirs", "here")
    yield from _grouped({name: f"`{each.option}`" for name, each in table.items()}, names)


def _done(table: Mapping[str, str], names: Callable[[str], str]) -> Iterator[str]:
    yield from _section("What is so anyhow", "theirs", "here")
    yield from _grouped(table, names)


def _lacking(
    table: WaysOut, names: Callable[[str], str], without: Iterable[str] = ()
) -> Iterator[str]:
    yield from _section("What has no equivalent", "theirs", "instead")
    texts = {name: _text(way_out) for name, way_out in table.items() if name not in without}
    yield from _grouped(texts, names)


def _text(way_out: str | Callable[[str], str]) -> str:
    return way_out if isinstance(way_out, str) else way_out(_SOME_VALUE).removeprefix("…: ")


def _grouped(texts: Mapping[str, str], names: Callable[[str], str]) -> Iterator[str]:
    """A row for each text, with all that it is about."""
    groups: dict[str, list[str]] = {}
    for name, text in texts.items():
        groups.setdefault(text, []).append(names(name))
    for text, members in groups.items():
        yield f"| {', '.join(members)} | {text} |".replace("\\|", "|")


PAGES = {"from_uwsgi.md": uwsgi_tables, "from_granian.md": granian_tables}


def made(page: str, text: str) -> str:
    """The text of a page with its tables as they should be."""
    begin, end = "<!-- tables:begin -->\n", "\n<!-- tables:end -->"
    tables = "\n".join(PAGES[page]())
    return re.sub(
        re.escape(begin) + ".*?" + re.escape(end), lambda _: begin + tables + end, text, flags=re.S
    )


def main() -> int:
    for page in PAGES:
        path = ROOT / "docs" / page
        text = path.read_text(encoding="utf-8")
        if (new := made(page, text)) != text:
            path.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
