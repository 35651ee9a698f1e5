"""What the server can do, done from within the unit's confinement: part of tests/packages.py.

A service may open neither what another user has nor make every system call, so each feature that
makes sockets or files, or that reads of other processes, is used once under the real systemd.
"""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from harness.admin_control import TOKEN, control, result_of
from harness.packaged_app import ask, configure, free_port
from harness.scraping import ask_admin, scrape
from harness.statsd_daemon import daemon
from harness.waiting import eventually
from harness.wire import Wire

if TYPE_CHECKING:
    from harness.debian_root import DebianRoot
    from harness.statsd_daemon import Daemon
    from harness.wire import Address

NAME = "full"
SOCKET = f"/run/prowingen/{NAME}/ctl.sock"
TOKEN_FILE = f"/etc/prowingen/{NAME}.token"
SPOOL = "/var/tmp"
LARGE = bytes(3 * 1024 * 1024)
TEXT = "A line that comes again and again\n" * 1000


def try_features(root: DebianRoot) -> None:
    """In a booted one, in which the packages are installed."""
    port, admin = free_port(), free_port()
    with TemporaryDirectory() as folder, daemon("udp", Path(folder)) as statsd:
        _configure(root, port, admin, statsd)
        unit = f"prowingen@{NAME}.service"
        started = root.run("systemctl", "start", unit, check=False)
        assert started.returncode == 0, root.output("journalctl", "-u", unit)
        assert ask(port), root.output("journalctl", "-u", unit)
        _try_answers(("127.0.0.1", port))
        _try_spool(root, ("127.0.0.1", port))
        _try_control_socket(root)
        _try_administrators(("127.0.0.1", admin))
        # Each worker pushes its own, and is new since the reload.
        assert ask(port)
        pushed = statsd.wait_for(lambda now: now.sum("prowingen.requests"))
        print(f"statsd: {len(pushed.datagrams)} datagrams came")
        journal = root.output("journalctl", "-u", unit, "--output=cat")
        assert "Traceback" not in journal, journal
        root.run("systemctl", "stop", unit)
        assert not root.path(SOCKET).exists()


def _configure(root: DebianRoot, port: int, admin: int, statsd: Daemon) -> None:
    root.write("/srv/app/static/page.txt", TEXT)
    root.write(TOKEN_FILE, f"{TOKEN}\n")
    root.run("chown", "root:prowingen", TOKEN_FILE)
    root.run("chmod", "0640", TOKEN_FILE)
    configure(
        root,
        NAME,
        f"127.0.0.1:{port}",
        f'control_socket = "{SOCKET}"',
        f'admin_bind = "127.0.0.1:{admin}"',
        f'admin_token_file = "{TOKEN_FILE}"',
        f'statsd = "{statsd.address}"',
        "statsd_interval = 0.2",
        f'spool_dir = "{SPOOL}"',
        'static = "/static=/srv/app/static"',
        "compress = true",
        'response_cache = "8MiB"',
        "request_timeout = 20",
    )


def _try_answers(address: Address) -> None:
    with Wire(address) as wire:
        assert wire.ask("/static/page.txt", "Accept-Encoding: identity").text == TEXT
    print("static files are served")


def _try_spool(root: DebianRoot, address: Address) -> None:
    """A body without a length waits in a file of the service's own folder until it is whole."""
    with Wire(address, timeout=30) as wire:
        wire.send(b"POST /size HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        wire.send(b"%x\r\n" % len(LARGE) + LARGE + b"\r\n")
        # Of the service, whose processes it is one of.
        find = f"readlink /proc/[0-9]*/fd/* 2>/dev/null | grep '^{SPOOL}/.*(deleted)'"
        assert eventually(lambda: root.run("sh", "-c", find, check=False).stdout), "no file"
        wire.send(b"0\r\n\r\n")
        assert wire.response("POST").text == str(len(LARGE))
    print("a large body is spooled")


def _ctl(root: DebianRoot, *arguments: str, user: str = "root") -> dict[str, Any]:
    command = ["prowingen", "ctl", "--socket", SOCKET, *arguments, "--json"]
    said = root.run("setpriv", f"--reuid={user}", "--clear-groups", *command)
    last: dict[str, Any] = json.loads(said.stdout.splitlines()[-1])
    assert last["ok"], last
    result: dict[str, Any] = last["result"]
    return result


def _try_control_socket(root: DebianRoot) -> None:
    assert root.output("stat", "-c%U %a", SOCKET) == "prowingen 600"
    assert _ctl(root, "status", user="prowingen")["state"] == "serving"
    before = _ctl(root, "workers")["workers"]
    assert len(before) == 2
    assert all(worker["rss_bytes"] > 1024 * 1024 for worker in before), before
    stacks = _ctl(root, "stacks")["workers"]
    assert len(stacks) == 2
    assert all(worker["threads"] for worker in stacks), stacks
    _ctl(root, "log-level", "debug")
    _ctl(root, "reload", "--wait")
    after = _ctl(root, "workers")["workers"]
    new = {each["pid"] for each in after if each["state"] == "ready"}
    assert len(new - {each["pid"] for each in before}) == 2, after
    refused = root.run(
        *("setpriv", "--reuid=nobody", "--clear-groups"),
        *("prowingen", "ctl", "--socket", SOCKET, "status"),
        check=False,
    )
    assert refused.returncode == 1, refused.stdout
    print("the control socket answers root and the service's user, and nobody else")


def _try_administrators(address: Address) -> None:
    page = ask_admin(address, "/-/")
    assert page.status == 200
    assert '<script type="module">' in page.text
    assert scrape(address).families
    assert ask_admin(address, "/-/ready").status == 200
    assert result_of(control(address, "status"))["state"] == "serving"
    print("administrators have their page, the figures, and the token's commands")
