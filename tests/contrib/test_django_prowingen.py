"""`manage.py prowingen`: a project in production, by a process that has nothing of Django's yet."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from harness.commands import ask, edit, run_command
from harness.django_project import DjangoProject, make_project
from prowingen_wsgi.configuration.config import OPTIONS
from prowingen_wsgi.configuration.statsd import NamePrefix, StatsdAddress
from prowingen_wsgi.configuration.values import (
    Choice,
    Count,
    CountOrAuto,
    FilePath,
    Kind,
    Many,
    Octal,
    Seconds,
    Secret,
    Size,
    Switch,
    Text,
    UrlPath,
)

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("django")
pytestmark = pytest.mark.timeout(60)

URLS = """
import os, sys
from django.conf import settings
from django.http import HttpResponse
from django.urls import path

def index(request):
    return HttpResponse(f"{os.getpid()} {settings.SETTINGS_MODULE} {sys.argv[1:]}")

urlpatterns = [path("", index)]
"""


@pytest.fixture
def project(tmp_path: Path) -> DjangoProject:
    folder = tmp_path / "project"
    folder.mkdir()
    project = make_project(folder)
    edit(project.settings.with_name("urls.py"), URLS)
    return project


def serve(project: DjangoProject, *arguments: str, engine: str, folder: Path) -> str:
    """What the project answers when it is started from this folder."""
    manage = str(project.folder / "manage.py")
    command = [sys.executable, manage, "prowingen", "--bind", "127.0.0.1:0", *arguments]
    with run_command(command, folder, PROWINGEN_ENGINE=engine) as server:
        response = ask(server)
        assert response.get("Server") == "prowingen"
        text = response.body.decode()
        assert text.split()[0] == str(server.pid), "the process is the one that was started"
        assert f"(engine {engine}, " in server.log
    return text


def test_the_project_is_served_from_any_folder(
    project: DjangoProject, tmp_path: Path, engine: str
) -> None:
    for folder in (project.folder, tmp_path):
        text = serve(project, "--threads", "2", "--no-date-header", engine=engine, folder=folder)
        expected = ["--bind=127.0.0.1:0", "--threads=2", "--no-date-header"]
        assert text.endswith(str([*expected, "site_of_tests.wsgi:application"]))
        assert "site_of_tests.settings" in text


def test_settings_and_pythonpath_are_djangos(
    project: DjangoProject, tmp_path: Path, engine: str
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    edit(elsewhere / "other_settings.py", "from site_of_tests.settings import *\n")
    arguments = ["--settings", "other_settings", "--pythonpath", str(elsewhere)]
    assert "other_settings" in serve(project, *arguments, engine=engine, folder=tmp_path)


def test_without_wsgi_application_it_is_djangos_default(
    project: DjangoProject, engine: str
) -> None:
    project.change_settings("WSGI_APPLICATION = ", "UNUSED = ")
    text = serve(project, engine=engine, folder=project.folder)
    assert "prowingen_wsgi.contrib.django.wsgi:application" in text


def test_the_interpreters_options_are_handed_on(
    project: DjangoProject, engine: str, tmp_path: Path
) -> None:
    edit(
        project.settings.with_name("urls.py"),
        URLS.replace(
            "{sys.argv[1:]}", "{sys.flags.optimize} {sys._xoptions} {sys.warnoptions[-1:]}"
        ),
    )
    flags = ["-OO", "-X", "utf8=1", "-X", "int_max_str_digits=0", "-W", "ignore::UserWarning"]
    command = [sys.executable, *flags, "manage.py", "prowingen", "--bind", "127.0.0.1:0"]
    with run_command(command, project.folder, PROWINGEN_ENGINE=engine) as server:
        text = ask(server).body.decode()
    assert text.split(maxsplit=2)[2] == (
        "2 {'utf8': '1', 'int_max_str_digits': '0'} ['ignore::UserWarning']"
    )


CALL = """
import os, sys
import django
from django.core.management import call_command

os.environ["DJANGO_SETTINGS_MODULE"] = "site_of_tests.settings"
django.setup()
call_command("prowingen", {arguments})
"""


@pytest.mark.parametrize(
    ("arguments", "rows"),
    [
        ("threads=3", {"threads": ["3", "--threads"]}),
        ("'--threads=4', threads=3", {"threads": ["3", "--threads"]}),
        ("date_header=False", {"date_header": ["off", "--no-date-header"]}),
        ("date_header=True", {"date_header": ["on", "--date-header"]}),
        ("max_body='2MiB'", {"max_body": ["2MiB", "--max-body"]}),
        ("bind=['127.0.0.1:0', ':1']", {"bind": ["127.0.0.1:0,:1", "--bind"]}),
        ("server_header=''", {"server_header": ['""', "--server-header"]}),
        ("'--threads=4'", {"threads": ["4", "--threads"]}),
    ],
)
def test_call_command_takes_options_as_keywords(
    project: DjangoProject, arguments: str, rows: dict[str, list[str]]
) -> None:
    run = call(project, f"{arguments}, check=True")
    shown = {words[0]: words[1:] for words in map(str.split, run.stdout.splitlines()) if words}
    assert rows.items() <= shown.items(), run.stderr


READ_BACK = """
import os, sys
import django
from django.core.management import call_command
from prowingen_wsgi.configuration.arguments import parse_arguments
from prowingen_wsgi.configuration.config import Config
from prowingen_wsgi.configuration.layers import arguments_layer, environment_layer, merge

def become(program, command, environment):
    given = parse_arguments(command[command.index("prowingen_wsgi") + 1 :]).given
    config = merge(environment_layer(environment), arguments_layer(given)).config
    assert config == Config(**keywords), (config, Config(**keywords))
    assert not any("password" in word for word in command), command
    print("the same")

os.execve = become
os.environ["DJANGO_SETTINGS_MODULE"] = "site_of_tests.settings"
django.setup()
for keywords in {keywords}:
    call_command("prowingen", "--forwarded-allow-ips=10.0.0.1", **keywords)
"""


def test_each_option_is_handed_on_as_the_keyword_gives_it(project: DjangoProject) -> None:
    """Each as far as it goes from its default, empty, and all of the defaults."""
    far: dict[type[Kind], object] = {
        Text: "a, b --threads=3",
        Secret: " a password, --threads=3",
        FilePath: "a folder/file,=",
        UrlPath: "/-/health",
        Octal: 0o7,
        Seconds: 1.0625,
        Size: 54321,
        Count: 7,
        CountOrAuto: 7,
        StatsdAddress: "unix:/a folder/statsd,=.sock",
        NamePrefix: "a.b-c.",
    }
    addresses = ["127.0.0.1:0", ":1"]
    several = {
        "bind": addresses,
        "redirect_http": addresses,
        "admin_bind": addresses,
        "forwarded_fields": ["host", "for"],
        "acme_domain": ["a.example", "b.example"],
        "static": ["/static=a folder", "auto"],
        "sendfile": ["/private=a,b", "/=c"],
        "compress_codings": ["gzip:9", "br"],
        "compress_types": ["text/*", "*+json"],
        "request_timeout_of": ["/a=b=5m", "/c=0"],
        "rate_limit": ["100/s burst 200", "/login=5/m"],
        "max_concurrency": ["/reports=2", "/=9"],
    }
    changed: dict[str, object] = {}
    least: dict[str, object] = {}
    for name, option in OPTIONS.items():
        kind = option.kind
        least[name] = option.default
        if isinstance(kind, Many):
            changed[name] = several.get(name, ["10.0.0.0/8", "::1"])
            least[name] = [] if kind.minimum == 0 else option.default
        elif isinstance(kind, Choice):
            changed[name] = kind.choices[-1]
        elif isinstance(kind, Switch):
            changed[name] = not option.default
        else:
            changed[name] = far[type(kind)]
    defaults = {name: option.default for name, option in OPTIONS.items()}
    every = [changed, least, defaults]
    for keywords in every:
        del keywords["pythonpath"]
    run = python(project, READ_BACK.format(keywords=every))
    assert run.stdout.splitlines() == ["the same"] * 3, run.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("threads=0", 'CommandError: threads: "0": must be a whole number'),
        ("thread=3", "Unknown option(s) for prowingen command: thread"),
    ],
)
def test_a_keyword_that_is_wrong_is_said(
    project: DjangoProject, arguments: str, message: str
) -> None:
    assert message in call(project, arguments).stderr


def call(project: DjangoProject, arguments: str) -> subprocess.CompletedProcess[str]:
    return python(project, CALL.format(arguments=arguments))


def python(project: DjangoProject, program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=project.folder,
        env=os.environ.copy(),
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


def test_check_shows_the_options(project: DjangoProject) -> None:
    shown = project.manage("prowingen", "--check", "--threads", "3")
    assert [line.split() for line in shown.splitlines() if line.startswith("threads ")] == [
        ["threads", "3", "--threads"]
    ]
    assert "site_of_tests.wsgi:application (WSGIHandler)" in shown


def test_the_help_has_every_option(project: DjangoProject) -> None:
    for shown in (project.manage("prowingen", "--help"), project.manage("help", "prowingen")):
        for option in OPTIONS.values():
            assert option.flag in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--thread", "3"], "unrecognized arguments: --thread"),
        (["--threads", "0"], 'prowingen: --threads: "0": must be a whole number'),
        (["--skip-checks", "--settings", "nothing"], "No module named 'nothing'"),
    ],
)
def test_what_is_wrong_is_said(project: DjangoProject, arguments: list[str], message: str) -> None:
    run = subprocess.run(
        [sys.executable, "manage.py", "prowingen", *arguments],
        cwd=project.folder,
        env=os.environ.copy(),
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert run.returncode != 0
    assert message in run.stderr
