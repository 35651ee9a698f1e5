"""The worker class under gunicorn's current major version and the one before."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from harness.arbiter import Arbiter

HERE = Path(__file__).parent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PREVIOUS = "26"


@pytest.fixture(scope="session")
def _previous(tmp_path_factory: pytest.TempPathFactory) -> Path | str:
    """The folder that the previous major version is in, or why it cannot be had."""
    folder = tmp_path_factory.mktemp(f"gunicorn-{PREVIOUS}")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    done = subprocess.run(
        [*command, "--target", str(folder), f"gunicorn=={PREVIOUS}.*"],
        capture_output=True,
        text=True,
        check=False,
    )
    return folder if done.returncode == 0 else done.stderr.strip().rpartition("\n")[2]


@pytest.fixture(scope="session", params=["installed", PREVIOUS])
def gunicorn_path(request: pytest.FixtureRequest) -> str:
    """A folder for PYTHONPATH that gunicorn is found in first; empty for the one installed."""
    if request.param == "installed":
        return ""
    found: Path | str = request.getfixturevalue("_previous")
    if isinstance(found, str):
        pytest.skip(f"gunicorn {PREVIOUS} cannot be installed: {found}")
    return str(found)


@pytest.fixture
def environment(gunicorn_path: str) -> dict[str, str]:
    """Of a process that finds that gunicorn, and the application of these tests."""
    path = [entry for entry in (gunicorn_path, str(HERE)) if entry]
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PROWINGEN_", "GUNICORN_", "LISTEN_"))
    }
    # Not unbuffered: print() would write a line in pieces, and another process' line come between.
    return {**inherited, "PYTHONPATH": os.pathsep.join(path)}


@pytest.fixture
def start(
    engine: str, environment: dict[str, str], tmp_path: Path
) -> Iterator[Callable[..., Arbiter]]:
    """Starts gunicorn with the worker class: `start("-w", "2", app="module:app")`."""
    with ExitStack() as stack:

        def begin(
            *arguments: str,
            app: str = "gunicorn_app:app",
            bind: str | None = "127.0.0.1:0",
            variables: dict[str, str] | None = None,
            **popen: Any,
        ) -> Arbiter:
            fixed = ["-k", "prowingen_wsgi.gunicorn.Worker", "--no-control-socket"]
            # A SIGTERM between a worker's fork and its own signal handlers is lost to it, and the
            # arbiter waits as long as this before it kills: gunicorn's default is 30 seconds.
            fixed += ["--graceful-timeout", "10"]
            bound = ["-b", bind] if bind else []
            arbiter = Arbiter(
                [*fixed, *bound, *arguments, app],
                tmp_path,
                {**environment, "PROWINGEN_ENGINE": engine, **(variables or {})},
                **popen,
            )
            stack.callback(arbiter.end)
            return arbiter

        yield begin
