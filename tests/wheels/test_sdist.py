"""The source distribution beside the wheels: all that is built and tested, nothing that was made.

That it is enough to build of is proved by the wheels, which scripts/wheels.sh builds of it offline.
"""

from __future__ import annotations

import re
import subprocess
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOT_FOR_USERS = re.compile(r"\.(ci|github)/")


@pytest.fixture
def files(pytestconfig: pytest.Config) -> set[str]:
    folder = Path(pytestconfig.getoption("wheels"))
    found = sorted(folder.glob("*.tar.gz"))
    if not found:
        pytest.skip(f"no source distribution is in {folder}")
    with tarfile.open(found[-1]) as archive:
        return {name.partition("/")[2] for name in archive.getnames()}


def test_it_has_what_the_repository_has_and_how_it_is_described(files: set[str]) -> None:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode != 0:
        pytest.skip("this is no clone")
    kept = {name for name in listed.stdout.splitlines() if not NOT_FOR_USERS.match(name)}
    made = {"PKG-INFO"}
    # What is not committed yet is in it as well, but for what .gitignore names.
    assert kept | made <= files
    assert "bootstrap.sh" in files


def test_nothing_that_was_made_is_in_it(files: set[str]) -> None:
    made = re.compile(
        r"\.(so|pyd|pyc|o|a)$|__pycache__|\.(venv|nox|mypy_cache|ruff_cache|pytest_cache|hypothesis)"
        r"|^(build|dist)/|^bench/out|\.egg-info|^\.(ci|github|git)/"
    )
    assert {name for name in files if made.search(name)} == set()
