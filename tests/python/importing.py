"""What tests of importers share: the command, and what its file comes to."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from prowingen_wsgi.configuration.sources import Sources

if TYPE_CHECKING:
    from pathlib import Path

    from prowingen_wsgi.configuration.config import Config


def run(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """`prowingen` with these arguments, in a folder, without variables of either server."""
    env = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PROWINGEN_", "GRANIAN_"))
    }
    return subprocess.run(
        [sys.executable, "-m", "prowingen_wsgi", *arguments],
        cwd=folder,
        env={**env, "PYTHONDONTWRITEBYTECODE": "1", **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def loaded(folder: Path, text: str) -> tuple[str, Config]:
    """The application and the options that a written file stands for, as the command reads it."""
    path = folder / "prowingen.toml"
    path.write_text(text, encoding="utf-8")
    found = Sources({}, str(path), {}).read()
    return found.app, found.config


def checked(folder: Path) -> dict[str, str]:
    """What `prowingen --check` says of the file in a folder: each option that comes from it."""
    result = run(folder, "--check")
    assert result.returncode == 0, result.stderr
    rows = (line.split(maxsplit=1) for line in result.stdout.splitlines())
    return {
        name: rest.removesuffix("prowingen.toml").strip()
        for name, rest in rows
        if rest.endswith("prowingen.toml")
    }
