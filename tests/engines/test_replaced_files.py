"""A package's upgrade replaces the files of a server that runs: it has loaded all that it needs of
them, and answers everybody, administrators included, until it is told to take up the new ones.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import prowingen_wsgi
import pytest
from prowingen_wsgi import _native

from harness.admin_control import RIGHT, TOKEN, control, prepared, result_of
from harness.controlled import WAYS, controlled, ctl
from harness.scraping import admin_of, ask_admin

if TYPE_CHECKING:
    from harness.process import ServerProcess
    from harness.wire import Address

PACKAGE = Path(prowingen_wsgi.__file__).parent
COMMANDS = (
    ("status",),
    ("workers",),
    ("stacks",),
    ("log-level", "debug"),
    ("ready", "off"),
    ("ready", "on"),
)


NATIVE = Path(_native.__file__)
# An installation for development has a finder of its own, which comes before the path.
BY_THE_PATH = """
import sys
sys.meta_path = [each for each in sys.meta_path if isinstance(each, type)]
"""


def installed(folder: Path) -> Path:
    """The package in a folder of its own. The native module, which is large, is a link."""
    package = folder / "prowingen_wsgi"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    (package / NATIVE.name).symlink_to(NATIVE)
    (folder / "sitecustomize.py").write_text(BY_THE_PATH)
    return package


def replace(package: Path) -> None:
    """By a version with which the running one could do nothing."""
    for path in package.rglob("*"):
        if path.suffix == ".py":
            path.write_text('raise ImportError("another version")\n')
        elif path.is_file() and not path.is_symlink():
            path.write_text("another version")


def ask_everything(server: ServerProcess, admin: Address, path: Path) -> None:
    with server.connect() as wire:
        assert wire.ask("/", "Accept-Encoding: gzip").status == 200
    for command in COMMANDS:
        said = ctl(path, *command)
        assert said.code == 0, f"{command}: {said}\n{server.log}"
    page = ask_admin(admin, "/-/")
    assert '<script type="module">' in page.text
    for target in ("/-/metrics", "/-/stacks", "/-/ready"):
        assert ask_admin(admin, target).status == 200, f"{target}\n{server.log}"
    assert result_of(control(admin, "status"))["state"] == "serving"
    assert ask_admin(admin, "/-/control", RIGHT.replace(TOKEN, "x" * 20)).status != 200


@pytest.mark.parametrize("way", WAYS)
def test_it_serves_on_when_its_files_are_replaced(engine: str, way: str, tmp_path: Path) -> None:
    folder = prepared(tmp_path)
    package = installed(folder)
    options = ["--admin-bind", "127.0.0.1:0", "--admin-token-file", str(folder / "token")]
    options += ["--compress", "--response-cache", "1MiB", "--request-timeout", "20"]
    with controlled("asked:app", engine, folder, *options, *WAYS[way]) as (server, path):
        admin = admin_of(server)
        assert str(package) in ctl(path, "stacks").output, "it runs another package than this"
        replace(package)
        ask_everything(server, admin, path)
        if way == "workers":
            reloaded = ctl(path, "reload", "--wait")
            assert reloaded.code == 0, f"{reloaded}\n{server.log}"
            ask_everything(server, admin, path)
        assert ctl(path, "stop", "--wait").code == 0, server.log
        assert server.wait() == 0
        assert "another version" not in server.log
