"""Unchanged applications in a browser: Flask's tutorial and Django's admin.

Each is hosted in every way that needs no change to it: by its framework's own command, and by
gunicorn with this package's worker.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tarfile
from importlib.metadata import version
from typing import TYPE_CHECKING

import pytest
from harness.browser import open_page, style_of
from harness.commands import edit, run_command
from harness.django_project import PASSWORD, USER, DjangoProject, add_superuser, make_project

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from harness.process import ServerProcess

pytestmark = [pytest.mark.alone("a browser gives up what takes long"), pytest.mark.timeout(180)]

COMMAND, GUNICORN = "command", "gunicorn"


@pytest.fixture(params=[COMMAND, GUNICORN])
def host(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if name == GUNICORN:
        pytest.importorskip("gunicorn")
        if importlib.util.find_spec("prowingen_wsgi.gunicorn") is None:
            pytest.skip("this package has no worker for gunicorn")
    return name


def run_gunicorn(
    app: str, folder: Path, environment: dict[str, str]
) -> AbstractContextManager[ServerProcess]:
    worker = ["--worker-class", "prowingen_wsgi.gunicorn.Worker", "--bind", "127.0.0.1:0"]
    command = [sys.executable, "-m", "gunicorn", *worker, "--threads", "4", app]
    ready = r"(?s)Listening at: \S+.*Booting worker"
    return run_command(command, folder, ready=ready, **environment)


# ---- flaskr


@pytest.fixture(scope="session")
def tutorial(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tutorial's application, as it comes with the sources of the Flask that is installed."""
    folder = tmp_path_factory.mktemp("flask")
    release = f"flask=={version('flask')}"
    download = [sys.executable, "-m", "pip", "download", "-qq", "--no-deps"]
    run = subprocess.run(
        [*download, "--no-binary", ":all:", "--dest", str(folder), release],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    if run.returncode != 0:
        pytest.skip(f"pip cannot download the sources of {release}: {run.stderr.strip()[-200:]}")
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as sources:
        sources.extractall(folder, filter="data")
    (tutorial,) = folder.glob("*/examples/tutorial")
    return tutorial


def run_tutorial(
    host: str, tutorial: Path, folder: Path, engine: str
) -> AbstractContextManager[ServerProcess]:
    flask = [sys.executable, "-m", "flask", "--app", "flaskr"]
    # The application keeps its database beside its package, so each test has a copy.
    subprocess.run(["cp", "-R", f"{tutorial}/.", str(folder)], check=True)
    subprocess.run([*flask, "init-db"], cwd=folder, check=True, timeout=30)
    environment = {"PROWINGEN_SERVER": "wsgi", "PROWINGEN_ENGINE": engine}
    if host == GUNICORN:
        return run_gunicorn("flaskr:create_app()", folder, environment)
    return run_command([*flask, "run", "--port", "0"], folder, **environment)


def test_flaskr_registers_logs_in_and_keeps_posts(
    host: str, tutorial: Path, tmp_path: Path, engine: str
) -> None:
    with run_tutorial(host, tutorial, tmp_path, engine) as server, open_page() as page:
        first = page.goto(server.url)
        assert first is not None
        assert first.header_value("server") == "prowingen"
        page.wait_for_load_state("load")
        assert style_of(page, "html", "backgroundColor") == "rgb(238, 238, 238)"
        # A click does not wait for the page that it leads to.
        for step, leads_to in (("Register", "/auth/login"), ("Log In", "/")):
            page.click(f"nav >> text={step}")
            page.fill("#username", "reader")
            page.fill("#password", "only for tests")
            page.click(f"input[value='{step}']")
            page.wait_for_url(f"{server.url}{leads_to}")
        assert page.inner_text("nav span") == "reader"

        page.click("text=New")
        page.fill("#title", "Naïve title")
        page.fill("#body", "first\nsecond")
        page.click("input[value=Save]")
        assert page.inner_text("article h1") == "Naïve title"
        page.wait_for_load_state("load")  # the style sheet says that lines stay lines
        assert page.inner_text("article .body") == "first\nsecond"

        page.click("text=Edit")
        page.fill("#title", "Other title")
        page.click("input[value=Save]")
        assert page.inner_text("article h1") == "Other title"

        page.click("text=Edit")
        page.once("dialog", lambda dialog: dialog.accept())
        page.click("input[value=Delete]")
        page.wait_for_url(f"{server.url}/")
        assert page.query_selector("article") is None
        page.click("text=Log Out")
        page.wait_for_selector("nav >> text=Log In")


# ---- Django's admin


@pytest.fixture
def project(tmp_path: Path) -> DjangoProject:
    project = make_project(tmp_path)
    add_superuser(project)
    return project


def run_project(
    host: str, project: DjangoProject, engine: str
) -> AbstractContextManager[ServerProcess]:
    if host == COMMAND:
        return project.run("runserver", "0", PROWINGEN_ENGINE=engine)
    # Static files are what runserver adds to the application; here a module beside it does.
    edit(
        project.folder / "with_static_files.py",
        "from django.contrib.staticfiles.handlers import StaticFilesHandler\n"
        "from site_of_tests.wsgi import application\n"
        "application = StaticFilesHandler(application)\n",
    )
    return run_gunicorn("with_static_files", project.folder, {"PROWINGEN_ENGINE": engine})


def test_the_admin_logs_in_and_adds_a_user(host: str, project: DjangoProject, engine: str) -> None:
    with run_project(host, project, engine) as server, open_page() as page:
        first = page.goto(f"{server.url}/admin/")
        assert first is not None
        assert first.header_value("server") == "prowingen"
        page.fill("#id_username", USER)
        page.fill("#id_password", PASSWORD)
        page.click("input[type=submit]")
        assert "Welcome" in page.inner_text("#user-tools").title()
        page.wait_for_load_state("load")
        # The header has this from base.css alone.
        assert style_of(page, "#header", "display") == "flex"
        assert style_of(page, "#header", "backgroundColor") != "rgba(0, 0, 0, 0)"

        # Whoever leaves a page earlier has its last pictures' requests given up by the browser.
        page.click("a[href='/admin/auth/user/add/']")
        page.wait_for_load_state("load")
        page.fill("#id_username", "reader")
        for field in ("#id_password1", "#id_password2"):
            page.fill(field, "a password like no other")
        page.click("input[name=_save]")
        assert "was added successfully" in page.inner_text(".messagelist")
        page.wait_for_load_state("load")
        page.click("nav >> text=Users")
        page.wait_for_url(f"{server.url}/admin/auth/user/")
        names = page.locator("#result_list .field-username").all_inner_texts()
        assert names == [USER, "reader"]
