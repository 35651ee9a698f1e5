"""A page that is wrong fails: what runs the commands is tried on pages made up for it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from blocks.kit import unpack
from blocks.pages import read
from blocks.shell import Command, Shell, commands, run_to_its_end, variables

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    unpack(tmp_path, "")
    with Shell(tmp_path, variables(tmp_path)) as opened:
        yield opened


def run(shell: Shell, text: str) -> None:
    for block in read("page.md", text):
        shell.run(block)
    shell.finish()


def test_a_command_that_fails_is_named_with_its_line(shell: Shell) -> None:
    with pytest.raises(AssertionError, match=r"page\.md:2: exit 3\nended with 3"):
        run(shell, "Text\n```sh\ntrue\nexit 3\n```\n")


def test_what_does_not_end_is_ended_with_all_that_it_has_begun(tmp_path: Path) -> None:
    """Or its output, which the program in the background has open too, would have no end."""
    with pytest.raises(AssertionError, match="not done after 1 s:\nbegun"):
        run_to_its_end("echo begun; sleep 600 & wait", tmp_path, {**os.environ}, timeout=1)


def test_other_output_than_the_pages_fails(shell: Shell) -> None:
    run(shell, "```console\n$ echo one two\none ...\n```\n")
    with pytest.raises(AssertionError, match="printed:\ntwo"):
        run(shell, "```console\n$ echo two\none\n```\n")


def test_an_option_that_is_none_fails(shell: Shell) -> None:
    with pytest.raises(AssertionError, match="unknown option"):
        run(shell, "```sh\nprowingen hello:app --no-such-option\n```\n")


def test_a_server_is_met_where_the_page_says_that_it_is(shell: Shell) -> None:
    run(
        shell,
        "```sh\nprowingen hello:app --bind 127.0.0.1:8123 --access-log /var/log/app/a.log\n```\n"
        "```console\n$ curl http://127.0.0.1:8123/\nHello\n```\n",
    )
    assert shell.asked == 1
    assert (shell.folder / "var/log/app/a.log").read_text().count("GET / ") == 2


def test_an_application_that_fails_is_seen(shell: Shell) -> None:
    (shell.folder / "broken.py").write_text("def app(environ, start_response): 1 / 0\n")
    with pytest.raises(AssertionError, match="answers 500"):
        run(shell, "```sh\nprowingen broken:app\n```\n")


def test_servers_are_told_from_commands_that_end() -> None:
    (block,) = read("page.md", "```sh\nA=1 flask run  # serves\nprowingen a:b --check\n\n```\n")
    assert [each.serves for each in commands(block)] == [True, False]
    assert Command("python manage.py runserver").serves
    assert not Command("python manage.py migrate").serves
    assert not Command("prowingen dev-cert").serves
