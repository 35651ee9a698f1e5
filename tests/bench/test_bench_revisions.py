"""Trees with builds of their own, of small repositories whose build takes no compiler."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from bench import revisions
from bench.revisions import RevisionError, Tree, at, commit_of, here

if TYPE_CHECKING:
    from pathlib import Path

CMAKE = """
cmake_minimum_required(VERSION 3.22)
project(small LANGUAGES NONE)
add_custom_target(_native COMMAND ${CMAKE_COMMAND} -E copy
  ${CMAKE_SOURCE_DIR}/native.txt ${CMAKE_BINARY_DIR}/_native.so)
"""
MAIN = """
import sys
print("usage: [--bind ADDRESS] [--threads N]\\n  --no-such-thing-as--this, a-b--c")
"""


class Repository:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.git("init", "--quiet")

    def git(self, *words: str) -> str:
        who = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.org")
        done = subprocess.run(
            ["git", *who, *words], cwd=self.folder, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def commit(self, **files: str) -> str:
        for name, text in files.items():
            path = self.folder / name.replace("__", "/").replace("_txt", ".txt")
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        self.git("add", ".")
        self.git("commit", "--quiet", "--message", "A commit")
        return self.git("rev-parse", "HEAD")

    def server(self, native: str, cmake: str = CMAKE) -> str:
        package = self.folder / "prowingen_wsgi"
        package.mkdir(exist_ok=True)
        (package / "__init__.py").write_text("")
        (package / "__main__.py").write_text(MAIN)
        (package / "_native.of-another-build.so").write_text("not this one")
        (self.folder / ".gitignore").write_text("*.so\n/build/\n")
        (self.folder / "CMakeLists.txt").write_text(cmake)
        return self.commit(native_txt=native)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    folder = tmp_path / "repository"
    monkeypatch.setattr(revisions, "ROOT", folder)
    monkeypatch.setattr(revisions, "OUT", tmp_path / "out")
    monkeypatch.setattr(revisions, "REVISIONS", tmp_path / "out/revisions")
    (tmp_path / "out").mkdir()
    return Repository(folder)


def native(tree: Tree) -> str:
    (module,) = (tree.folder / "prowingen_wsgi").glob("*.so")
    return module.read_text()


def test_then_and_now_have_builds_of_their_own(repository: Repository) -> None:
    old = repository.server("then")
    repository.server("later")
    (repository.folder / "native.txt").write_text("now")
    then = at(commit_of("HEAD~1"), sys.executable, ["embedded"])
    now = here("described", sys.executable, ["embedded"])
    assert (then.name, then.commit, native(then)) == (old[:10], old, "then")
    assert (now.name, now.commit, native(now)) == ("now", "described", "now")
    assert repository.git("status", "--short").split() == ["M", "native.txt"]
    assert repository.git("worktree", "list").count("\n") == 0


def test_a_commit_is_built_once(repository: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    commit = repository.server("then")
    first = at(commit, sys.executable, ["embedded"])
    assert "building" in capsys.readouterr().err
    assert at(commit, sys.executable, ["embedded"]) == first
    assert "building" not in capsys.readouterr().err
    other = at(commit, sys.executable, ["embedded", "proxygen"])
    assert "building" in capsys.readouterr().err
    assert other.folder != first.folder


def test_what_is_changed_here_is_built_again(repository: Repository) -> None:
    repository.server("now")
    here("x", sys.executable, ["embedded"])
    (repository.folder / "native.txt").write_text("a moment later")
    assert native(here("x", sys.executable, ["embedded"])) == "a moment later"


def test_a_commit_that_does_not_build_says_why_and_leaves_nothing(repository: Repository) -> None:
    commit = repository.server("then", CMAKE + 'message(FATAL_ERROR "no boost in sight")\n')
    with pytest.raises(RevisionError, match=r"(?s)does not build here.*no boost in sight") as said:
        at(commit, sys.executable, ["embedded"])
    assert str(said.value).startswith(commit[:10])
    assert list(revisions.REVISIONS.iterdir()) == []


def test_a_commit_without_a_server_is_told(repository: Repository) -> None:
    commit = repository.commit(native_txt="only this")
    with pytest.raises(RevisionError, match="there is no server in it yet"):
        at(commit, sys.executable, ["embedded"])


@pytest.mark.parametrize("revision", ["no-such", "--all", "HEAD~9", "HEAD:native.txt"])
def test_what_names_no_commit_is_refused(repository: Repository, revision: str) -> None:
    repository.server("then")
    with pytest.raises(RevisionError, match=f"--compare: {revision}: no such commit"):
        commit_of(revision)


def test_names_of_all_kinds_are_the_commit_they_mean(repository: Repository) -> None:
    commit = repository.server("then")
    repository.git("tag", "--annotate", "--message", "The first", "v1")
    assert {commit_of(name) for name in ("HEAD", "v1", commit[:7], commit)} == {commit}


def test_the_options_are_those_of_its_help(repository: Repository) -> None:
    tree = at(repository.server("then"), sys.executable, ["embedded"])
    assert tree.options == {"--bind", "--threads", "--no-such-thing-as--this"}


def test_one_that_does_not_start_says_why(repository: Repository) -> None:
    tree = at(repository.server("no module of any kind"), sys.executable, ["embedded"])
    with pytest.raises(
        RevisionError, match=r"was built, but does not start: ImportError: .*_native"
    ):
        _ = tree.engines


def test_a_package_from_elsewhere_is_not_taken_for_it(tmp_path: Path) -> None:
    # As an installed one that comes first would be: here it is one of Python's sources.
    package = tmp_path / "elsewhere/prowingen_wsgi"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "_native.py").write_text("def engines(): return ['embedded']\n")
    (tmp_path / "empty").mkdir()
    tree = Tree("then", "c0ffee", tmp_path / "empty", sys.executable)
    tree.__dict__["environment"] = {"PYTHONPATH": str(package.parent)}
    with pytest.raises(RevisionError, match=r"imports .*elsewhere.* and not what was built for it"):
        _ = tree.engines
