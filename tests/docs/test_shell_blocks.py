"""Every command of every page, run in the page's order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from blocks.kit import unpack
from blocks.pages import FILE, ROOT, blocks_of, pages
from blocks.shell import Shell, matches, variables

if TYPE_CHECKING:
    from pathlib import Path

SHELLS = ("sh", "console")
WITH_COMMANDS = [
    page for page in pages() if any(block.language in SHELLS for block in blocks_of(page))
]


@pytest.mark.timeout(4000)  # of which the slow blocks take most
@pytest.mark.parametrize("page", WITH_COMMANDS, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_pages_commands_do_what_it_says(
    page: Path, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    unpack(tmp_path, page.read_text())
    with Shell(tmp_path, variables(tmp_path)) as shell:
        for block in blocks_of(page):
            if FILE in block.comments:
                shell.write(block)
            elif block.language in SHELLS:
                shell.run(block, slow=pytestconfig.getoption("docs_blocks"))
        shell.finish()


def test_output_is_compared_but_for_what_the_page_leaves_open() -> None:
    assert matches("listening on ... (pid ...)", "listening on 1.2.3.4 (pid 7)")
    assert not matches("listening on ...", "serving on 1.2.3.4")
    assert not matches("Hello", "Hello\nand more")
