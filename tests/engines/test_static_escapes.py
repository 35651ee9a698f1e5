"""No path, link or rename leads out of a mount, and none to what is hidden in it."""

from __future__ import annotations

import os
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from harness.apps import Environ, StartResponse
    from harness.logwatch import LogWatch
    from harness.site import ServeFixture, Site

SECRET = b"secret"
SHOWN = b"shown"


def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    start_response("404 Not Found", [("Content-Length", "11")])
    return [b"application"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """`static`, with a secret in each place that is not to be shown."""
    folder = tmp_path / "static"
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / ".git").mkdir()
    (folder / ".well-known").mkdir()
    (folder / "deep" / ".well-known").mkdir()
    for name in (
        "../secret.txt",
        "../static-other.txt",
        ".env",
        ".git/config",
        "deep/.htpasswd",
        "deep/.well-known/x",
    ):
        (folder / name).write_bytes(SECRET)
    for name in ("shown.txt", "deep/shown.txt", "deep/er/shown.txt", ".well-known/security.txt"):
        (folder / name).write_bytes(SHOWN)
    return folder


@pytest.fixture
def site(serve: ServeFixture, folder: Path) -> Site:
    return serve(app, static=f"/static={folder}")


def climbs() -> Iterator[str]:
    ups = [
        "..",
        "%2e%2e",
        ".%2e",
        "%2E.",
        "..;",
        "..;/x",
        "..%00",
        "..%3b",
        "%252e%252e",
        "..%c2%a0",
    ]
    slashes = ["/", "//", "%2f", "%2F", "%5c", "/./", "%252f", ";/", "%00/"]
    for up in ups:
        for slash in slashes:
            for depth in (1, 2, 8):
                climb = (up + slash) * depth
                yield f"/static/{climb}secret.txt"
                yield f"/static/deep/{climb}{up}{slash}secret.txt"
                yield f"/static{slash}{climb}etc/passwd"
                yield f"/static/shown.txt/{climb}secret.txt"


HIDDEN = [
    "/static/.env",
    "/static/%2eenv",
    "/static/.git/config",
    "/static/deep/.htpasswd",
    "/static/deep/.well-known/x",
    "/static/.env%00.txt",
    "/static/.",
    "/static/./.env",
    "/static/..",
    "/static/deep/..",
    "/static-other.txt",
    "/static../secret.txt",
    "/static..%2fsecret.txt",
    "//static/../secret.txt",
    "/static//etc/passwd",
    "/static//shown.txt",
    "/static/shown.txt/",
    "/static/shown.txt%00",
    "/static/%2fetc%2fpasswd",
    "/static/" + "a" * 300,
    "/static/" + "a/" * 2500 + "b",
    "/static/\\..\\secret.txt",
    "/static/%ff%fe",
    "/static/%c0%ae%c0%ae/secret.txt",
]


def test_no_path_leads_out_or_to_what_is_hidden(site: Site) -> None:
    """Each is the application's, or refused; none is a file."""
    targets = [*HIDDEN, *climbs()]
    assert len(targets) > 1000
    for at in range(0, len(targets), 100):
        with site.connect() as wire:
            for target in targets[at : at + 100]:
                answer = wire.ask(target)
                assert answer.status in (400, 404), target
                assert SECRET not in answer.body, target
                assert b"root:" not in answer.body, target
                if answer.closes or answer.status == 400:
                    break
    assert site.server.stats()["static_files"] == 0


@pytest.mark.parametrize(
    "target",
    [
        "shown.txt",
        "deep/shown.txt",
        "deep/er/shown.txt",
        "deep%2fshown.txt",
        ".well-known/security.txt",
    ],
)
def test_what_is_to_be_shown_is(site: Site, target: str) -> None:
    assert site.ask(f"/static/{target}").body == SHOWN


def test_a_link_leads_where_it_stays_inside(site: Site, folder: Path) -> None:
    (folder / "inside.txt").symlink_to("deep/shown.txt")
    (folder / "deep" / "up.txt").symlink_to("../shown.txt")
    (folder / "elsewhere").symlink_to("deep")
    for name in ("inside.txt", "deep/up.txt", "elsewhere/shown.txt"):
        assert site.ask(f"/static/{name}").body == SHOWN, name


def test_no_link_leads_out(site: Site, folder: Path) -> None:
    (folder / "out.txt").symlink_to("../secret.txt")
    (folder / "absolute.txt").symlink_to(folder.parent / "secret.txt")
    (folder / "outside").symlink_to("..")
    (folder / "root").symlink_to("/")
    (folder / "self").symlink_to("self")
    (folder / "through.txt").symlink_to("outside/secret.txt")
    (folder / "process").symlink_to("/proc/self/cwd")
    for name in (
        "out.txt",
        "absolute.txt",
        "outside/secret.txt",
        "root/etc/passwd",
        "self",
        "through.txt",
        "process/setup.py",
        "outside",
        "outside/static/shown.txt",
    ):
        assert site.ask(f"/static/{name}").text == "application", name


def test_what_is_no_file_is_left_alone(site: Site, folder: Path) -> None:
    """Whoever opens a pipe may wait for ever."""
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.path.relpath(folder / "socket"))
        for name in ("pipe", "socket", "deep"):
            assert site.ask(f"/static/{name}").text == "application", name


@contextmanager
def somebody_else() -> Iterator[None]:
    """Root may read whatever there is."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_what_cannot_be_read_is_the_applications_and_in_the_log(
    site: Site, folder: Path, error_log: LogWatch
) -> None:
    (folder / "shown.txt").chmod(0)
    with site.connect() as wire:
        assert wire.ask("/").text == "application"
        with somebody_else():
            assert wire.ask("/static/shown.txt").text == "application"
    said = error_log.wait_for('static: cannot read "', '/static/shown.txt": Permission denied')
    assert said.endswith("the application is asked instead")


def test_no_rename_leads_out(site: Site, folder: Path) -> None:
    """A folder is a link out of the mount half of the time, and each request may see either."""
    (folder / "shifting").mkdir()
    (folder / "link").symlink_to("..")
    # Each under a name of its own, or what is remembered would be the answer.
    names = [f"{number}.txt" for number in range(1500)]
    for name in names:
        (folder / "shifting" / name).write_bytes(SHOWN)
        (folder / ".." / name).write_bytes(SECRET)
    end = threading.Event()

    def rename() -> None:
        one, other, spare = folder / "shifting", folder / "link", folder / "spare"
        while not end.is_set():
            one.rename(spare)
            other.rename(one)
            spare.rename(other)

    renamer = threading.Thread(target=rename)
    renamer.start()
    try:
        with site.connect() as wire:
            seen = {wire.ask(f"/static/shifting/{name}").body for name in names}
    finally:
        end.set()
        renamer.join()
    assert seen == {SHOWN, b"application"}
