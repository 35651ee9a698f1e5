"""Tests of the Python side alone: no engine, except where a test asks for the native module."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
if str(HERE) not in sys.path:
    sys.path.insert(0, str(HERE))

import fake_native  # noqa: E402
from command import Command, start_command  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType


@pytest.fixture
def server_module(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """`prowingen_wsgi.server`, imported anew on top of the stand-in for the native module."""
    import prowingen_wsgi

    for name in ("server", "_native"):
        monkeypatch.delitem(sys.modules, f"prowingen_wsgi.{name}", raising=False)
        monkeypatch.delattr(prowingen_wsgi, name, raising=False)
    monkeypatch.setitem(sys.modules, "prowingen_wsgi._native", fake_native)
    yield importlib.import_module("prowingen_wsgi.server")
    # What the import left behind goes before monkeypatch puts the originals back.
    sys.modules.pop("prowingen_wsgi.server", None)
    for name in ("server", "_native"):
        vars(prowingen_wsgi).pop(name, None)


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Callable[..., Command]]:
    """Starts `prowingen` on the stand-in, in a folder of its own, without the PROWINGEN_*
    variables of whoever runs the tests. Killed when the test ends.
    """
    started: list[Command] = []

    def start(*arguments: str, **variables: str) -> Command:
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("PROWINGEN_")
        }
        environment["PYTHONPATH"] = os.pathsep.join([str(HERE), str(ROOT)])
        environment["PYTHONIOENCODING"] = "utf-8"
        started.append(
            start_command(["-m", "fake_native", *arguments], tmp_path, environment | variables)
        )
        return started[-1]

    yield start
    for one in started:
        one.end()
