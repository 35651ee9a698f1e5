"""Every Python block of every page, run and used."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from blocks.pages import ROOT, Block, pages
from blocks.run import DRIVERS, driver_of, load_drivers, python_blocks

if TYPE_CHECKING:
    from collections.abc import Iterator

load_drivers()
HERE = Path(__file__).parent
BLOCKS = [block for page in pages() for block in python_blocks(str(page.relative_to(ROOT)))]


@pytest.fixture(scope="module")
def runner() -> Iterator[subprocess.Popen[str]]:
    """Runs one block after the other, each in a process forked from it."""
    # The folders that have the tests' own modules, and this tree's package before any other.
    path = [HERE, HERE.parent, HERE.parent / "engines", ROOT]
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "blocks.run"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(10) == 0


@pytest.mark.timeout(60)
@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.name)
def test_a_block_does_what_its_page_says(block: Block, runner: subprocess.Popen[str]) -> None:
    assert runner.stdin is not None
    assert runner.stdout is not None
    print(block.page, block.line, file=runner.stdin, flush=True)
    code, output = json.loads(runner.stdout.readline())
    assert code == 0, f"{block.name}:\n{output}"
    assert "Traceback" not in output


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.name)
def test_what_a_block_defines_is_used(block: Block) -> None:
    lines = [line for line in block.text.splitlines() if line and not line.startswith((" ", "#"))]
    definitions = ("def ", "class ", "import ", "from ", "@")
    only_defines = all(line.startswith(definitions) for line in lines)
    assert driver_of(block) is not None or not only_defines


def test_every_driver_has_its_block() -> None:
    for page, words in DRIVERS:
        found = [block for block in BLOCKS if block.page == page and words in block.text]
        assert len(found) == 1, f"{page}: {words}"
