"""docs/errors.md explains what the sources can say, all of it and nothing else."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from blocks.messages import messages, normalized
from blocks.pages import ROOT

from prowingen_wsgi.command.cli import main

if TYPE_CHECKING:
    import pytest

ROW = re.compile(
    r"^\| (?P<ticks>`+)(?P<message>.+?)(?P=ticks) \| (?P<meaning>.+) \|$", re.MULTILINE
)


@cache
def explained() -> dict[str, str]:
    text = (ROOT / "docs/errors.md").read_text()
    return {row["message"]: row["meaning"] for row in ROW.finditer(text)}


def test_every_message_is_explained() -> None:
    missing = {text: path for text, path in messages().items() if text not in explained()}
    assert missing == {}, "add a row for each to docs/errors.md"


def test_nothing_is_explained_that_is_not_said() -> None:
    assert [text for text in explained() if text not in messages()] == []


def test_an_explanation_says_more_than_the_message() -> None:
    for message, meaning in explained().items():
        assert len(meaning) > 6, message


def test_the_sources_are_read() -> None:
    """One of each kind that is collected."""
    found = messages()
    assert found["413: the content is too large"] == "cpp/http/refusal.cpp"
    assert "503: every worker is busy and the queue is full" in found
    assert found["403: it was asked for by a page of another origin"] == "cpp/admin/requests.cpp"
    assert found["keyfile_password does not open it"] == "cpp/tls/credentials.cpp"
    assert 'env_file: "…": there is no such file' in found
    assert "it needs max_requests" in found
    assert len(found) > 250


def test_what_is_put_in_is_a_gap() -> None:
    assert normalized("a %s of %.1f s\n and 7 %% of %d%s") == "a … of … s and 7 % of …"


def test_the_exit_codes_are_those_that_the_page_names(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["hello:app", "--threads", "0"]) == 2
    assert main(["no_such_module_here:app"]) == 1
    said = capfd.readouterr().err.splitlines()
    assert said[0].startswith('prowingen: --threads: "0": must be ')
    assert said[1].startswith('prowingen: there is no module "no_such_module_here"')
