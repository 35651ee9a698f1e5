"""An environment with the wheel in it, and how its programs are run: on a bare PATH."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


QUIETLY_INSTALL = ("-m", "pip", "install", "-q", "--disable-pip-version-check")


@dataclass(frozen=True)
class Installed:
    """folder: the environment's."""

    folder: Path

    @property
    def python(self) -> str:
        return str(self.folder / "bin/python")

    @property
    def command(self) -> str:
        return str(self.folder / "bin/prowingen")

    @property
    def variables(self) -> dict[str, str]:
        """Of a program in the environment: nothing outside of it is found, nor is a home."""
        return {"PATH": str(self.folder / "bin"), "HOME": str(self.folder), "PYTHONPATH": ""}

    @property
    def package(self) -> Path:
        (package,) = self.folder.glob("lib/python3.*/site-packages/prowingen_wsgi")
        return package

    def run(self, *arguments: str, **variables: str) -> str:
        """What Python prints when it is run with these arguments, which must succeed."""
        result = subprocess.run(
            [self.python, *arguments],
            cwd=self.folder,
            env=self.variables | variables,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert result.returncode == 0, f"{result.returncode}: {result.stdout}\n{result.stderr}"
        return result.stdout


def make_environment(folder: Path, interpreter: str, requirements: Iterable[str]) -> Installed:
    """Its packages are all wheels: there is nothing to build one with."""
    subprocess.run([interpreter, "-m", "venv", str(folder / "venv")], check=True)
    environment = Installed(folder / "venv")
    subprocess.run(
        [environment.python, *QUIETLY_INSTALL, "--only-binary", ":all:", *requirements],
        check=True,
    )
    return environment
