"""The history's page and pictures are of the figures that are kept now."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest
from blocks.pages import ROOT

if str(ROOT) not in sys.path:  # for `bench`, and last: an installed package comes first
    sys.path.append(str(ROOT))

from bench import history
from bench.samples import case, measurement, outcome, run

if TYPE_CHECKING:
    from pathlib import Path

ANEW = "`python -m bench history` writes it anew"


def test_the_page_is_up_to_date() -> None:
    text = history.PAGE.read_text()
    assert text == history.page(text), ANEW


@pytest.mark.parametrize(
    ("path", "panels"),
    [
        (history.INSTRUCTIONS, history.instructions()),
        (history.BENCHMARK, history.benchmark()),
    ],
    ids=["instructions", "benchmark"],
)
def test_a_picture_is_up_to_date(path: Path, panels: dict[str, history.Series]) -> None:
    assert any(panels.values())
    assert history.digest(panels) in path.read_text(), ANEW


def test_another_figure_is_another_picture(tmp_path: Path) -> None:
    kept = json.loads(history.KEPT.read_text())
    kept[-1]["instructions"] += 1
    (tmp_path / "history.json").write_text(json.dumps(kept))
    changed = history.instructions(tmp_path / "history.json")
    assert history.digest(changed) != history.digest(history.instructions())


def test_a_line_is_of_one_application_engine_and_terms(tmp_path: Path) -> None:
    one = {
        "application": "hello",
        "engine": "embedded",
        "instructions": 100,
        "terms": {"python": "CPython 3.11", "compiler": "GNU 12", "engines": "embedded"},
        "commit": "aaa",
        "date": "2030-01-01",
    }
    later = {**one, "instructions": 90, "commit": "bbb", "date": "2030-01-02"}
    other = {**later, "terms": {**later["terms"], "engines": "embedded, proxygen"}}  # type: ignore[dict-item]
    (tmp_path / "history.json").write_text(json.dumps([one, later, other]))
    assert history.instructions(tmp_path / "history.json") == {
        "hello": {
            "embedded, CPython 3.11, GNU 12": [("2030-01-01\naaa", 100), ("2030-01-02\nbbb", 90)],
            "embedded, CPython 3.11, GNU 12, proxygen built in": [("2030-01-02\nbbb", 90)],
        }
    }


def test_ratios_are_to_the_best_peer_of_the_run(tmp_path: Path) -> None:
    found = run(
        case(
            outcome("prowingen-embedded", measurement(900, cpu=5.0)),
            outcome("granian", measurement(600, cpu=10.0)),
        )
    )
    found.write(tmp_path / "one.json")
    rates, cpu = history.benchmark(tmp_path).values()
    assert rates == {"hello @8": [("2030-01-02\nabc1234", 1.5)]}
    assert cpu == {"hello @8": [("2030-01-02\nabc1234", 0.5)]}
