"""What an import loads, as a program that merely mentions the server pays for it.

Modules are counted, not milliseconds, which are another machine's or another moment's.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import prowingen_wsgi

ROOT = Path(prowingen_wsgi.__file__).parents[1]


def loaded_by(statement: str) -> set[str]:
    """The modules that a statement loads into an interpreter that has loaded nothing itself, not
    even what site-packages have it load at the start."""
    program = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); before = set(sys.modules)\n"
        f"try:\n    {statement}\n"
        "except SystemExit:\n    pass\n"
        "print('loaded:', *sorted(set(sys.modules) - before))"
    )
    result = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=True
    )
    _, _, names = result.stdout.rpartition("loaded: ")
    return set(names.split())


def test_importing_the_package_loads_nothing_but_it() -> None:
    loaded = loaded_by("import prowingen_wsgi")
    assert "prowingen_wsgi" in loaded
    importlib = {"importlib", "importlib._bootstrap", "importlib._bootstrap_external", "warnings"}
    assert loaded - importlib <= {"prowingen_wsgi", "__future__"}


@pytest.mark.parametrize("name", ["ConfigError", "Config"])
def test_a_name_is_loaded_with_its_own_module_alone(name: str) -> None:
    loaded = loaded_by(f"import prowingen_wsgi; prowingen_wsgi.{name}")
    assert "prowingen_wsgi.configuration.config" in loaded
    assert not loaded & {"prowingen_wsgi._native", "prowingen_wsgi.server", "logging", "argparse"}


HELP = "import prowingen_wsgi.command.cli as cli; cli.main(['--help'])"


def test_help_loads_of_the_package_what_options_are_made_of() -> None:
    loaded = loaded_by(HELP)
    ours = {name for name in loaded if name.startswith("prowingen_wsgi.")}
    rooms = {"prowingen_wsgi.command", "prowingen_wsgi.configuration"}
    options = (
        *("addresses", "arguments", "codings", "config", "domains", "mounts", "networks"),
        *("load_limits", "option", "statsd", "time_limits", "values"),
    )
    made_of = {f"prowingen_wsgi.configuration.{name}" for name in options}
    assert ours == {*rooms, *made_of, "prowingen_wsgi.command.cli"}


def test_help_loads_of_the_standard_library_what_its_parser_is_made_of() -> None:
    # These load other modules with each version of Python.
    made_of = loaded_by("import argparse, dataclasses, pathlib")
    loaded = loaded_by(HELP) - made_of
    strangers = {"asyncio", "concurrent", "email", "http", "importlib.metadata", "multiprocessing"}
    strangers |= {"bz2", "decimal", "difflib", "ipaddress", "logging", "lzma", "pkgutil", "shutil"}
    strangers |= {"platform", "ssl", "subprocess", "sysconfig", "tomli", "tomllib", "xml"}
    strangers |= {"selectors", "socket", "threading", "traceback"}
    assert not loaded & strangers
    others = {name for name in loaded if not name.startswith("prowingen_wsgi")}
    assert len(others) <= 16, sorted(others)
