"""Reads pages: their fenced blocks, and the comments in front of these that speak to the tests.

    <!-- not run: needs a public domain -->   the block is not run, and why
    <!-- checked: needs a public domain -->   of its commands, what `--check` says to them is asked
    <!-- file: hello.py -->                   the block is this file of the page's scratch folder
    <!-- slow: builds the server -->          run by `nox -s docs-blocks` alone

A page's blocks are in the order of the page, since a reader follows it in that order.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
NOT_RUN, CHECKED, FILE, SLOW = "not run", "checked", "file", "slow"

_FENCE = re.compile(r"^(?P<indent> *)(?P<ticks>`{3,})(?P<language>\S*)[^`]*$")
_COMMENT = re.compile(r"^ *<!-- (?P<kind>not run|checked|file|slow): *(?P<words>.*?) *-->$")
_LIST = re.compile(r"^(\s*[-*] |\s*\d+\. | {2,})")


@dataclass(frozen=True)
class Block:
    page: str
    line: int
    language: str
    text: str
    comments: dict[str, str] = field(hash=False)

    @property
    def name(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[Path]:
    """Every page that a user reads."""
    found = [ROOT / "README.md", ROOT / "bench/README.md", *sorted((ROOT / "docs").glob("*.md"))]
    assert len(found) > 20
    return found


def blocks(*languages: str) -> list[Block]:
    """Those of these languages, or all, page by page."""
    found = [block for page in pages() for block in blocks_of(page)]
    return [block for block in found if not languages or block.language in languages]


def blocks_of(path: Path) -> list[Block]:
    return read(str(path.relative_to(ROOT)), path.read_text())


def read(page: str, text: str) -> list[Block]:
    found: list[Block] = []
    comments: dict[str, str] = {}
    lines = iter(enumerate(text.splitlines(), 1))
    for number, line in lines:
        if opened := _FENCE.match(line):
            indent, ticks = opened["indent"], opened["ticks"]
            body = []
            for _, inner in lines:
                if inner.strip() == ticks:
                    break
                body.append(inner.removeprefix(indent))
            else:
                raise ValueError(f"{page}:{number}: the block is not closed")
            content = "".join(f"{each}\n" for each in body)
            found.append(Block(page, number, opened["language"], content, comments))
            comments = {}
        elif said := _COMMENT.match(line):
            comments = {**comments, said["kind"]: said["words"]}
        elif line.strip():
            comments = {}
    return found


def indented_blocks(text: str) -> list[int]:
    """Lines on which Markdown's other kind of block begins, which has no language."""
    found = []
    fenced = False
    before, last = "", ""
    for number, line in enumerate(text.splitlines(), 1):
        if _FENCE.match(line):
            fenced = not fenced
        elif line.startswith("    ") and not fenced and not before and not _LIST.match(last):
            found.append(number)
        before = line.strip()
        last = line if before else last
    return found
