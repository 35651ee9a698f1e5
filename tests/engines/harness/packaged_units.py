"""The packages' units under a real systemd, booted in a container: part of tests/packages.py."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from harness.load import under_load
from harness.packaged_app import ask, configure, free_port
from harness.packaged_features import NAME as FULL
from harness.packaged_features import try_features
from harness.reloading import connecting
from harness.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from harness.debian_root import DebianRoot

# By name: two of TCP, whose sockets are the server's and systemd's, and one of a Unix socket.
OWN, PASSED, LOCAL = "own", "passed", "local"


def try_units(root: DebianRoot, packages: Path) -> None:
    root.install(packages)
    with root.booted():
        print("booted:", root.output("systemctl", "--version").splitlines()[0])
        own, passed = free_port(), free_port()
        configure(root, OWN, f"127.0.0.1:{own}")
        configure(root, PASSED, "systemd")
        configure(root, LOCAL, "systemd:web", workers=0)
        _try_start(root, own)
        _try_sockets(root, passed)
        _try_reload(root, own)
        _try_crash(root, own)
        try_features(root)
        _try_rotation(root, own)
        _try_upgrade(root, packages, own, passed)
        _try_removal(root, own)


def _main_pid(root: DebianRoot, name: str) -> str:
    return root.output("systemctl", "show", "--property=MainPID", "--value", f"prowingen@{name}")


def _try_start(root: DebianRoot, port: int) -> None:
    units = [f"prowingen@{OWN}.service", f"prowingen@{OWN}.socket"]
    verified = root.output("systemd-analyze", "verify", *units)
    assert "prowingen" not in verified, verified
    print(root.output("systemd-analyze", "--no-pager", "security", units[0]).splitlines()[-1])
    began = time.monotonic()
    root.run("systemctl", "enable", "--now", f"prowingen@{OWN}")
    # Type=notify: when systemctl returns, it serves.
    assert ask(port), root.output("journalctl", "-u", f"prowingen@{OWN}")
    print(f"systemctl enable --now, to the first answer: {time.monotonic() - began:.2f} s")
    status = root.output("systemctl", "show", "--property=StatusText", f"prowingen@{OWN}")
    assert status == "StatusText=serving by 2 workers", status


def _try_sockets(root: DebianRoot, port: int) -> None:
    """The first connection starts the service."""
    folder = f"/etc/systemd/system/prowingen@{PASSED}.socket.d"
    root.run("mkdir", "-p", folder)
    drop_in = f"[Socket]\nListenStream=\nListenStream=127.0.0.1:{port}\n"
    root.run("sh", "-c", f'printf "%s" "$0" > {folder}/port.conf', drop_in)
    root.run("systemctl", "daemon-reload")
    for name in (PASSED, LOCAL):
        root.run("systemctl", "enable", "--now", f"prowingen@{name}.socket")
        assert _main_pid(root, name) == "0"
    assert ask(port), root.output("journalctl", "-u", f"prowingen@{PASSED}")
    local = f"/run/prowingen/{LOCAL}.sock"
    answer = root.output("curl", "--silent", "--fail", "--unix-socket", local, "http://localhost/")
    assert answer == _main_pid(root, LOCAL)
    assert root.output("stat", "-c%U %G %a", local) == "prowingen www-data 660"
    refused = root.run("systemctl", "reload", f"prowingen@{LOCAL}", check=False)
    assert refused.returncode != 0
    assert _main_pid(root, LOCAL) == answer, "a refused reload has ended it"
    print("socket activation: by TCP and by a Unix socket")


def _try_reload(root: DebianRoot, port: int) -> None:
    main = _main_pid(root, OWN)
    with under_load(("127.0.0.1", port)) as load, connecting(("127.0.0.1", port)) as tally:
        load.wait_for_answers(100)
        before = set(load.answers)
        root.run("systemctl", "reload", f"prowingen@{OWN}")
        assert eventually(lambda: len(set(load.answers) - before) == 2), "no new workers"
        tally.wait_for_answers(100)
    assert not load.failures, load.failures
    assert not tally.lost, tally.lost
    assert _main_pid(root, OWN) == main
    print(f"systemctl reload: {load.answers.total() + tally.answered} requests, none failed")


def _try_crash(root: DebianRoot, port: int) -> None:
    main = _main_pid(root, OWN)
    root.run("systemctl", "kill", "--signal=KILL", "--kill-whom=main", f"prowingen@{OWN}")
    assert eventually(lambda: _main_pid(root, OWN) not in ("0", main)), "it is not restarted"
    assert eventually(lambda: ask(port))
    print("killed: restarted by systemd")


def _try_rotation(root: DebianRoot, port: int) -> None:
    log = root.path(f"/var/log/prowingen/{OWN}.log")
    assert ask(port)
    assert eventually(lambda: log.stat().st_size), "no access log"
    assert root.output("stat", "-c%U %a", f"/var/log/prowingen/{OWN}.log") == "prowingen 640"
    root.run("logrotate", "--force", "/etc/logrotate.d/prowingen")
    rotated = root.path(f"/var/log/prowingen/{OWN}.log.1")
    assert rotated.is_file()
    assert root.output("stat", "-c%U %G %a", f"/var/log/prowingen/{OWN}.log") == "prowingen adm 640"

    def is_reopened() -> bool:
        ask(port)
        return log.stat().st_size > 0

    assert eventually(is_reopened), "the log was not opened anew"
    print("logrotate: the log is opened anew")


def _try_upgrade(root: DebianRoot, packages: Path, own: int, passed: int) -> None:
    mains = {name: _main_pid(root, name) for name in (OWN, PASSED)}
    names = root.bring(packages / "next")
    with (
        under_load(("127.0.0.1", own)) as load,
        connecting(("127.0.0.1", own)) as to_own,
        connecting(("127.0.0.1", passed)) as to_passed,
    ):
        load.wait_for_answers(100)
        before = set(load.answers)
        said = root.run("dpkg", "--install", *names).stdout
        assert eventually(lambda: len(set(load.answers) - before) == 2), said
        to_own.wait_for_answers(100)
        to_passed.wait_for_answers(100)
    assert not load.failures, load.failures
    assert not to_own.lost, to_own.lost
    assert not to_passed.lost, to_passed.lost
    assert _main_pid(root, OWN) == mains[OWN], said
    assert f"systemctl restart prowingen@{OWN}.service" in said, said
    assert _main_pid(root, PASSED) not in ("0", mains[PASSED]), said
    answered = load.answers.total() + to_own.answered + to_passed.answered
    print(f"dpkg --install of the next version: {answered} requests, none failed")


def _try_removal(root: DebianRoot, port: int) -> None:
    root.run("apt-get", "purge", "-y", "prowingen-wsgi")
    assert not ask(port)
    for name in (OWN, PASSED, LOCAL, FULL):
        state = root.run("systemctl", "is-active", f"prowingen@{name}", check=False).stdout
        assert state.strip() != "active", name
    links = root.output("find", "/etc/systemd/system", "-name", "prowingen@*.service")
    assert not links, links
    print("purged: services are stopped, and no longer enabled")
