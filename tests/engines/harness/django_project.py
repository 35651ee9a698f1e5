"""A Django project as `django-admin startproject` makes it, with this package's app added."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from harness.commands import edit, run_command

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from harness.process import ServerProcess

APP = "prowingen_wsgi.contrib.django"
SERVES = r"(?s)Starting .*Quit the server"
USER, PASSWORD = "admin", "only for tests"


@dataclass(frozen=True)
class DjangoProject:
    folder: Path

    @property
    def settings(self) -> Path:
        return self.folder / "site_of_tests" / "settings.py"

    def manage(self, *arguments: str, **variables: str) -> str:
        """Runs a command to its end, without a server chosen, and returns its output."""
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=self.folder,
            env={**os.environ, **variables},
            check=True,
            text=True,
            stdout=subprocess.PIPE,
            timeout=60,
        ).stdout

    def run(
        self, *arguments: str, server: str = "wsgi", ready: str = SERVES, **more: str
    ) -> AbstractContextManager[ServerProcess]:
        """`manage.py` with these arguments and PROWINGEN_SERVER, until it is ready."""
        chosen = {"PROWINGEN_SERVER": server} if server else {}
        command = [sys.executable, "manage.py", *arguments]
        return run_command(command, self.folder, ready=ready, **chosen, **more)

    def change_settings(self, old: str, new: str) -> None:
        text = self.settings.read_text()
        assert old in text
        edit(self.settings, text.replace(old, new))


def make_project(folder: Path, *, first: bool = True) -> DjangoProject:
    """A project; this package's app is the first or the last."""
    shutil.copytree(_project(), folder, dirs_exist_ok=True)
    project = DjangoProject(folder)
    if first:
        project.change_settings("INSTALLED_APPS = [", f'INSTALLED_APPS = [\n    "{APP}",')
    else:
        project.change_settings(
            "'django.contrib.staticfiles',", f"'django.contrib.staticfiles',\n    '{APP}',"
        )
    return project


def add_superuser(project: DjangoProject) -> None:
    """And a database."""
    shutil.copy(_database(), project.folder)


# Made once, and copied: Django takes seconds for them.


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="django-")


@cache
def _project() -> Path:
    folder = Path(_folder().name, "project")
    folder.mkdir()
    command = [sys.executable, "-m", "django", "startproject", "site_of_tests", str(folder)]
    subprocess.run(command, check=True, timeout=60)
    return folder


@cache
def _database() -> Path:
    project = make_project(Path(_folder().name, "with_database"))
    project.manage("migrate", "--verbosity", "0")
    project.manage(
        "createsuperuser",
        "--noinput",
        DJANGO_SUPERUSER_USERNAME=USER,
        DJANGO_SUPERUSER_PASSWORD=PASSWORD,
        DJANGO_SUPERUSER_EMAIL="admin@example.org",
    )
    return project.folder / "db.sqlite3"
