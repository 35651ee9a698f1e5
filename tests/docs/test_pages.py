"""What is true of every page: no block goes unrun without a reason, and no link leads nowhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from blocks.pages import CHECKED, NOT_RUN, ROOT, SLOW, blocks, indented_blocks, pages, read

RUN_BY = {
    "sh": "test_shell_blocks",
    "console": "test_shell_blocks",
    "python": "test_python_blocks",
    "toml": "test_configuration_blocks",
    "nginx": "test_configuration_blocks",
    "haproxy": "test_configuration_blocks",
    "apache": "test_configuration_blocks",
    "systemd": "test_configuration_blocks",
    "yaml": "test_configuration_blocks",
}
"""Who runs which language."""
SHOWN = {"text", "mermaid", "{toctree}", "{include}", "{eval-rst}"}
"""Diagrams, output and what the site's builder reads: nothing to be run."""
PAGES = pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))


def test_every_block_has_who_runs_it() -> None:
    for block in blocks():
        assert block.language in RUN_BY or block.language in SHOWN, block.name
    for module in RUN_BY.values():
        assert (Path(__file__).parent / f"{module}.py").exists()


def test_what_is_not_run_has_a_reason() -> None:
    without = [block for block in blocks() if {NOT_RUN, CHECKED, SLOW} & set(block.comments)]
    for block in without:
        for kind in {NOT_RUN, CHECKED, SLOW} & set(block.comments):
            assert len(block.comments[kind].split()) >= 3, f"{block.name}: {kind}"
    not_run = [block.name for block in without if NOT_RUN in block.comments]
    can_be_run = [block for block in blocks() if block.language in RUN_BY]
    assert 0 < len(not_run) <= len(can_be_run) / 4, "a page that nothing of is run tells nothing"


@PAGES
def test_blocks_are_fenced(page: Path) -> None:
    assert indented_blocks(page.read_text()) == []


def test_blocks_and_their_comments_are_read() -> None:
    text = (
        "Text\n\n<!-- not run: a good reason -->\n```sh\na\n```\n\n- x\n\n  ```text\n  b\n  ```\n"
    )
    first, second = read("page", text)
    assert (first.language, first.text, first.line) == ("sh", "a\n", 4)
    assert first.comments == {"not run": "a good reason"}
    assert (second.language, second.text, second.comments) == ("text", "b\n", {})
    assert indented_blocks("Text\n\n    code\n    code\n\nText\n") == [3]


def anchors(text: str) -> set[str]:
    """As GitHub and the site make them of headings."""
    found = set()
    fenced = False
    for line in text.splitlines():
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif not fenced and (heading := re.match(r"#+ (.*)", line)):
            words = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading[1]).replace("`", "")
            found.add(re.sub(r"[^\w\- ]", "", words.lower()).strip().replace(" ", "-"))
    return found


@PAGES
def test_its_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^ *```.*?^ *```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`]*`", "", text)):
        if "://" in target or target.startswith("mailto:"):
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        assert path.exists(), f"{page.name}: {target}"
        if anchor:
            assert anchor in anchors(path.read_text()), f"{page.name}: {target}"
