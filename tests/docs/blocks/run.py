"""Runs Python blocks, each in a process of its own: `python -m blocks.run`.

Where to find one is a line of standard input, page and line; what became of it is one of standard
output, in JSON. The processes are forked, so that what all blocks need is imported once.

A block alone seldom shows that it works: what it defines has to be used. So each has a driver in
blocks/drivers*.py, which runs it with the names that the page takes for granted, and uses what it
has made. A block that does something by itself needs none.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
import traceback
from importlib import import_module
from typing import TYPE_CHECKING, Any

from .pages import FILE, NOT_RUN, ROOT, blocks_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from .pages import Block

    Driver = Callable[["Run"], None]

DRIVERS: dict[tuple[str, str], Driver] = {}
_MODULES = ("drivers", "migration_drivers", "websocket_drivers")
_PORT = re.compile(r'(127\.0\.0\.1(?::|", ))\d+')


def drives(page: str, words: str) -> Callable[[Driver], Driver]:
    """Of the one block of `docs/{page}.md` that has these words."""

    def add(driver: Driver) -> Driver:
        DRIVERS[f"docs/{page}.md" if page != "README" else "README.md", words] = driver
        return driver

    return add


class Run:
    """A block that is to be run, once."""

    def __init__(self, block: Block) -> None:
        self.block = block
        self.names: dict[str, Any] = {"__name__": "block"}

    def __call__(self, **names: object) -> dict[str, Any]:
        """Runs it with these names; returns all that there are then. Ports are free ones."""
        self.names.update(names)
        self._execute(self.block)
        return self.names

    def after_others(self, **names: object) -> dict[str, Any]:
        """The same behind the page's earlier blocks, from the last one that begins an `app`."""
        self.names.update(names)
        for block in python_blocks(self.block.page):
            if block.line < self.block.line and "app = Flask" in block.text:
                self._execute(block)
        return self()

    def _execute(self, block: Block) -> None:
        # The lines of a traceback are then the page's.
        text = "\n" * block.line + _PORT.sub(r"\g<1>0", block.text)
        exec(compile(text, str(ROOT / block.page), "exec"), self.names)


def python_blocks(page: str) -> list[Block]:
    """Those that are run here: a file of the page's is run by what names it."""
    return [
        block
        for block in blocks_of(ROOT / page)
        if block.language == "python" and not {FILE, NOT_RUN} & set(block.comments)
    ]


def load_drivers() -> None:
    for name in _MODULES:
        import_module(f"blocks.{name}")


def driver_of(block: Block) -> Driver | None:
    found = [
        driver
        for (page, words), driver in DRIVERS.items()
        if page == block.page and words in block.text
    ]
    assert len(found) <= 1, f"{block.name} has several drivers"
    return found[0] if found else None


def run(page: str, line: int) -> None:
    (block,) = (block for block in python_blocks(page) if block.line == line)
    driver = driver_of(block)
    if driver is None:
        Run(block)()
    else:
        driver(Run(block))


def run_forked(page: str, line: int) -> tuple[int, str]:
    """How its process ended, and what it printed."""
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryDirectory() as folder:
        child = os.fork()
        if child == 0:
            for descriptor in (1, 2):
                os.dup2(output.fileno(), descriptor)
            os.chdir(folder)
            code = 1
            try:
                run(page, line)
                code = 0
            except BaseException:  # noqa: BLE001  # shown, whatever it is
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        _, status = os.waitpid(child, 0)
        output.seek(0)
        return os.waitstatus_to_exitcode(status), output.read()


def main() -> None:
    load_drivers()
    for each in sys.stdin:
        page, line = each.split()
        print(json.dumps(run_forked(page, int(line))), flush=True)


if __name__ == "__main__":
    # Under its own name, so that the drivers add to the table that is read here.
    import_module("blocks.run").main()
