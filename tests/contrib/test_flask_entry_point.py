"""The entry point `run`: what it replaces, what it leaves alone, and what loading it costs."""

from __future__ import annotations

import subprocess
import sys
from textwrap import dedent
from typing import TYPE_CHECKING

import click
import click.testing
import flask
import flask.cli
import pytest
from prowingen_wsgi import contrib, factories

if TYPE_CHECKING:
    from pathlib import Path


def run_of(group: flask.cli.FlaskGroup) -> click.Command | None:
    """The group's `run` with all plug-ins loaded."""
    return group.get_command(click.Context(group), "run")


@pytest.fixture
def chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROWINGEN_SERVER", "wsgi")


def test_the_variable_is_the_factories_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(factories.VARIABLE, raising=False)
    assert not contrib.is_server_chosen()
    monkeypatch.setenv(factories.VARIABLE, "")
    assert not contrib.is_server_chosen()
    monkeypatch.setenv(factories.VARIABLE, "wsgi")
    assert contrib.is_server_chosen()


def test_without_the_variable_run_is_flasks_very_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PROWINGEN_SERVER", raising=False)
    assert run_of(flask.cli.FlaskGroup()) is flask.cli.run_command


@pytest.mark.usefixtures("chosen")
def test_with_it_run_has_flasks_options_and_help() -> None:
    group = flask.cli.FlaskGroup()
    command = run_of(group)
    assert command is not None
    assert command is not flask.cli.run_command
    assert command.params == flask.cli.run_command.params
    context = click.Context(command, info_name="run")
    own = click.Context(flask.cli.run_command, info_name="run")
    assert command.get_help(context) == flask.cli.run_command.get_help(own)


@pytest.mark.usefixtures("chosen")
def test_a_run_of_the_programs_own_stays() -> None:
    group = flask.cli.FlaskGroup()
    mine = click.Command("run", callback=lambda: None)
    group.add_command(mine)
    assert run_of(group) is mine


@pytest.mark.usefixtures("chosen")
def test_a_program_without_run_gets_none(tmp_path: Path) -> None:
    group = flask.cli.FlaskGroup(
        add_default_commands=False, create_app=lambda: flask.Flask("x", root_path=str(tmp_path))
    )
    assert run_of(group) is None
    result = click.testing.CliRunner().invoke(group, ["--help"])
    assert result.exit_code == 0
    assert " run " not in result.output


@pytest.mark.usefixtures("chosen")
def test_each_group_is_looked_at_by_itself() -> None:
    mine = click.Command("run", callback=lambda: None)
    first, second = flask.cli.FlaskGroup(), flask.cli.FlaskGroup()
    first.add_command(mine)
    assert run_of(first) is mine
    assert run_of(second) not in (None, mine, flask.cli.run_command)


PROGRAM = """
    import sys
    import click, flask.cli
    group = flask.cli.FlaskGroup()
    assert group.get_command(click.Context(group), "run") is not None
    print(*sorted(name for name in sys.modules if name.startswith("prowingen_wsgi")))
"""


def loaded(**variables: str) -> set[str]:
    command = [sys.executable, "-c", dedent(PROGRAM)]
    run = subprocess.run(
        command, env=variables, capture_output=True, text=True, check=True, timeout=30
    )
    return set(run.stdout.split())


@pytest.mark.parametrize("variables", [{}, {"PROWINGEN_SERVER": "wsgi"}])
def test_other_commands_import_next_to_nothing(variables: dict[str, str]) -> None:
    assert loaded(**variables) == {
        "prowingen_wsgi",
        "prowingen_wsgi.contrib",
        "prowingen_wsgi.contrib.flask",
    }
