"""Installs the Debian packages into a Debian 12 of their own, serves from them, upgrades them under
load, removes and purges them: first as in a container, without systemd as process 1, then booted.

    sudo .venv/bin/python tests/packages.py dist/debs [--root-archive FILE]

dist/debs is what `scripts/debs.sh --next` has made. Needs root, debootstrap and systemd-nspawn.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent / "engines"))

from harness.debian_root import DebianRoot, debian_root
from harness.load import under_load
from harness.packaged_app import ask, configure, free_port
from harness.packaged_units import try_units
from harness.reloading import connecting
from harness.unit_file import UnitFile
from harness.waiting import eventually
from harness.websocket_wire import WebSocketWire
from harness.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.wire import Address

FIRST_ANSWER = 2.0  # seconds
SITE = "/usr/lib/python3/dist-packages/prowingen_wsgi"


@contextmanager
def served_as_the_unit_says(root: DebianRoot, name: str) -> Iterator[tuple[UnitFile, int]]:
    """What systemd would do of prowingen@NAME.service, as far as a chroot lets it; the process."""
    unit = UnitFile(root.path("/lib/systemd/system/prowingen@.service"), name)
    user, group = unit.one("User"), unit.one("Group")
    state = f"/var/lib/{unit.one('StateDirectory')}"
    root.run("install", "-d", f"--owner={user}", f"--group={group}", "--mode=0750", state)
    assert unit.one("WorkingDirectory") == state
    become = ["setpriv", f"--reuid={user}", f"--regid={group}", "--init-groups"]
    here = ["env", f"--chdir={state}"]
    process = root.start(
        *become, *here, *unit.command("ExecStart"), environment={"STATE_DIRECTORY": state}
    )
    try:
        yield unit, process.pid
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0, process.communicate()[0]
    finally:
        process.kill()
        log = process.communicate()[0]
        if sys.exc_info()[0] is not None:
            print(log, file=sys.stderr)


def is_deleted(pid: int) -> bool:
    """Whether the process runs a native module that is no file any more."""
    lines = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8").splitlines()
    modules = [line for line in lines if "/_native." in line]
    assert modules, f"process {pid} has no native module"
    return all(line.endswith("(deleted)") for line in modules)


def workers_of(pid: int) -> set[str]:
    return set(Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split())


def try_install(root: DebianRoot, packages: Path) -> None:
    began = time.monotonic()
    root.install(packages)
    print(f"installed by apt in {time.monotonic() - began:.1f} s")
    code = (
        "import importlib.metadata as m; d = m.distribution('prowingen-wsgi'); "
        "print(d.version, sorted(e.name for e in d.entry_points))"
    )
    print("importlib.metadata:", root.output("python3", "-c", code))
    print(root.output("prowingen", "--version").replace("\n", "; "))
    assert root.output("id", "-un", "prowingen") == "prowingen"
    assert "prowingen adm 750" in root.output("stat", "-c%U %G %a", "/var/log/prowingen")
    for generated in ("bash-completion/completions/prowingen", "zsh/vendor-completions/_prowingen"):
        assert root.path(f"/usr/share/{generated}").is_file(), generated


def echo_by_all(address: Address) -> None:
    """WebSockets, by as many connections as it takes for either worker to have one."""
    for _ in range(8):
        with Wire(address) as fresh:
            assert WebSocketWire(fresh, "/echo").ask("fresh") == "fresh"


def try_upgrade(root: DebianRoot, packages: Path) -> None:
    """One process of the unit's, whose files are replaced while it serves."""
    port = free_port()
    address: Address = ("127.0.0.1", port)
    configure(root, "app", f"127.0.0.1:{port}")
    began = time.monotonic()
    with served_as_the_unit_says(root, "app") as (unit, pid):
        assert eventually(lambda: ask(port)), "nothing is served"
        passed = time.monotonic() - began
        print(f"first answer {passed:.2f} s after the start")
        assert passed < FIRST_ANSWER
        assert Path(f"/proc/{pid}").stat().st_uid == int(root.output("id", "-u", "prowingen"))
        assert eventually(lambda: len(workers_of(pid)) == 2)
        old = workers_of(pid)
        names = root.bring(packages / "next")
        with Wire(address) as kept, under_load(address) as load, connecting(address) as tally:
            before = WebSocketWire(kept, "/echo")
            assert before.ask("before") == "before"
            load.wait_for_answers(100)
            root.run("dpkg", "--install", *names)
            tally.wait_for_answers(100)
            assert is_deleted(pid)
            assert workers_of(pid) == old, "dpkg has replaced processes"
            # Another version's modules, where the running one would find them if it looked now.
            for module in root.path(SITE).rglob("*.py"):
                module.write_text('raise ImportError("another version")\n', encoding="utf-8")
            assert before.ask("after") == "after"
            echo_by_all(address)
            before.close()
            root.run(*unit.command("ExecReload", MAINPID=str(pid)))
            assert eventually(lambda: len(workers_of(pid)) == 2 and not workers_of(pid) & old)
            echo_by_all(address)
            root.run("dpkg", "--install", *names)
            load.wait_for_answers(100)
            tally.wait_for_answers(100)
        assert not load.failures, load.failures
        assert not tally.lost, tally.lost
        answered = load.answers.total() + tally.answered
        print(f"two upgrades and a reload under load: {answered} requests answered, none failed")


def try_no_workers(root: DebianRoot) -> None:
    """A reload of one process leaves it alone, and says so."""
    port = free_port()
    configure(root, "single", f"127.0.0.1:{port}", workers=0)
    with served_as_the_unit_says(root, "single") as (unit, pid):
        assert eventually(lambda: ask(port)), "nothing is served"
        refused = root.run(*unit.command("ExecReload", MAINPID=str(pid)), check=False)
        assert refused.returncode == 1
        assert "without workers" in refused.stdout, refused.stdout
        assert ask(port)
    print("reload without workers: refused, and goes on serving")


def try_removal(root: DebianRoot, packages: Path) -> None:
    names = ["prowingen-wsgi", "python3-prowingen-wsgi", "prowingen-wsgi-doc"]
    own = ["/etc/prowingen/README", "/etc/logrotate.d/prowingen"]
    root.run("apt-get", "remove", "-y", *names)
    assert not root.path(SITE).exists()
    assert not root.path("/usr/bin/prowingen").exists()
    assert all(root.path(each).is_file() for each in own), "remove keeps configuration"
    root.run("apt-get", "purge", "-y", *names)
    assert not any(root.path(each).exists() for each in own)
    assert root.path("/etc/prowingen/app.toml").is_file(), "a user's file"
    assert not root.path("/var/log/prowingen").exists()
    shutil.rmtree(root.path("/etc/prowingen"))
    root.install(packages)
    root.run("apt-get", "purge", "-y", *names)
    assert not root.path("/etc/prowingen").exists(), "nobody's file is in it"
    print("removed and purged: users' files stay, the packages' own are gone")


def main() -> int:
    parser = argparse.ArgumentParser(description="Tries the Debian packages.")
    parser.add_argument("packages", type=Path, help="what scripts/debs.sh --next has made")
    parser.add_argument(
        "--mirror", default="", help="where it comes from; else as debootstrap has it"
    )
    parser.add_argument("--root-archive", type=Path, help="a tar file to keep the Debian root in")
    given = parser.parse_args()
    if os.geteuid() != 0:
        parser.error("it needs root, for chroot and systemd-nspawn")
    for tool in ("debootstrap", "systemd-nspawn", "nsenter"):
        if shutil.which(tool) is None:
            parser.error(f"{tool} is missing: sudo apt-get install debootstrap systemd-container")
    with debian_root(given.mirror, given.root_archive) as root:
        try:
            try_install(root, given.packages)
            try_upgrade(root, given.packages)
            try_no_workers(root)
            try_removal(root, given.packages)
            try_units(root, given.packages)
        except subprocess.CalledProcessError as error:
            print(error, error.stderr, file=sys.stderr)
            raise
    print("the packages are sound")
    return 0


if __name__ == "__main__":
    sys.exit(main())
