"""The socket's file: who can open it, who gets the path, and who removes it."""

from __future__ import annotations

import fcntl
import os
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from prowingen_wsgi import originals
from prowingen_wsgi.control import socket_file
from prowingen_wsgi.control.socket_file import MOST_PATH, ControlSocket, ControlSocketError


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_its_mode_is_0600_whatever_the_mask(tmp_path: Path, mask: int) -> None:
    path = tmp_path / "s"
    before = os.umask(mask)
    try:
        control = ControlSocket(str(path))
        assert mode_of(path) == 0o600
        assert os.umask(mask) == mask, "the process's mask is another's affair"
        control.close()
    finally:
        os.umask(before)


@pytest.mark.skipif(sys.platform != "linux", reason="the mask is changed there for a moment")
def test_it_is_never_more_than_that_for_a_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    listen = originals.socket.socket.listen

    def looking(self: socket.socket, backlog: int) -> None:
        seen.append(mode_of(tmp_path / "s"))  # it is bound, and nothing has been done to it since
        listen(self, backlog)

    monkeypatch.setattr(originals.socket.socket, "listen", looking)
    before = os.umask(0)
    try:
        ControlSocket(str(tmp_path / "s")).close()
    finally:
        os.umask(before)
    assert seen == [0o600]


def test_one_that_listens_keeps_its_path(tmp_path: Path) -> None:
    path = tmp_path / "s"
    first = ControlSocket(str(path))
    with pytest.raises(ControlSocketError, match=f"{path}: another server listens on it"):
        ControlSocket(str(path))
    first.close()
    assert not path.exists()
    first.close()  # idempotent


def test_one_that_nobody_listens_on_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(path))
    ControlSocket(str(path)).close()


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_what_is_no_socket_stays(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "s"
    if kind == "file":
        path.write_text("precious")
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ControlSocketError, match="a file that is not a socket is in the way"):
        ControlSocket(str(path))
    assert path.lstat()


def test_a_file_that_is_another_s_by_now_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "s"
    first = ControlSocket(str(path))
    path.unlink()  # by somebody who tidies up
    second = ControlSocket(str(path))
    first.close()
    assert path.exists()
    second.close()
    assert not path.exists()


def test_a_child_does_not_remove_it(tmp_path: Path) -> None:
    path = tmp_path / "s"
    control = ControlSocket(str(path))
    child = os.fork()
    if child == 0:
        control.close()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert path.exists()
    control.close()


def test_a_path_too_long_for_the_kernel_is_a_clear_error(tmp_path: Path) -> None:
    longest = tmp_path / ("x" * (MOST_PATH - len(os.fsencode(tmp_path)) - 1))
    ControlSocket(str(longest)).close()
    with pytest.raises(ControlSocketError, match=f"a socket's path has {MOST_PATH} octets at most"):
        ControlSocket(f"{longest}x")


def test_a_folder_that_is_not_there_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ControlSocketError, match=r"control_socket: .*/none/s: No such file"):
        ControlSocket(str(tmp_path / "none/s"))


def test_a_folder_that_stays_locked_is_a_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket_file, "_LOCK_TIME", 0.05)
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        with pytest.raises(ControlSocketError, match="keeps its folder locked"):
            ControlSocket(str(tmp_path / "s"))
    finally:
        os.close(folder)


STARTER = """
import sys
from prowingen_wsgi.control.socket_file import ControlSocket, ControlSocketError
sys.stdin.readline()
try:
    control = ControlSocket(sys.argv[1])
except ControlSocketError:
    print("refused", flush=True)
else:
    print("listens", flush=True)
sys.stdin.readline()
"""


def test_of_servers_that_start_at_once_on_a_stale_path_one_gets_it(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(path))
    starters = [
        subprocess.Popen(
            [sys.executable, "-c", STARTER, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
            text=True,
        )
        for _ in range(4)
    ]
    try:
        barrier = threading.Barrier(len(starters))
        said: list[str] = []

        def start(process: subprocess.Popen[str]) -> None:
            assert process.stdin is not None
            assert process.stdout is not None
            barrier.wait()
            process.stdin.write("go\n")
            process.stdin.flush()
            said.append(process.stdout.readline().strip())

        threads = [threading.Thread(target=start, args=(each,)) for each in starters]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert sorted(said) == ["listens", "refused", "refused", "refused"]
    finally:
        for process in starters:
            process.kill()
            process.communicate()
