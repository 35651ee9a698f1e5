"""What instructions are compared with, and what is said of them. They are counted elsewhere: by
`nox -s instructions-check`, since valgrind takes its time."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import counted_build
import kept_instructions
import pytest
from counted_apps import APPLICATIONS, MODULE, Application
from counted_build import Build, Here, NotCounted, build_of
from counted_windows import CountError, least, window
from kept_instructions import (
    HISTORY,
    KEPT,
    LIMIT,
    Figure,
    check,
    keep,
    of_these_terms,
    read,
    verdict,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TERMS = {"python": "CPython 3.11", "compiler": "GNU 12", "build": "Release"}
HELLO = Figure("hello", "embedded", 20_000, TERMS, "-O3", "c0ffee1", "2030-01-02")
TOLD = {
    "python": "CPython 3.11",
    "patch": "3.11.7",
    "threading": "GIL",
    "interpreter": "GCC 12.2.0",
    "machine": "x86_64",
    "libc": "glibc 2.36",
    "engines": ["embedded"],
    "packages": {"flask": "3.1.3", "werkzeug": "3.1.9"},
}


class Machine:
    """One on which everything is there, and nothing takes time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.counts = {"hello": 20_000, "flask": 400_000}
        self.told = dict(TOLD)
        self.build = Build("Release", "GNU 12", "Release, GNU 12.2.0, -O3")
        self.kept, self.history = folder / "kept.json", folder / "history.json"
        monkeypatch.setattr(kept_instructions, "ROOT", folder)
        monkeypatch.setattr(kept_instructions, "KEPT", self.kept)
        monkeypatch.setattr(kept_instructions, "HISTORY", self.history)
        monkeypatch.setattr(kept_instructions, "why_not", lambda: "")
        monkeypatch.setattr(kept_instructions, "commit", lambda: "c0ffee1")
        monkeypatch.setattr(kept_instructions, "here", lambda *_: Here(self.told, self.build))
        monkeypatch.setattr(kept_instructions, "count", self.count)

    def count(self, _python: str, figure: Figure) -> Figure:
        return replace(figure, instructions=self.counts[figure.application])


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    return Machine(monkeypatch, tmp_path)


def both(do: Callable[..., int]) -> int:
    return do("python", ["embedded"], ["hello", "flask"])


def test_over_the_limit_is_too_much_and_below_it_is_not() -> None:
    for instructions, bad in ((20_000, False), (20_600, False), (20_601, True), (10_000, False)):
        assert verdict(HELLO, replace(HELLO, instructions=instructions))[1] == bad
    assert LIMIT == 0.03


def test_what_is_said_has_both_figures_and_the_difference() -> None:
    said, _ = verdict(HELLO, replace(HELLO, instructions=21_000))
    assert said == (
        "hello on embedded: 21,000 instructions a request, kept 20,000: +5.0 %, "
        "which is more than 3 %"
    )
    said, _ = verdict(HELLO, replace(HELLO, instructions=19_000))
    assert said.endswith("-5.0 %; so that it stays as little: python tools/instructions.py --keep")


def test_only_figures_of_the_same_terms_are_compared() -> None:
    kept = [
        replace(HELLO, engine="proxygen"),
        replace(HELLO, application="flask"),
        replace(HELLO, terms={**TERMS, "compiler": "GNU 13"}, instructions=1),
        HELLO,
    ]
    assert of_these_terms(kept, replace(HELLO, instructions=0, commit="other")) is HELLO


def test_terms_that_differ_are_named_of_the_nearest() -> None:
    kept = [replace(HELLO, terms={**TERMS, "python": "CPython 3.9", "compiler": "Clang 9"}), HELLO]
    wanted = replace(HELLO, terms={**TERMS, "python": "CPython 3.13"})
    with pytest.raises(
        NotCounted, match=r"no figure is kept for python CPython 3\.13 \(kept: CPython 3\.11\)\. "
    ):
        of_these_terms(kept, wanted)


def test_where_none_is_kept_it_is_told_how_to() -> None:
    with pytest.raises(NotCounted, match="no figure of it is kept; python tools/instructions"):
        of_these_terms([replace(HELLO, engine="proxygen")], HELLO)


@pytest.mark.usefixtures("machine")
def test_what_is_kept_is_what_is_checked(capsys: pytest.CaptureFixture[str]) -> None:
    assert both(keep) == 0
    assert both(check) == 0
    assert "flask on embedded: 400,000 instructions a request, kept 400,000: +0.0 %" in (
        capsys.readouterr().out
    )


def test_five_percent_more_of_one_fails_and_says_what_to_do(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    both(keep)
    machine.counts["flask"] = 420_000
    capsys.readouterr()
    assert both(check) == 1
    said = capsys.readouterr().out
    assert "hello on embedded: 20,000 instructions a request, kept 20,000: +0.0 %\n" in said
    assert "flask on embedded: 420,000" in said
    assert "+5.0 %, which is more than 3 %\n" in said
    assert "If it is meant: python tools/instructions.py --keep" in said


def test_a_new_figure_takes_the_place_of_the_old_and_joins_the_history(machine: Machine) -> None:
    both(keep)
    machine.counts["hello"] = 21_000
    both(keep)
    assert [one.instructions for one in read(machine.kept)] == [400_000, 21_000]
    # At one commit the last one counts.
    assert [one.instructions for one in read(machine.history)] == [21_000, 400_000]


def test_figures_of_other_terms_stay(machine: Machine) -> None:
    both(keep)
    machine.told["python"] = "CPython 3.13"
    both(keep)
    assert sorted({one.terms["python"] for one in read(machine.kept)}) == [
        "CPython 3.11",
        "CPython 3.13",
    ]
    assert len(read(machine.kept)) == 4


def test_another_flask_is_other_terms_for_flask_alone(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    both(keep)
    machine.told["packages"] = {"flask": "3.2.0", "werkzeug": "3.1.9"}
    capsys.readouterr()
    assert both(check) == 0
    said = capsys.readouterr().out
    assert "hello on embedded: 20,000" in said
    assert "flask on embedded: skipped: no figure is kept for flask 3.2.0 (kept: 3.1.3)." in said


@pytest.mark.usefixtures("machine")
def test_an_engine_that_is_not_built_is_skipped_and_cannot_be_kept(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert check("python", ["proxygen"], ["hello"]) == 0
    assert "hello on proxygen: skipped: this engine is not built" in capsys.readouterr().out
    with pytest.raises(NotCounted, match="proxygen: this engine is not built"):
        keep("python", ["proxygen"], ["hello"])


def test_a_build_that_is_not_optimised_is_not_counted(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.build = replace(machine.build, kind="Debug")
    assert both(check) == 0
    assert "instructions: skipped: the native module is a Debug build;" in capsys.readouterr().out
    with pytest.raises(NotCounted, match="Debug"):
        both(keep)
    assert not machine.kept.exists()


def test_without_valgrind_it_is_skipped_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("counted_windows.shutil.which", lambda _name: None)
    assert both(check) == 0
    assert capsys.readouterr().out.startswith("instructions: skipped: valgrind is not installed")


def test_an_interpreter_without_the_server_is_skipped_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONPATH", raising=False)
    bare = tmp_path / "bare-python"
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    bare.chmod(0o755)
    with pytest.raises(NotCounted, match=r"bare-python has no prowingen_wsgi: .*No module named"):
        counted_build.here(str(bare), ())


def module(path: Path, identifier: bytes, more: bytes = b"") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x7fELF" + more + struct.pack("<3I", 4, 20, 3) + b"GNU\0" + identifier)
    return path


def built(root: Path, folder: str, identifier: bytes, **cache: str) -> None:
    module(root / folder / "_native.so", identifier, b"with symbols")
    lines = [f"{name}:STRING={value}" for name, value in cache.items()]
    (root / folder / "CMakeCache.txt").write_text("\n".join([*lines, ""]))
    cmake = root / folder / "CMakeFiles/3.25.1"
    cmake.mkdir(parents=True)
    (cmake / "CMakeCXXCompiler.cmake").write_text(
        'set(CMAKE_CXX_COMPILER_ID "GNU")\nset(CMAKE_CXX_COMPILER_VERSION "12.2.0")\n'
    )


def test_a_module_is_of_the_build_folder_that_has_the_same_one(tmp_path: Path) -> None:
    release = {"CMAKE_BUILD_TYPE": "Release", "CMAKE_CXX_FLAGS_RELEASE": "-O3 -DNDEBUG"}
    built(tmp_path, "build/debug", b"d" * 20, CMAKE_BUILD_TYPE="Debug")
    built(tmp_path, "build/python/cp311", b"r" * 20, **release, PROWINGEN_LTO="ON")
    built(tmp_path, "build/asan", b"s" * 20, **release, PROWINGEN_SANITIZE="address")
    stripped = tmp_path / "site/_native.so"
    assert build_of(module(stripped, b"r" * 20), tmp_path) == Build(
        "Release", "GNU 12", "Release, GNU 12.2.0, -O3 -DNDEBUG with LTO"
    )
    assert build_of(module(stripped, b"d" * 20), tmp_path).kind == "Debug"
    assert build_of(module(stripped, b"s" * 20), tmp_path).kind == "Release, sanitized for address"


def test_a_module_from_elsewhere_is_of_none(tmp_path: Path) -> None:
    built(tmp_path, "build/debug", b"d" * 20, CMAKE_BUILD_TYPE="Debug")
    with pytest.raises(NotCounted, match=r"it is not known how other\.so was built"):
        build_of(module(tmp_path / "other.so", b"o" * 20), tmp_path)
    (tmp_path / "none.so").write_bytes(b"\x7fELF")
    with pytest.raises(NotCounted, match=r"it is not known how none\.so was built"):
        build_of(tmp_path / "none.so", tmp_path)


@pytest.mark.parametrize("application", APPLICATIONS.values(), ids=list(APPLICATIONS))
def test_an_application_answers_as_it_is_expected_to(
    application: Application, tmp_path: Path
) -> None:
    (tmp_path / f"{MODULE}.py").write_text(application.source)
    code = (
        "import sys; from urllib.parse import urlsplit\n"
        "from wsgiref.util import setup_testing_defaults\n"
        f"from {MODULE} import app\n"
        "parts = urlsplit(sys.argv[1])\n"
        "environ = {'PATH_INFO': parts.path, 'QUERY_STRING': parts.query}\n"
        "setup_testing_defaults(environ)\n"
        "def start(status, headers): assert status == '200 OK', status\n"
        "sys.stdout.buffer.write(b''.join(app(environ, start)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, application.path],
        cwd=tmp_path,
        capture_output=True,
        check=True,
    )
    assert done.stdout.endswith(application.end)


def test_what_is_in_the_repository_is_of_releases_and_in_the_history() -> None:
    kept, history = read(KEPT), read(HISTORY)
    assert kept
    assert {one.terms["build"] for one in kept} == {"Release"}
    assert {one.application for one in kept} == set(APPLICATIONS)
    assert all(one in history for one in kept)
    assert json.loads(KEPT.read_text())


def test_what_a_thread_but_the_main_one_did_in_its_least_busy_window_counts() -> None:
    windows = [
        {"01": 900, "02": 80, "03": 5_000, "05": 3_000},
        {"01": 800, "03": 5_400, "05": 2_900},
        {"01": 700, "02": 7, "03": 5_100, "05": 2_990},
    ]
    assert least(windows) == 5_000 + 2_900


def test_a_dump_is_read_thread_by_thread(tmp_path: Path) -> None:
    for name, text in (
        ("counts.1-01", "fn=(1) a\ntotals: 12\n"),
        ("counts.1-03", "totals: 345\n"),
        ("counts.11-01", "totals: 99999\n"),
        ("counts.2-01", "no such line\n"),
    ):
        (tmp_path / name).write_text(text)
    assert window(tmp_path, 1) == {"01": 12, "03": 345}
    with pytest.raises(CountError, match="valgrind told no count"):
        window(tmp_path, 2)
