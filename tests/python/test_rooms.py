"""The rooms of the package: which may know which. Dependencies point one way, as in cpp/, where
the build checks it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import prowingen_wsgi

PACKAGE = Path(prowingen_wsgi.__file__).parent

TOP = "top"
"""What is public or shared: the modules directly in the package."""

USES: dict[str, set[str]] = {
    "configuration": set(),
    "admin_page": set(),
    TOP: {"configuration", "admin_page"},
    "factories": {TOP, "configuration"},
    "control": {TOP, "configuration"},
    "processes": {TOP, "configuration", "control", "admin_page"},
    "importers": {TOP, "configuration"},
    "gunicorn": {TOP, "configuration", "factories", "importers"},
    "contrib": {TOP, "configuration", "factories"},
    "command": {TOP, "configuration", "processes", "control", "gunicorn", "importers"},
}
# Where a public name or a program's start leads on.
DOORS = {"__init__.py", "__main__.py"}


def room_of(parts: tuple[str, ...]) -> str:
    return parts[0] if parts and parts[0] in USES else TOP


def imports(path: Path) -> list[tuple[str, ...]]:
    """The package's modules that a file imports, as parts of their names."""
    here = path.relative_to(PACKAGE).parts[:-1]
    found: list[tuple[str, ...]] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.ImportFrom):
            continue
        module = tuple(filter(None, (node.module or "").split(".")))
        if node.level == 0:
            if module[:1] != (PACKAGE.name,):
                continue
            found.append(module[1:])
            continue
        base = here[: len(here) - node.level + 1]
        found += [(*base, *module)] if module else [(*base, each.name) for each in node.names]
    return found


SOURCES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_room_knows_only_those_below_it(path: Path) -> None:
    relative = path.relative_to(PACKAGE)
    if len(relative.parts) == 1 and relative.name in DOORS:
        return
    room = room_of(relative.parts[:-1])
    known = {room_of(parts) for parts in imports(path)}
    assert known <= USES[room] | {room}


def test_every_folder_is_a_room() -> None:
    folders = {each.name for each in PACKAGE.iterdir() if (each / "__init__.py").exists()}
    assert folders == USES.keys() - {TOP}
