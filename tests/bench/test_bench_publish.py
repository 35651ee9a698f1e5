from __future__ import annotations

import pytest

from bench.paths import ROOT
from bench.publish import PAGE, README, between_markers
from bench.report import BRIEF, brief, markdown
from bench.results import read
from bench.samples import case, measurement, outcome, run

RESULTS = max((ROOT / "bench/results").glob("*.json"))


def test_what_is_between_the_markers_alone_is_replaced() -> None:
    text = "before\n<!-- bench:begin -->\nold\n<!-- bench:end -->\nafter\n"
    written = between_markers(text, "new\n", "page")
    assert written == text.replace("old", "new")


def test_a_page_without_markers_is_an_error_that_names_it() -> None:
    with pytest.raises(ValueError, match=r"README\.md: the table"):
        between_markers("text", "new\n", "README.md")


def test_the_brief_table_has_the_default_engine_alone() -> None:
    text = brief(
        run(
            case(
                outcome("prowingen-embedded", measurement(900)),
                outcome("prowingen-proxygen", measurement(800)),
                outcome("granian", measurement(600)),
            ),
            case(outcome("prowingen-embedded", measurement(1)), row="echo-64k"),
        )
    )
    assert text.count("\n") == 3
    assert "| hello | 8 | **900** | 600 (granian) | 1.50 |" in text


def test_the_pages_have_the_figures_of_the_last_run() -> None:
    last = read(RESULTS)
    assert brief(last) in README.read_text()
    assert brief(last).count("\n") == len(BRIEF) + 2
    assert markdown(last) in PAGE.read_text()
