"""`--compare`: what is refused, and in which order the two are measured. Nothing is built here."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from bench import compare, revisions
from bench.cli import main
from bench.compare import Comparison, carry_out, server_of, supported
from bench.measurement import Found
from bench.paths import ROOT
from bench.rows import cases
from bench.samples import measurement
from bench.servers import Launch

if TYPE_CHECKING:
    from pathlib import Path

    from bench.measurement import Window
    from bench.rows import Case
    from bench.servers import Server

ALL = frozenset({"--bind", "--threads", "--engine", "--certfile", "--keyfile", "--access-log"})


@dataclass(frozen=True)
class Known:
    """A tree of which everything is known beforehand."""

    name: str
    engines: tuple[str, ...] = ("embedded",)
    options: frozenset[str] = ALL
    commit: str = "c0ffee"
    folder: Path = ROOT
    python: str = "python"
    start: tuple[str, ...] = ("python", "-S")
    environment: tuple[str, ...] = ()


def trees(**old: object) -> tuple[revisions.Tree, revisions.Tree]:
    return Known("0123456789", **old), Known("now")  # type: ignore[arg-type, return-value]


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The servers in the order in which they would have been started; nothing is."""
    order: list[str] = []

    def measure(server: Server, _case: Case, _window: Window, *, log: bool = False) -> Found:
        order.append(server.name + ("+log" if log else ""))
        return Found(measurement(110.0 if server.name.startswith("now") else 100.0), ["x"], [])

    old, new = trees()
    monkeypatch.setattr("bench.runner.measure", measure)
    monkeypatch.setattr(revisions, "commit_of", lambda _revision: "0123456789abcdef")
    monkeypatch.setattr(revisions, "at", lambda *_: old)
    monkeypatch.setattr(revisions, "here", lambda *_: new)
    monkeypatch.setattr("bench.compare.shutil.which", lambda name: f"/usr/bin/{name}")
    return order


def asked(rows: list[str], rounds: int = 4) -> Comparison:
    return Comparison("v1", rows, True, "python", ["embedded"], threads=(2,), rounds=rounds)


def test_the_two_take_turns_at_being_first(measured: list[str], tmp_path: Path) -> None:
    carry_out(asked(["hello"]), tmp_path / "out.json", "python -m bench")
    first = ["0123456789-embedded", "now-embedded"]
    assert measured == [*first, *first[::-1]] * 2


def test_with_a_log_and_without_each_is_first_as_often(measured: list[str], tmp_path: Path) -> None:
    carry_out(asked(["hello-log"]), tmp_path / "out.json", "python -m bench")
    rounds = [measured[start : start + 4] for start in range(0, 16, 4)]
    for log in ("", "+log"):
        ahead = [
            one.index(f"now-embedded{log}") < one.index(f"0123456789-embedded{log}")
            for one in rounds
        ]
        assert sum(ahead) == 2


def test_what_was_found_is_written_with_the_verdicts(measured: list[str], tmp_path: Path) -> None:
    carry_out(asked(["hello", "stream-100"]), tmp_path / "out.json", "python -m bench")
    assert len(measured) == 16
    written = json.loads((tmp_path / "out.json").read_text())
    assert written["about"]["before"] == "0123456789"
    assert written["about"]["before_commit"] == "0123456789abcdef"
    assert [one["row"] for one in written["comparisons"]] == ["hello", "stream-100"]
    assert {one["verdict"] for one in written["comparisons"]} == {"faster"}


@pytest.mark.parametrize("rounds", [1, 3])
def test_an_odd_number_of_rounds_would_favour_one(rounds: int, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"--rounds: {rounds}: to compare takes an even number"):
        carry_out(asked(["hello"], rounds), tmp_path / "out.json", "python -m bench")


def test_a_row_with_an_option_that_one_does_not_know_is_refused_by_both_names() -> None:
    with pytest.raises(
        ValueError, match="--rows: cached-hit: 0123456789 does not know --response-cache, which"
    ):
        supported(cases(["cached-hit"], None, None), trees(), "embedded", named=True)


def test_one_that_nobody_named_is_left_out_and_said_so(
    capsys: pytest.CaptureFixture[str],
) -> None:
    wanted = cases(["hello", "cached-hit"], (2,), None)
    chosen = supported(wanted, trees(), "embedded", named=False)
    assert [case.label for case in chosen] == ["hello @2"]
    assert "cached-hit @2 is left out: 0123456789 does not know" in capsys.readouterr().err


def test_an_engine_that_one_has_not_is_refused() -> None:
    old, _ = trees(engines=())
    with pytest.raises(ValueError, match="--engines: 0123456789 has no engine embedded"):
        compare.check_engines(old, ["embedded"])


def test_a_protocol_that_the_engine_does_not_speak_is_refused() -> None:
    with pytest.raises(ValueError, match="--rows: h3-hello: the engine embedded speaks no HTTP/3"):
        supported(cases(["h3-hello"], None, None), trees(), "embedded", named=True)


def test_each_is_started_from_its_own_folder(tmp_path: Path) -> None:
    tree = revisions.Tree("now", "c0ffee", tmp_path, "/usr/bin/python3")
    tree.__dict__["environment"] = {"PYTHONPATH": "x"}
    server = server_of(tree, "embedded")
    assert server.folder == tmp_path
    assert server.environment == {"PYTHONPATH": "x"}
    words = server.command(Launch("bench.apps:hello", 1, 2))
    assert words[:4] == ["/usr/bin/python3", "-S", "-m", "prowingen_wsgi"]


def refused(capsys: pytest.CaptureFixture[str], revision: str, *words: str) -> str:
    assert main([f"--compare={revision}", *words]) == 2
    return capsys.readouterr().err


def test_a_commit_that_there_is_not_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(capsys, "no-such-commit", "--rows", "hello", "--engines", "embedded")
    assert "--compare: no-such-commit: no such commit in this repository" in said
    assert "--compare: --all: no such commit" in refused(capsys, "--all", "--rows", "hello")


def test_a_row_that_there_is_not_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert "--rows: no such row: hallo" in refused(capsys, "HEAD", "--rows", "hallo")


def test_peers_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(capsys, "HEAD", "--servers", "bjoern")
    assert "--servers: with --compare none takes part but ours" in said


def test_an_interpreter_that_there_is_not_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(capsys, "HEAD", "--python", "/no/such/python")
    assert "--python: /no/such/python: no such command" in said
