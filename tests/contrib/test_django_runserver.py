"""`manage.py runserver` with PROWINGEN_SERVER: Django's own command around this server."""

from __future__ import annotations

import os
import re
import signal
import socket
from typing import TYPE_CHECKING

import pytest
import requests
from harness.commands import Visitor, ask, ask_until, edit
from harness.django_project import PASSWORD, USER, DjangoProject, add_superuser, make_project
from harness.site import address_of
from harness.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from harness.process import ServerProcess

pytest.importorskip("django")
pytestmark = pytest.mark.timeout(120)

STATIC = "/static/admin/css/base.css"
URLS = """
from django.http import HttpResponse
from django.urls import path
import threading

def workers(request):
    names = [thread.name for thread in threading.enumerate()]
    return HttpResponse(str(sum(name.startswith("prowingen-worker") for name in names)))

urlpatterns = [path("", lambda request: HttpResponse("one")), path("workers", workers)]
"""


@pytest.fixture
def project(tmp_path: Path) -> DjangoProject:
    """A project whose only pages are plain ones."""
    project = make_project(tmp_path)
    edit(project.settings.with_name("urls.py"), URLS)
    return project


@pytest.fixture(scope="module")
def admin_project(tmp_path_factory: pytest.TempPathFactory) -> DjangoProject:
    project = make_project(tmp_path_factory.mktemp("admin"))
    add_superuser(project)
    return project


def change_until(
    server: ServerProcess, project: DjangoProject, old: str, new: str, answer: bytes
) -> None:
    """Edits the pages until that shows. Django notes what files are like some time after its
    server answers, and nothing tells when: an edit before goes unnoticed.
    """
    file = project.settings.with_name("urls.py")
    text = file.read_text().replace(old, new)

    def edited_and_seen() -> bool:
        edit(file, text)
        return eventually(lambda: answer in ask(server).body, 5)

    assert eventually(edited_and_seen, 30), server.log


def log_in(url: str) -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    page = session.get(f"{url}/admin/login/", timeout=20)
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)
    assert token is not None
    form = {"username": USER, "password": PASSWORD, "csrfmiddlewaretoken": token.group(1)}
    answer = session.post(f"{url}/admin/login/?next=/admin/", data=form, timeout=20)
    assert "Log out" in answer.text
    return session


def test_the_admin_is_logged_into_and_static_files_are_served(
    admin_project: DjangoProject, engine: str
) -> None:
    with admin_project.run("runserver", "0", "--noreload", PROWINGEN_ENGINE=engine) as server:
        with log_in(server.url) as session:
            page = session.get(f"{server.url}/admin/auth/user/", timeout=20)
            assert "1 user" in page.text
            style = session.get(f"{server.url}{STATIC}", timeout=20)
            assert style.headers["Server"] == "prowingen"
            assert style.headers["Content-Type"].startswith("text/css")
            assert "--primary" in style.text
        # As Django's own server logs them.
        server.wait_for_line(
            r'\[\d\d/\w{3}/\d{4} \d\d:\d\d:\d\d\] "POST /admin/login/\?next=/admin/ HTTP/1.1" 302 0'
        )
        server.wait_for_line(rf'"GET {STATIC} HTTP/1.1" 200 {len(style.content)}\n')
        assert re.search(rf"Served by wsgi \(prowingen-wsgi \S+, {engine} engine\)", server.log)
        assert "System check identified no issues" in server.log
        assert f"at {server.url}/" in server.log


def test_no_connection_is_refused_while_the_code_is_reloaded(
    project: DjangoProject, engine: str
) -> None:
    with project.run("runserver", "0", PROWINGEN_ENGINE=engine) as server:
        ask_until(server, b"one")
        with Visitor(server) as visitor:
            change_until(server, project, '"one"', '"two"', b"two")
            change_until(server, project, '"two"', '"three"', b"three")
        assert visitor.failures == []
        assert set(visitor.answers) == {b"one", b"two", b"three"}
        assert "urls.py changed, reloading." in server.log


def test_code_that_is_broken_at_first_is_served_when_repaired(project: DjangoProject) -> None:
    models = project.folder / "broken" / "models.py"
    models.parent.mkdir()
    edit(models, "1 / 0\n")
    edit(models.with_name("__init__.py"), "")
    project.change_settings("INSTALLED_APPS = [", 'INSTALLED_APPS = ["broken",')
    with project.run("runserver", "0", ready="ZeroDivisionError") as server:

        def repaired() -> bool:  # see change_until
            edit(models, "repaired = True\n")
            return eventually(lambda: "Quit the server" in server.log, 0.5)

        assert eventually(repaired, 30), server.log
        server.url = server.wait_for_line(r"http://127\.0\.0\.1:\d+")
        assert ask(server).get("Server") == "prowingen"


@pytest.mark.parametrize("first", [True, False], ids=["first", "last"])
def test_the_order_of_the_apps_does_not_matter(tmp_path: Path, first: bool) -> None:
    project = make_project(tmp_path, first=first)
    with project.run("runserver", "0", "--noreload") as server:
        response = ask(server, STATIC)
        assert (response.status, response.get("Server")) == (200, "prowingen")


def test_without_staticfiles_there_are_none(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    project.change_settings("'django.contrib.staticfiles',", "")
    with project.run("runserver", "0", "--noreload") as server:
        response = ask(server, STATIC)
        assert (response.status, response.get("Server")) == (404, "prowingen")


@pytest.mark.parametrize("first", [True, False], ids=["first", "last"])
def test_without_the_variable_it_is_djangos_own(tmp_path: Path, first: bool) -> None:
    project = make_project(tmp_path, first=first)
    with project.run("runserver", "0", "--noreload", server="") as server:
        response = ask(server, STATIC)
        assert response.status == 200
        assert "WSGIServer/" in str(response.get("Server"))
        assert "Served by" not in server.log
    assert "--insecure" in project.manage("runserver", "--help")


@pytest.mark.parametrize(
    ("arguments", "url"),
    [
        (["-6", "0"], r"http://\[::1\]:\d+"),
        (["[::1]:0"], r"http://\[::1\]:\d+"),
        (["localhost:0"], r"http://localhost:\d+"),
        (["0:0"], r"http://0\.0\.0\.0:\d+"),
    ],
)
def test_addresses_are_djangos(project: DjangoProject, arguments: list[str], url: str) -> None:
    project.change_settings("ALLOWED_HOSTS = []", 'ALLOWED_HOSTS = ["*"]')
    for reload in ([], ["--noreload"]):
        with project.run("runserver", *arguments, *reload) as server:
            assert re.fullmatch(url, server.url)
            assert ask(server).body == b"one"


def test_every_ipv6_address_is_every_ipv4_address_too(project: DjangoProject) -> None:
    """As in Django's own server: the system's default for such a socket."""
    project.change_settings("ALLOWED_HOSTS = []", 'ALLOWED_HOSTS = ["*"]')
    for reload in ([], ["--noreload"]):
        with project.run("runserver", "[::]:0", *reload) as server:
            server.url = f"http://127.0.0.1:{address_of(server.url)[1]}"
            assert ask(server).body == b"one"


def test_without_threading_requests_come_one_by_one(project: DjangoProject) -> None:
    with project.run("runserver", "0", "--noreload", PROWINGEN_THREADS="3") as server:
        assert ask(server, "/workers").body == b"3"
    with project.run("runserver", "0", "--noreload", "--nothreading") as server:
        assert ask(server, "/workers").body == b"1"


def test_static_files_as_the_options_say(project: DjangoProject) -> None:
    with project.run("runserver", "0", "--noreload", "--nostatic") as server:
        assert ask(server, STATIC).status == 404
    project.change_settings("DEBUG = True", "DEBUG = False")
    project.change_settings("ALLOWED_HOSTS = []", 'ALLOWED_HOSTS = ["*"]')
    with project.run("runserver", "0", "--noreload") as server:
        assert ask(server, STATIC).status == 404
    with project.run("runserver", "0", "--noreload", "--insecure") as server:
        assert ask(server, STATIC).status == 200


@pytest.mark.parametrize("reload", [[], ["--noreload"]], ids=["reload", "noreload"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_it_and_leave_no_process(
    project: DjangoProject, reload: list[str], number: signal.Signals
) -> None:
    with project.run("runserver", "0", *reload) as server:
        ask_until(server, b"one")
        server.signal(number)
        assert server.wait() == 0
        assert "Traceback" not in server.log
        assert eventually(lambda: not _group_exists(server.pid))


def _group_exists(leader: int) -> bool:
    try:
        os.killpg(leader, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("reload", [[], ["--noreload"]], ids=["reload", "noreload"])
def test_a_port_that_is_taken_is_said_as_django_says_it(
    project: DjangoProject, reload: list[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with project.run("runserver", port, *reload, ready="Error: ") as server:
            assert server.wait() == 1
            assert "Error: That port is already in use." in server.log
            assert "Traceback" not in server.log


@pytest.mark.parametrize("reload", [[], ["--noreload"]], ids=["reload", "noreload"])
def test_a_port_that_is_none_is_said_in_one_line(project: DjangoProject, reload: list[str]) -> None:
    with project.run("runserver", "99999", *reload, ready="Error: ") as server:
        assert server.wait() == 1
        assert 'Error: bind: "127.0.0.1:99999": port must be 0–65535' in server.log
        assert "Traceback" not in server.log


@pytest.mark.parametrize(
    ("arguments", "variables", "message"),
    [
        ([], {"server": "wsgo"}, 'CommandError: PROWINGEN_SERVER: "wsgo": no such server factory'),
        ([], {"PROWINGEN_THREADS": "x"}, 'CommandError: PROWINGEN_THREADS: "x": must be'),
        (["nonsense:x"], {}, 'CommandError: "nonsense:x" is not a valid port number'),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    project: DjangoProject, arguments: list[str], variables: dict[str, str], message: str
) -> None:
    with project.run("runserver", *arguments, ready="CommandError", **variables) as server:
        assert server.wait() == 1
        assert message in server.log
        assert "Traceback" not in server.log


def test_checks_and_migrations_are_looked_at(project: DjangoProject) -> None:
    with project.run("runserver", "0", "--noreload") as server:
        assert "You have 18 unapplied migration(s)" in server.log
    project.change_settings("'django.contrib.auth.middleware.AuthenticationMiddleware',", "")
    with project.run("runserver", "0", "--noreload", ready="SystemCheckError") as server:
        assert server.wait() == 1


@pytest.mark.parametrize("flags", [["--noreload"], []], ids=["alone", "reloader"])
def test_a_project_that_patches_is_served(
    project: DjangoProject, engine: str, flags: list[str]
) -> None:
    """At the start of manage.py: in the settings, gevent waits for their own import for ever."""
    manage = project.folder / "manage.py"
    program = manage.read_text().partition("\n")[2]
    edit(manage, f"from gevent import monkey\nmonkey.patch_all()\n{program}")
    with project.run("runserver", "0", *flags, PROWINGEN_ENGINE=engine) as server:
        ask_until(server, b"one")
        server.signal(signal.SIGTERM)
        server.wait()
    assert "Traceback" not in server.log
