"""A Debian of its own in a folder, to install packages in: by chroot, or booted by systemd-nspawn.

It shares the machine's network, so that a test is its client. Nothing of it is left at the end:
what it has mounted is unmounted, and its processes are ended, found by the root that they have.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "DEBIAN_FRONTEND": "noninteractive",
    "LC_ALL": "C.UTF-8",
    "HOME": "/root",
}
_PACKAGES = "ca-certificates,curl,dbus,logrotate,man-db,python3-flask,systemd-sysv"
_BOOT_TIME = 90.0


class DebianRoot:
    """folder: where it is."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._leader = 0  # process 1 of a booted one, as the machine numbers it

    # ---- files

    def path(self, inside: str) -> Path:
        return self.folder / inside.lstrip("/")

    def write(self, inside: str, text: str) -> None:
        path = self.path(inside)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    # ---- commands

    def command(self, *words: str) -> list[str]:
        """One that runs these in it."""
        if self._leader:
            enter = ["nsenter", "-t", str(self._leader), "-m", "-u", "-i", "-p", "-r", "-w"]
            return [*enter, "--", *words]
        return ["chroot", str(self.folder), *words]

    def run(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            self.command(*words),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=_ENVIRONMENT,
            check=False,
        )
        if check:
            assert done.returncode == 0, f"{shlex.join(words)}: {done.returncode}\n{done.stdout}"
        return done

    def output(self, *words: str) -> str:
        return self.run(*words).stdout.strip()

    def start(self, *words: str, environment: dict[str, str]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(*words),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**_ENVIRONMENT, **environment},
        )

    def install(self, packages: Path) -> None:
        """The .deb files of a folder, and what they need, by apt."""
        self.run("apt-get", "install", "-y", "--no-install-recommends", *self.bring(packages))

    def bring(self, packages: Path) -> list[str]:
        """Copies the .deb files of a folder into it; their paths there."""
        names = []
        for package in sorted(packages.glob("*.deb")):
            if "dbgsym" not in package.name:
                shutil.copy(package, self.path("/var/tmp"))
                names.append(f"/var/tmp/{package.name}")
        assert names, f"{packages} has no packages"
        return names

    # ---- life

    @contextmanager
    def booted(self) -> Iterator[None]:
        """With systemd as its process 1."""
        boot = ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--boot"]
        with tempfile.TemporaryFile("w+") as log:
            process = subprocess.Popen(
                [*boot, f"--directory={self.folder}"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
            try:
                self._leader = _process_1(process)
                states = ("running", "degraded")
                up = eventually(
                    lambda: (
                        self.run("systemctl", "is-system-running", check=False).stdout.strip()
                        in states
                    ),
                    _BOOT_TIME,
                )
                log.seek(0)
                assert up, f"systemd does not come up:\n{log.read()}"
                yield
            finally:
                leader, self._leader = self._leader, 0
                # As the kernel asks systemd to power off (systemd(1)); nspawn ends with it.
                with suppress(ProcessLookupError):
                    os.kill(leader or process.pid, signal.SIGRTMIN + 4)
                try:
                    process.wait(60)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()

    def _end_processes(self) -> None:
        for entry in Path("/proc").iterdir():
            with suppress(OSError):
                if entry.name.isdigit() and (entry / "root").readlink() == self.folder:
                    os.kill(int(entry.name), signal.SIGKILL)


def _process_1(process: subprocess.Popen[bytes]) -> int:
    """The one that is process 1 in what systemd-nspawn has made: not the first that it forks."""
    found: list[int] = []

    def is_there() -> bool:
        assert process.poll() is None, "systemd-nspawn has ended"
        listed = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
        for child in listed.split():
            with suppress(OSError):
                status = Path(f"/proc/{child}/status").read_text(encoding="utf-8")
                program = Path(f"/proc/{child}/exe").readlink().name
                if re.search(r"^NSpid:.*\t1$", status, re.MULTILINE) and program == "systemd":
                    found.append(int(child))
        return bool(found)

    assert eventually(is_there), "systemd-nspawn has started nothing"
    return found[0]


@contextmanager
def debian_root(mirror: str, archive: Path | None = None) -> Iterator[DebianRoot]:
    """One of Debian 12 with systemd and Flask, in a temporary folder.

    archive: a tar file of one that is taken instead of making one, and made if it is not there.
    """
    with tempfile.TemporaryDirectory(prefix="prowingen-root-", dir="/var/tmp") as name:
        folder = Path(name).resolve()
        folder.chmod(0o755)
        root = DebianRoot(folder)
        if archive is not None and archive.is_file():
            subprocess.run(["tar", "xf", str(archive), "-C", name, "--numeric-owner"], check=True)
        else:
            make = ["debootstrap", "--variant=minbase", f"--include={_PACKAGES}", "bookworm"]
            subprocess.run(
                [*make, name, *filter(None, [mirror])], check=True, stdout=subprocess.DEVNULL
            )
            if archive is not None:
                pack = ["tar", "cf", str(archive), "-C", name, "--numeric-owner", "."]
                subprocess.run(pack, check=True)
        shutil.copy("/etc/resolv.conf", root.path("/etc/resolv.conf"))
        subprocess.run(["mount", "-t", "proc", "proc", str(root.path("/proc"))], check=True)
        try:
            yield root
        finally:
            root._end_processes()
            for path in _mounts_below(folder):
                subprocess.run(["umount", path], check=True)


def _mounts_below(folder: Path) -> list[str]:
    """The innermost first."""
    table = Path("/proc/self/mounts").read_text(encoding="utf-8")
    points = re.findall(r"^\S+ (\S+)", table, re.MULTILINE)
    return [point for point in reversed(points) if point.startswith(f"{folder}/")]
