"""What instructions are counted of: options that there are. They are counted by `nox -s
instructions`, which takes minutes."""

from __future__ import annotations

import argparse
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from counted_apps import HELLO
from counted_windows import CountError
from instructions import (
    ALL,
    BASE,
    CONNECTIONS,
    SWITCHES,
    options_of,
    requests_number,
)

if TYPE_CHECKING:
    from pathlib import Path


def test_a_configuration_is_nothing_or_all_or_some_of_them() -> None:
    assert options_of(BASE) == []
    assert options_of("trace") == ["--trace-context"]
    assert options_of("trace+request-id") == ["--trace-context", "--request-id"]
    assert options_of(ALL) == options_of("+".join(SWITCHES))


def test_one_that_there_is_not_is_named() -> None:
    with pytest.raises(CountError, match="traces: no such switch; there are nothing, all, timeout"):
        options_of("trace+traces")


def test_requests_come_in_whole_rounds() -> None:
    assert requests_number("3200") == 3200
    for text in ("0", str(CONNECTIONS + 1)):
        with pytest.raises(argparse.ArgumentTypeError, match=f"{text}: must be a multiple of"):
            requests_number(text)


def test_the_server_has_these_options(tmp_path: Path) -> None:
    (tmp_path / "counted_app.py").write_text(HELLO.source)
    options = [option.format(folder=tmp_path) for option in options_of(ALL)]
    command = [sys.executable, "-m", "prowingen_wsgi", "counted_app:app", "--check", *options]
    checked = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
