"""Lays out below a folder what a distribution's package of the server has, each file where it goes.

    cmake --build build/release --target _native
    python tools/stage_package.py --native build/release/_native.*.so --root /tmp/stage \\
        --site /usr/lib/python3/dist-packages

Those of Debian, the RPM and the formula are made by it, so that they agree on names. The Python
that runs it needs nothing else, but before 3.11 tomli.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from generate_options import ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from collections.abc import Iterator

TOOLS = ROOT / "tools"

# From deploy/, where each goes.
FOR_SYSTEMD = {
    "prowingen@.service": "{units}/prowingen@.service",
    "prowingen@.socket": "{units}/prowingen@.socket",
    "prowingen.sysusers": "/usr/lib/sysusers.d/prowingen.conf",
    "prowingen.tmpfiles": "/usr/lib/tmpfiles.d/prowingen.conf",
    "prowingen.logrotate": "/etc/logrotate.d/prowingen",
    "README.etc": "/etc/prowingen/README",
}
FOR_ALL = {"example.toml": "{prefix}/share/doc/prowingen-wsgi/examples/app.toml"}

# What is generated, by which tool with which arguments before the file's name.
GENERATED = {
    "{prefix}/share/man/man1/prowingen.1": ("manual_page.py",),
    "{prefix}/share/bash-completion/completions/prowingen": ("completions.py", "bash"),
    "{zsh}/_prowingen": ("completions.py", "zsh"),
    "{prefix}/share/fish/vendor_completions.d/prowingen.fish": ("completions.py", "fish"),
}

COMMAND = """\
#!{python}
import sys

from prowingen_wsgi.command.cli import main

sys.exit(main())
"""


def metadata(project: dict[str, Any]) -> Iterator[str]:
    """METADATA of the distribution: what a wheel's has (core metadata 2.1), without the README."""
    yield "Metadata-Version: 2.1"
    yield f"Name: {project['name']}"
    yield f"Version: {project['version']}"
    yield f"Summary: {project['description']}"
    yield f"License: {project['license']}"
    yield f"Requires-Python: {project['requires-python']}"
    yield from (f"Classifier: {each}" for each in project["classifiers"])
    yield from (f"Requires-Dist: {each}" for each in project["dependencies"])
    # Extras are PyPI's way; a distribution's package suggests packages instead.


def entry_points(project: dict[str, Any]) -> Iterator[str]:
    groups = {"console_scripts": project["scripts"], **project["entry-points"]}
    for name, entries in groups.items():
        yield f"[{name}]"
        yield from (f"{entry} = {target}" for entry, target in entries.items())
        yield ""


def read_project() -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return project["project"]  # type: ignore[no-any-return]


def stage(given: argparse.Namespace) -> None:
    def place(path: str) -> Path:
        zsh = given.zsh or f"{given.prefix}/share/zsh/site-functions"
        where = path.format(prefix=given.prefix, units=given.units, zsh=zsh)
        target: Path = given.root / where.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        return target

    project = read_project()
    site = given.root / given.site.lstrip("/")
    package = site / "prowingen_wsgi"
    left_out = shutil.ignore_patterns("__pycache__", "*.so")
    shutil.copytree(ROOT / "prowingen_wsgi", package, ignore=left_out, dirs_exist_ok=True)
    shutil.copy(given.native, package)
    about = site / f"prowingen_wsgi-{project['version']}.dist-info"
    about.mkdir(exist_ok=True)
    for name, lines in (
        ("METADATA", metadata(project)),
        ("entry_points.txt", entry_points(project)),
    ):
        (about / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    command = place("{prefix}/bin/prowingen")
    command.write_text(COMMAND.format(python=given.python), encoding="utf-8")
    command.chmod(0o755)
    deployed = FOR_ALL if given.without_systemd else {**FOR_SYSTEMD, **FOR_ALL}
    for name, path in deployed.items():
        shutil.copy(ROOT / "deploy" / name, place(path))
    for path, (tool, *arguments) in GENERATED.items():
        call = [sys.executable, "-B", str(TOOLS / tool), *arguments, str(place(path))]
        subprocess.run(call, check=True)


def main() -> int:
    parser = argparse.ArgumentParser(description="Lays out a distribution's package.")
    parser.add_argument("--native", type=Path, required=True, help="the built extension module")
    parser.add_argument("--root", type=Path, required=True, help="below which everything goes")
    parser.add_argument("--site", required=True, help="where Python packages go")
    parser.add_argument("--python", default="/usr/bin/python3", help="what runs the command")
    parser.add_argument("--prefix", default="/usr", help="where programs and their pages go")
    parser.add_argument("--units", default="/usr/lib/systemd/system")
    parser.add_argument("--zsh", help="where zsh looks for completions (default: below the prefix)")
    parser.add_argument("--without-systemd", action="store_true", help="no units and what they use")
    stage(parser.parse_args())
    return 0


if __name__ == "__main__":
    sys.exit(main())
