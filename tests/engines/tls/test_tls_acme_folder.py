"""HTTPS: the folder of certificates that an authority issues: whose it is, and who may touch it."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from prowingen_wsgi.acme_folder import AcmeFolder

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "www.example.test"
SOMEBODY = 65534

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


@pytest.fixture
def folder(tmp_path: Path) -> AcmeFolder:
    folder = AcmeFolder(tmp_path / "acme")
    folder.prepare([NAME])
    return folder


# ---------------------------------------------------------------------------- who asks


def run(code: str) -> str:
    """What a process prints."""
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=20
    ).stdout


def test_two_processes_do_not_ask_at_once(folder: AcmeFolder) -> None:
    asks = f"""
from pathlib import Path
from prowingen_wsgi.acme_folder import AcmeFolder
with AcmeFolder(Path({str(folder.path)!r})).lock() as mine:
    print(mine)
"""
    with folder.lock() as mine:
        assert mine
        assert run(asks) == "False\n"
    assert run(asks) == "True\n"


def test_two_servers_of_one_process_do_not_ask_at_once(folder: AcmeFolder, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder.path)
    others = [AcmeFolder(folder.path), AcmeFolder(tmp_path / "link")]
    with folder.lock() as mine:
        assert mine
        for other in others:
            with other.lock() as taken:
                assert not taken
        (folder.path / "challenges" / "token").write_text("the answer")
        for other in others:
            with other.lock() as taken:
                assert not taken
        assert (folder.path / "challenges" / "token").exists(), "it is for who has the lock"
    for each in [folder, *others]:
        with each.lock() as mine:
            assert mine


def test_what_somebody_has_left_who_was_killed_goes_with_the_next_lock(folder: AcmeFolder) -> None:
    """Keys are in it."""
    challenges, certificates = folder.path / "challenges", folder.path / "certificates"
    left = [
        *(challenges / f"{NAME}.pem", challenges / "token", challenges / ".half"),
        *(certificates / ".half", folder.path / ".half"),
    ]
    for each in left:
        each.write_text("a key")
        os.utime(each, (0, 0))
    fresh = certificates / ".begun"
    fresh.write_text("of a server that starts")
    with folder.lock() as mine:
        assert mine
        assert [each for each in left if each.exists()] == []
    assert fresh.exists()
    assert folder.certificate_file(NAME).exists()


def test_a_lock_that_others_could_read_is_theirs_no_more(folder: AcmeFolder) -> None:
    (folder.path / "lock").touch(mode=0o644)
    with folder.lock():
        assert stat.S_IMODE((folder.path / "lock").stat().st_mode) == 0o600


# ---------------------------------------------------------------------------- whose it is


@pytest.fixture
def place() -> Iterator[Path]:
    """One that others get to."""
    with TemporaryDirectory(dir="/tmp") as name:
        path = Path(name)
        path.chmod(0o755)
        yield path


def prepared(folder: Path, umask: int = 0o022) -> str:
    """By root, for somebody else; what is wrong with it."""
    return run(f"""
import os
from pathlib import Path
from prowingen_wsgi import ConfigError
from prowingen_wsgi.acme_folder import AcmeFolder
from prowingen_wsgi.processes.acme_files import prepare_as
from prowingen_wsgi.processes.privileges import Identity
os.umask({umask})
try:
    somebody = Identity({SOMEBODY}, {SOMEBODY}, None, None)
    prepare_as(somebody, AcmeFolder(Path({str(folder)!r})), [{NAME!r}])
except ConfigError as error:
    print(error)
""")


@needs_root
def test_what_is_missing_is_made_for_who_serves_whatever_the_umask_is(place: Path) -> None:
    folder = place / "lib" / "prowingen" / "acme"
    assert prepared(folder, umask=0o077) == ""
    for each in (folder.parent, folder.parent.parent):
        found = each.stat()
        assert (found.st_uid, stat.S_IMODE(found.st_mode)) == (0, 0o755)
    for each in (folder, *folder.rglob("*")):
        found = each.stat()
        assert (found.st_uid, found.st_gid) == (SOMEBODY, SOMEBODY)
        assert stat.S_IMODE(found.st_mode) & 0o077 == 0
    assert prepared(folder) == "", "the next time"


@needs_root
def test_it_may_be_made_where_who_serves_is_at_home(place: Path) -> None:
    os.chown(place, SOMEBODY, SOMEBODY)
    folder = place / "state" / "acme"
    assert prepared(folder) == ""
    for each in (folder.parent, folder, folder / "certificates" / f"{NAME}.pem"):
        assert each.stat().st_uid == SOMEBODY


@needs_root
@pytest.mark.parametrize("part", ["certificates", "challenges"])
def test_a_part_that_leads_elsewhere_is_refused(place: Path, part: str) -> None:
    folder, of_root = place / "acme", place / "of_root"
    of_root.mkdir()
    folder.mkdir()
    (folder / part).symlink_to(of_root)
    for each in (folder, folder / part):
        os.chown(each, SOMEBODY, SOMEBODY, follow_symlinks=False)
    assert prepared(folder) == (
        f'acme_folder: "{folder / part}": it has to be a folder, and no link to one\n'
    )
    assert list(of_root.iterdir()) == []


@needs_root
def test_a_part_of_somebody_elses_is_refused(place: Path) -> None:
    folder = place / "acme"
    (folder / "certificates").mkdir(parents=True)
    os.chown(folder, SOMEBODY, SOMEBODY)
    assert "it belongs to the user number 0, and has to be that of" in prepared(folder)


@needs_root
def test_nobody_has_a_folder_made_for_him_where_he_may_make_none(place: Path) -> None:
    """Through a link of his own."""
    home, of_root = place / "home", place / "of_root"
    for each in (home, of_root):
        each.mkdir()
    (home / "state").symlink_to(of_root)
    for each in (home, home / "state"):
        os.chown(each, SOMEBODY, SOMEBODY, follow_symlinks=False)
    place.chmod(0o1777)
    (place / "link").symlink_to(of_root)
    os.chown(place / "link", SOMEBODY, SOMEBODY, follow_symlinks=False)
    for each in (home / "state", place / "link"):
        assert prepared(each / "acme").endswith(": Permission denied\n")
    assert list(of_root.iterdir()) == []


@needs_root
def test_a_link_of_roots_is_followed(place: Path) -> None:
    elsewhere = place / "elsewhere"
    elsewhere.mkdir()
    (place / "lib").symlink_to("elsewhere")
    assert prepared(place / "lib" / "acme") == ""
    assert (elsewhere / "acme" / "certificates" / f"{NAME}.pem").stat().st_uid == SOMEBODY
