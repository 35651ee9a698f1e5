"""git against dulwich's WSGI application: a push in chunks, and a clone of what was pushed."""

from __future__ import annotations

import os
import random
import subprocess
from typing import TYPE_CHECKING

import pytest
from dulwich.repo import Repo
from dulwich.server import BackendRepo, DictBackend
from dulwich.web import make_wsgi_chain

if TYPE_CHECKING:
    from pathlib import Path

    from harness.site import ServeFixture

# 45 MiB. Not in one file: dulwich copies the rest of it for each 64 KiB that it sends.
FILES = 45
SIZE = 1 << 20


class Git:
    """git as its user runs it, in a home of its own."""

    def __init__(self, home: Path) -> None:
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "NO_PROXY": "*",
        }
        # What is random does not get smaller; trying takes seconds.
        for setting in (
            "user.name=A",
            "user.email=a@b",
            "core.compression=0",
            "pack.window=0",
            "gc.auto=0",
        ):
            self(home, "config", "--global", *setting.split("="))

    def __call__(self, folder: Path, *arguments: str) -> None:
        run = subprocess.run(
            ["git", *arguments],
            cwd=folder,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert run.returncode == 0, run.stderr


@pytest.mark.timeout(120)
def test_a_push_in_chunks_and_a_clone(serve: ServeFixture, tmp_path: Path) -> None:
    git = Git(tmp_path)
    bare, mine, theirs = (tmp_path / name for name in ("bare", "mine", "theirs"))
    bare.mkdir()
    with Repo.init_bare(str(bare)) as repository:
        served: dict[str, BackendRepo] = {"/": repository}
        site = serve(make_wsgi_chain(DictBackend(served)))
        git(tmp_path, "init", "--quiet", str(mine))
        draw = random.Random(1)
        contents = {f"{number}": draw.randbytes(SIZE) for number in range(FILES)}
        for name, content in contents.items():
            (mine / name).write_bytes(content)
        git(mine, "add", ".")
        git(mine, "commit", "--quiet", "--message", "Much")
        # What does not fit the buffer is sent in chunks.
        git(mine, "-c", "http.postBuffer=65536", "push", "--quiet", site.url, "HEAD:refs/heads/a")
        git(tmp_path, "clone", "--quiet", "--branch", "a", site.url, str(theirs))
        assert {name: (theirs / name).read_bytes() for name in contents} == contents
