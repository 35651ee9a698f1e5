"""Of the wheels in a folder, each installed into environments of its own: `--wheels dist`, which
`nox -s wheels` gives. Without that option none of this is run.

A wheel is tried with the CPython of its version, in an environment that has nothing but wheels, and
by programs whose PATH is that environment: what is needed is in the wheel, or missing.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from harness.installed import Installed, make_environment

if TYPE_CHECKING:
    from collections.abc import Iterable

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    ours = [item for item in items if HERE in item.path.parents]
    if config.getoption("wheels"):
        for item in ours:  # whichever comes first makes an environment
            item.add_marker(pytest.mark.timeout(240))
        return
    config.hook.pytest_deselected(items=ours)
    items[:] = [item for item in items if item not in ours]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "wheel" not in metafunc.fixturenames:
        return
    folder = metafunc.config.getoption("wheels")
    wheels = sorted(Path(folder).absolute().glob("*.whl")) if folder else []
    if folder and not wheels:
        raise pytest.UsageError(f"--wheels {folder}: no wheel is there")
    metafunc.parametrize("wheel", wheels, ids=_version, scope="session")


def _version(wheel: Path) -> str:
    """3.13 for prowingen_wsgi-0.1.0-cp313-cp313-manylinux_2_35_x86_64.whl."""
    tag = wheel.name.split("-")[2].removeprefix("cp")
    return f"{tag[0]}.{tag[1:]}"


@pytest.fixture(scope="session")
def interpreters() -> dict[str, str]:
    """The executables of this machine's Pythons, by their versions: 3.13."""
    found = subprocess.run(
        [ROOT / "scripts/pythons.sh"], capture_output=True, text=True, check=True
    ).stdout.split()
    return {
        ".".join(version.split(".")[:2]): executable
        for version, executable in zip(found[::2], found[1::2], strict=True)
    }


@pytest.fixture(scope="session")
def installed(
    wheel: Path, interpreters: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Installed:
    """The wheel with Flask, and nothing else."""
    return _environment(wheel, ["flask"], interpreters, tmp_path_factory)


@pytest.fixture(scope="session")
def beside_strangers(
    wheel: Path, interpreters: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Installed:
    """The wheel with packages whose wheels have an OpenSSL of their own."""
    strangers = ["cryptography", "grpcio", "psycopg[binary]", "pyOpenSSL"]
    return _environment(wheel, strangers, interpreters, tmp_path_factory)


def _environment(
    wheel: Path,
    others: Iterable[str],
    interpreters: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Installed:
    version = _version(wheel)
    if version not in interpreters:
        pytest.skip(f"no Python {version} is on this machine")
    folder = tmp_path_factory.mktemp(f"python-{version}-")
    return make_environment(folder, interpreters[version], [os.fspath(wheel), *others])
