"""Any request of the corpus, cut at any bytes, gives the same answer as whole."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.apps import Echo
from harness.corpus import Case, cases
from harness.pacing import send_in_pieces
from harness.site import Site, start_site
from harness.verdicts import FOLLOW_UP

if TYPE_CHECKING:
    from collections.abc import Iterator

# Options differ from case to case; those that need their own server are in test_corpus.py.
CASES = [case for case in cases("valid") + cases("invalid") if not case.options]
SMALL = [case for case in CASES if len(case.raw) < 2000]
LARGE = [case for case in CASES if len(case.raw) >= 2000]


@pytest.fixture(scope="module")
def site(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    bind = f"unix:{tmp_path_factory.mktemp('splits')}/socket"
    with start_site(Echo(), engine, bind=bind) as site:
        yield site


def answer(site: Site, case: Case, cuts: list[int]) -> Any:
    """Everything the server said, less what differs from connection to connection."""
    data = case.raw if case.client_ends or case.server_ends else case.raw + FOLLOW_UP
    with site.connect() as wire:
        send_in_pieces(wire, data, cuts)
        if case.client_ends:
            wire.finish_sending()
        raw = wire.read_to_end()
    raw = re.sub(rb"(?im)^Date: [^\r\n]+", b"Date: then", raw)
    return json.dumps(raw.decode("latin-1"))


@st.composite
def cut_cases(draw: st.DrawFn) -> tuple[Case, list[int]]:
    case = draw(st.sampled_from(CASES))
    cuts = draw(st.lists(st.integers(1, len(case.raw) + len(FOLLOW_UP)), max_size=8))
    return case, cuts


@settings(
    max_examples=400,
    deadline=None,
    derandomize=True,  # the same cuts in every run, so that a failure is always the change's own
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(cut=cut_cases())
def test_cuts_do_not_change_the_answer(site: Site, cut: tuple[Case, list[int]]) -> None:
    case, cuts = cut
    assert answer(site, case, cuts) == answer(site, case, [])


@pytest.mark.parametrize("case", SMALL[::5], ids=lambda case: case.name)
def test_no_single_cut_changes_the_answer(site: Site, case: Case) -> None:
    expected = answer(site, case, [])
    for cut in range(1, len(case.raw)):
        assert answer(site, case, [cut]) == expected, f"cut before byte {cut}"


@pytest.mark.parametrize("case", LARGE, ids=lambda case: case.name)
def test_no_cut_of_a_large_request_changes_the_answer(site: Site, case: Case) -> None:
    """Limits are what large cases are about: which is exceeded must not depend on the reads."""
    expected = answer(site, case, [])
    for cut in range(1, len(case.raw), max(1, len(case.raw) // 150)):
        assert answer(site, case, [cut]) == expected, f"cut before byte {cut}"
