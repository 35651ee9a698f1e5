"""Makes a wheel that needs nothing but its Python: repair_wheel.py WHEEL FOLDER.

auditwheel (on macOS delocate) copies the libraries that the native module is linked with into the
wheel, each under a name of its own, so that no other copy in the process is taken for it. Here
their licences are added, and those of the headers that were compiled in, from where the system that
they came from keeps them: in `dist-info/licenses/bundled`, and named in the metadata (PEP 639).

Both release builds and `nox -s wheels` go this way. A library whose licence is not known here is an
error: somebody has to look at it before it is given away.
"""

from __future__ import annotations

import argparse
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

OWN_LICENSE = "BSD-3-Clause"
COMMON_LICENSES = Path("/usr/share/common-licenses")  # Debian's, which its files refer to
HOMEBREWS_NAMES = ("LICENSE*", "COPYING*")  # as projects call the file, which is kept so


class RepairError(Exception):
    """Ends the program with one line."""


@dataclass(frozen=True)
class Project:
    """What a wheel may have of somebody else's.

    libraries: the names that its files begin with; none if only its headers are compiled in.
    package: Debian's, or a pattern of it, for /usr/share/doc/<package>/copyright.
    formula: Homebrew's.
    paragraph: words of the licence itself, where Debian's file says more than a wheel should hold.
    """

    name: str
    license: str
    libraries: tuple[str, ...]
    package: str
    formula: str = ""
    paragraph: str = ""

    def is_in(self, bundled: list[str]) -> bool:
        return not self.libraries or any(name.startswith(self.libraries) for name in bundled)


PROJECTS = (
    Project("openssl", "Apache-2.0", ("libssl", "libcrypto"), "libssl3*", "openssl"),
    Project("nghttp2", "MIT", ("libnghttp2",), "libnghttp2-14", "libnghttp2"),
    Project("zlib", "Zlib", ("libz.", "libz-"), "zlib1g", "zlib"),
    Project("brotli", "MIT", ("libbrotli",), "libbrotli1", "brotli"),
    Project("libzstd", "BSD-3-Clause", ("libzstd",), "libzstd1", "zstd"),
    Project("libdeflate", "MIT", ("libdeflate",), "libdeflate0", "libdeflate"),
    # Debian's file is 2 MB, of everything that Boost has; its headers are all under this licence.
    Project("boost", "BSL-1.0", (), "libboost1.*-dev", "boost", "Boost Software License - Version"),
    Project("pybind11", "BSD-3-Clause", (), ""),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("wheel", type=Path)
    parser.add_argument("folder", type=Path, help="where the new wheel goes")
    arguments = parser.parse_args()
    try:
        repair(arguments.wheel.absolute(), arguments.folder.absolute())
    except RepairError as error:
        sys.exit(f"repair_wheel.py: {error}")


def repair(wheel: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        if platform.system() == "Darwin":
            run("delocate-wheel", "-w", str(work / "repaired"), str(wheel))
        else:
            run("auditwheel", "repair", "-w", str(work / "repaired"), str(wheel))
        (repaired,) = (work / "repaired").glob("*.whl")
        run(sys.executable, "-m", "wheel", "unpack", "--dest", str(work), str(repaired))
        (tree,) = (path.parent for path in work.glob("*/*.dist-info"))
        add_licenses(tree)
        run(sys.executable, "-m", "wheel", "pack", "--dest-dir", str(folder), str(tree))


def run(*command: str) -> None:
    try:
        subprocess.run(command, check=True)
    except FileNotFoundError:
        raise RepairError(f"{command[0]} is not there; install it with pip") from None
    except subprocess.CalledProcessError as error:
        raise RepairError(f"{' '.join(command)} ended with status {error.returncode}") from None


def add_licenses(tree: Path) -> None:
    """tree: the unpacked wheel."""
    bundled = sorted(path.name for path in bundled_libraries(tree))
    known = tuple(name for project in PROJECTS for name in project.libraries)
    for library in bundled:
        if not library.startswith(known):
            raise RepairError(
                f"{library} would be in the wheel, and its licence is not known: add it to PROJECTS"
            )
    (info,) = tree.glob("*.dist-info")
    files: list[str] = []
    licenses = {OWN_LICENSE: None}
    for project in PROJECTS:
        if not project.is_in(bundled):
            continue
        licenses[project.license] = None
        for name, text in license_texts(project):
            file = Path("bundled") / project.name / name
            target = info / "licenses" / file
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
            files.append(file.as_posix())
    declare(info / "METADATA", " AND ".join(licenses), files)


def bundled_libraries(tree: Path) -> Iterator[Path]:
    for folder in (*tree.glob("*.libs"), *tree.glob("*/.dylibs")):
        yield from folder.iterdir()


def license_texts(project: Project) -> list[tuple[str, str]]:
    """Names and contents of the files that say under what the project may be given away."""
    texts = [(path.name, path.read_text("utf-8")) for path in license_files(project)]
    if not texts:
        raise RepairError(
            f"no licence of {project.name} was found, neither in /usr/local/share/licenses/"
            f"{project.name}, /usr/share/doc/{project.package} and /usr/share/licenses nor among "
            "Homebrew's or Python's packages"
        )
    if project.paragraph and texts[0][0] == "copyright":
        texts = [("copyright", paragraph_of(texts[0][1], project.paragraph))]
    common = COMMON_LICENSES / project.license
    if common.exists() and any(str(common) in text for _, text in texts):
        texts.append((common.name, common.read_text("utf-8")))
    return texts


def license_files(project: Project) -> list[Path]:
    # What wheel_libraries.sh has built comes first, then the system's.
    folders = [Path("/usr/local/share/licenses") / project.name]
    folders += sorted(Path("/usr/share/licenses").glob(f"{project.name}*"))
    for folder in folders[:1]:
        if folder.is_dir():
            return sorted(folder.iterdir())
    if project.package:
        debian = sorted(Path("/usr/share/doc").glob(f"{project.package}/copyright"))
        if debian:
            return debian[-1:]
    for folder in folders[1:]:
        if files := sorted(path for path in folder.iterdir() if path.is_file()):
            return files
    if project.formula and shutil.which("brew"):
        found = subprocess.run(
            ["brew", "--prefix", project.formula], capture_output=True, text=True, check=False
        )
        keg = Path(found.stdout.strip())
        if files := sorted(file for name in HOMEBREWS_NAMES for file in keg.glob(name)):
            return files
    return list(python_license_files(project.name))


def python_license_files(name: str) -> Iterator[Path]:
    try:
        files = metadata.files(name) or []
    except metadata.PackageNotFoundError:
        return
    for file in files:
        if ".dist-info/licenses/" in str(file):
            yield Path(str(file.locate()))


def paragraph_of(text: str, words: str) -> str:
    """The paragraph of a file in Debian's format that has these words in it."""
    for paragraph in re.split(r"\n\n(?=\S)", text):
        if words in paragraph:
            return paragraph + "\n"
    raise RepairError(f'"{words}" is not in what Debian says of its licence')


def declare(file: Path, expression: str, licenses: list[str]) -> None:
    """Names the licences of what is in the wheel in its metadata."""
    head, blank, readme = file.read_text("utf-8").partition("\n\n")
    lines = []
    for line in head.split("\n"):
        if line.startswith("License-Expression:"):
            lines.append(f"License-Expression: {expression}")
            continue
        lines.append(line)
        if line.startswith("License-File:"):
            lines += [f"License-File: {name}" for name in licenses]
            licenses = []
    if licenses:
        raise RepairError(f"{file.name} has no field License-File to put further ones behind")
    file.write_text("\n".join(lines) + blank + readme, encoding="utf-8")


if __name__ == "__main__":
    main()
