"""What is given away with a wheel has a licence in it, or there is no wheel."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts/repair_wheel.py"
METADATA = """\
Metadata-Version: 2.4
Name: prowingen-wsgi
License-Expression: BSD-3-Clause
License-File: LICENSE
Requires-Python: >=3.10

# Readme

License-File: is not a field here
"""


@pytest.fixture(scope="module")
def repairing() -> Any:
    spec = importlib.util.spec_from_file_location("repair_wheel", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look for it
    spec.loader.exec_module(module)
    del sys.modules[spec.name]
    return module


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """An unpacked wheel that has no library yet."""
    info = tmp_path / "prowingen_wsgi-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(METADATA)
    (tmp_path / "prowingen_wsgi.libs").mkdir()
    return tmp_path


def test_a_library_whose_licence_is_not_known_is_refused(repairing: Any, tree: Path) -> None:
    (tree / "prowingen_wsgi.libs/libreadline-1a2b.so.8").touch()
    with pytest.raises(repairing.RepairError, match=r"libreadline-1a2b\.so\.8 would be"):
        repairing.add_licenses(tree)


def test_a_library_whose_licence_is_not_found_is_refused(
    repairing: Any, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tree / "prowingen_wsgi.libs/libssl-1a2b.so.3").touch()
    monkeypatch.setattr(repairing, "license_files", lambda _project: [])
    with pytest.raises(repairing.RepairError, match="no licence of openssl was found"):
        repairing.add_licenses(tree)


def test_licences_are_named_in_the_metadata_and_nowhere_else(
    repairing: Any, tree: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    text = tmp_path / "COPYING"
    text.write_text("Permission is hereby granted")
    (tree / "prowingen_wsgi.libs/libnghttp2-1a2b.so.14").touch()
    monkeypatch.setattr(repairing, "license_files", lambda _project: [text])
    repairing.add_licenses(tree)
    metadata = (tree / "prowingen_wsgi-0.1.0.dist-info/METADATA").read_text()
    head, _, readme = metadata.partition("\n\n")
    assert head.splitlines()[2:-1] == [
        "License-Expression: BSD-3-Clause AND MIT AND BSL-1.0",
        "License-File: LICENSE",
        "License-File: bundled/nghttp2/COPYING",
        "License-File: bundled/boost/COPYING",
        "License-File: bundled/pybind11/COPYING",
    ]
    assert readme == METADATA.partition("\n\n")[2]
    for project in ("nghttp2", "boost", "pybind11"):
        file = f"prowingen_wsgi-0.1.0.dist-info/licenses/bundled/{project}/COPYING"
        assert (tree / file).read_text() == text.read_text()


@pytest.mark.parametrize("name", ["LICENSE", "LICENSE.txt", "COPYING"])
def test_homebrews_licences_are_found_by_any_of_their_names(
    name: str, repairing: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keg = tmp_path / "keg"
    keg.mkdir()
    (keg / name).write_text("Permission is hereby granted")
    (keg / "README.md").touch()
    brew = tmp_path / "brew"
    brew.write_text(f"#!/bin/sh\n[ \"$*\" = '--prefix some' ] && echo {keg}\n")
    brew.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    project = repairing.Project("no-such-project", "MIT", ("libsome",), "", "some")
    assert repairing.license_files(project) == [keg / name]


def test_of_debians_file_a_paragraph_is_taken(repairing: Any) -> None:
    text = "Files: *\nLicense: X\n\nLicense: X\n The words\n .\n and more\n\nLicense: Y\n Others\n"
    assert repairing.paragraph_of(text, "The words") == "License: X\n The words\n .\n and more\n"
    with pytest.raises(repairing.RepairError, match='"No such"'):
        repairing.paragraph_of(text, "No such")
