"""Every Python block of every page, run and used."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from blocks.pages import ROOT, Block, pages
from blocks.run import DRIVERS, driver_of, load_drivers, python_blocks

load_drivers()
HERE = Path(__file__).parent
BLOCKS = [block for page in pages() for block in python_blocks(str(page.relative_to(ROOT)))]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.name)
def test_a_block_does_what_its_page_says(block: Block, tmp_path: Path) -> None:
    # The folders that have the tests' own modules, and this tree's package before any other.
    path = [HERE, HERE.parent, HERE.parent / "engines", ROOT]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "blocks.run", block.page, str(block.line)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, f"{block.name}:\n{done.stdout}"
    assert done.stdout.endswith("the block has run\n")
    assert "Traceback" not in done.stdout


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.name)
def test_what_a_block_defines_is_used(block: Block) -> None:
    lines = [line for line in block.text.splitlines() if line and not line.startswith((" ", "#"))]
    only_defines = all(line.startswith(("def ", "class ", "import ", "from ", "@")) for line in lines)
    assert driver_of(block) is not None or not only_defines


def test_every_driver_has_its_block() -> None:
    for page, words in DRIVERS:
        found = [block for block in BLOCKS if block.page == page and words in block.text]
        if (ROOT / page).exists():
            assert len(found) == 1, f"{page}: {words}"
