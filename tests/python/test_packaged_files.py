"""Every file that the server reads at run time, and every file that a package installs, is in the
packages: laid out by tools/stage_package.py, and named by Debian's and the RPM's lists of files.
"""

from __future__ import annotations

import re
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

from prowingen_wsgi import admin_page

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "prowingen_wsgi"
DEBIAN_SITE = "/usr/lib/python3/dist-packages"
RPM_MACROS = {
    "_bindir": "/usr/bin",
    "_mandir": "/usr/share/man",
    "_datadir": "/usr/share",
    "_unitdir": "/usr/lib/systemd/system",
    "_sysusersdir": "/usr/lib/sysusers.d",
    "_tmpfilesdir": "/usr/lib/tmpfiles.d",
    "_sysconfdir": "/etc",
    "python3_sitearch": "/usr/lib64/python3.11/site-packages",
}


def text(*path: str) -> str:
    return ROOT.joinpath(*path).read_text(encoding="utf-8")


def sources() -> set[str]:
    """The package's files, without what a build or an interpreter has put beside them."""
    return {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and path.suffix not in (".so", ".pyc")
    }


def staged(folder: Path, site: str) -> set[str]:
    """What tools/stage_package.py lays out; a native module stands in for one that was built."""
    native = folder / "_native.cpython.so"
    native.touch()
    root = folder / "root"
    command = [sys.executable, "-B", str(ROOT / "tools/stage_package.py"), "--native", str(native)]
    subprocess.run([*command, "--root", str(root), "--site", site], check=True)
    return {f"/{path.relative_to(root)}" for path in root.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def for_debian(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    return staged(tmp_path_factory.mktemp("debian"), DEBIAN_SITE)


@pytest.fixture(scope="module")
def for_rpm(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    return staged(tmp_path_factory.mktemp("rpm"), RPM_MACROS["python3_sitearch"])


def test_the_whole_package_is_laid_out(for_debian: set[str]) -> None:
    folder = f"{DEBIAN_SITE}/prowingen_wsgi/"
    laid_out = {path.removeprefix(folder) for path in for_debian if path.startswith(folder)}
    assert laid_out == sources() | {"_native.cpython.so"}
    assert "admin_page/page.html" in laid_out


def test_the_administrators_page_is_made_of_all_that_its_folder_has() -> None:
    pieces = {f"admin_page/script/{name}.js" for name in admin_page._PIECES}
    parts = {"admin_page/__init__.py", "admin_page/page.html", "admin_page/style.css"}
    assert pieces | parts == {name for name in sources() if name.startswith("admin_page/")}


def test_no_file_of_the_package_is_kept_out_of_a_source_distribution() -> None:
    """A wheel is made of what scikit-build-core takes: all but what .gitignore names."""
    if subprocess.run(["git", "rev-parse"], cwd=ROOT, capture_output=True, check=False).returncode:
        pytest.skip("this is no clone")
    names = "\n".join(sorted(f"prowingen_wsgi/{name}" for name in sources()))
    ignored = subprocess.run(
        ["git", "check-ignore", "--no-index", "--stdin"],
        cwd=ROOT,
        input=names,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ignored.stdout == ""


def test_debian_has_a_package_for_each_file(for_debian: set[str]) -> None:
    lists = sorted((ROOT / "packaging/debian").glob("*.install"))
    lines = [line for file in lists for line in file.read_text("utf-8").splitlines()]
    for path in for_debian:
        matched = [
            line
            for line in lines
            if fnmatch(path, f"/{line}") or fnmatch(path, f"/{line.rstrip('/')}/*")
        ]
        assert len(matched) == 1, f"{path}: {matched}"


def test_the_rpm_has_a_package_for_each_file(for_rpm: set[str]) -> None:
    spec = text("packaging", "rpm", "prowingen-wsgi.spec")
    lines = spec.partition("\n%files\n")[2].partition("\n%changelog")[0].splitlines()
    words = [line.split()[-1] for line in lines if line and not line.startswith("%dir")]
    patterns = [
        re.sub(r"%\{(\w+)\}", lambda found: RPM_MACROS.get(found[1], "*"), word) for word in words
    ]
    assert len(patterns) > 10, "the spec looks different from what this test reads"
    for path in for_rpm:
        # A manual page is compressed after it was laid out.
        matched = [each for each in patterns if fnmatch(path, each) or fnmatch(path, f"{each}/*")]
        assert matched, path
