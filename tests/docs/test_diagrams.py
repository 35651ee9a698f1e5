"""The diagrams of states are what the sources' tables say now."""

from __future__ import annotations

import pytest
from blocks.pages import ROOT
from state_diagrams import DIAGRAMS, svg


@pytest.mark.parametrize("name", sorted(DIAGRAMS))
def test_a_diagram_is_up_to_date(name: str) -> None:
    drawn = (ROOT / "docs" / name).read_text()
    assert drawn == svg(DIAGRAMS[name]()), "`nox -s docs` draws it anew"


def test_tables_are_read_whole() -> None:
    exchange = DIAGRAMS["states-exchange.svg"]()
    assert exchange.ends == ["completed", "aborted", "departed"]
    assert exchange.arrows["running", "responding"] == ["head"]
    worker = DIAGRAMS["states-worker.svg"]()
    assert worker.ends == ["gone"]
    assert worker.arrows["starting", "ready"] == ["ready"]
