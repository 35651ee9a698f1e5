"""Every library that the native module is made of is known to every kind of package.

cmake/system-packages.txt is the one list: what CMake looks for has a row in it, and each row of a
library is held against Debian's control file, the RPM's spec, Homebrew's formula, the release
wheels' script, the licences that wheels are given, and what users are told to install.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
NO_LIBRARY = {"Python", "pybind11", "Threads"}  # the languages' own


def text(*path: str) -> str:
    return ROOT.joinpath(*path).read_text(encoding="utf-8")


class Library(NamedTuple):
    """A row of the table: what it is called here, and by apt, dnf and brew."""

    need: str
    apt: str
    dnf: str
    brew: str


def rows(kind: str = r"\S+") -> list[Library]:
    row = re.compile(rf"^(\S+) +{kind} +(\S+) +(\S+) +(\S+)$", re.MULTILINE)
    return [Library(*found) for found in row.findall(text("cmake", "system-packages.txt"))]


LIBRARIES = rows("library")
each_library = pytest.mark.parametrize("library", LIBRARIES, ids=lambda library: library.need)


def cmake_files() -> str:
    files = [ROOT / "CMakeLists.txt", *sorted((ROOT / "cmake").glob("*.cmake"))]
    kept = [file for file in files if not file.name.startswith("Proxygen")]
    code = "\n".join(file.read_text(encoding="utf-8") for file in kept)
    return re.sub(r"#.*", "", code)


# ---- CMake


def test_what_cmake_misses_has_a_row() -> None:
    missed = set(re.findall(r"prowingen_missing\(([\w-]+)", cmake_files()))
    assert {"boost", "openssl", "nghttp2", "zlib", "brotli", "zstd"} < missed
    assert missed <= {row.need for row in rows()}


def test_what_cmake_looks_for_is_a_library_of_the_table() -> None:
    code = cmake_files()
    sought = set(re.findall(r"find_package\((\w+)", code)) - NO_LIBRARY
    sought |= set(re.findall(r"prowingen_find_compressor\((\w+)", code)) - {"name"}
    sought |= set(re.findall(r"find_library\((\w+)_LIBRARY", code))
    assert {"Boost", "OpenSSL", "LIBDEFLATE", "NGHTTP2"} <= sought
    assert {name.lower() for name in sought} == {library.need for library in LIBRARIES}


# ---- packages


@each_library
def test_debian_builds_with_it(library: Library) -> None:
    needed = text("packaging", "debian", "control").partition("\n\n")[0]
    assert re.search(rf"^ {re.escape(library.apt)}( \(.+\))?,$", needed, re.MULTILINE)


@each_library
def test_the_rpm_is_built_with_it(library: Library) -> None:
    spec = text("packaging", "rpm", "prowingen-wsgi.spec")
    assert re.search(rf"^BuildRequires:\s+{re.escape(library.dnf)}\b", spec, re.MULTILINE)


@each_library
def test_the_formula_depends_on_it(library: Library) -> None:
    formula = text("packaging", "homebrew", "prowingen-wsgi.rb")
    name = rf'"{re.escape(library.brew)}(@\d+)?"'
    assert re.search(rf"^  (depends_on|uses_from_macos) {name}", formula, re.MULTILINE)


@each_library
def test_release_wheels_are_built_with_it(library: Library) -> None:
    assert 'before-all = "bash {project}/scripts/wheel_libraries.sh"' in text("pyproject.toml")
    script = text("scripts", "wheel_libraries.sh")
    # On macOS all that the table has; on Linux by the system's package or from its authors.
    assert """brew install $(awk '$2 == "library" { print $5 }' "$table")""" in script
    linux = script.partition("\nfi\n")[2]
    packaged = f'"$(package {library.need} 4)"' in linux
    built = re.search(rf"^installed {library.need} \S+$", linux, re.MULTILINE)
    assert packaged or built


@each_library
def test_users_who_build_are_told_to_install_it(library: Library) -> None:
    page = text("docs", "installation.md")
    built = page.partition("## Built here")[2]
    assert re.search(rf"[` \n]{re.escape(library.apt)}[` \n]", built)


# ---- licences


@pytest.fixture(scope="module")
def repairing() -> Any:
    spec = importlib.util.spec_from_file_location("repair_wheel", ROOT / "scripts/repair_wheel.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look for it
    spec.loader.exec_module(module)
    del sys.modules[spec.name]
    return module


@each_library
def test_a_wheel_that_bundles_it_has_its_licence(library: Library, repairing: Any) -> None:
    assert library.brew in {project.formula for project in repairing.PROJECTS}


@each_library
def test_users_are_told_that_wheels_bundle_it(library: Library) -> None:
    page = text("docs", "installation.md")
    bundled = page.partition("## What a wheel bundles")[2].partition("\n## ")[0]
    assert library.need in bundled.lower()


def test_no_licence_is_kept_of_what_is_no_library_any_more(repairing: Any) -> None:
    known = {project.formula for project in repairing.PROJECTS if project.formula}
    assert known == {library.brew for library in LIBRARIES}
