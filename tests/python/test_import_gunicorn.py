from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prowingen_wsgi.config import Config
from prowingen_wsgi.config_file import read_config_file
from prowingen_wsgi.import_gunicorn import BECOMES, LACKING, _toml, convert

if TYPE_CHECKING:
    from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def read_back(folder: Path, text: str) -> Config:
    (folder / "prowingen.toml").write_text(text, encoding="utf-8")
    layer = read_config_file(folder).layer
    return Config.from_values({name: setting.value for name, setting in layer.items()})


def test_what_has_an_equivalent_is_written(tmp_path: Path) -> None:
    text, remarks = convert(
        {
            "wsgi_app": "shop.wsgi:application",
            "bind": ["0.0.0.0:80", "unix:/run/shop.sock"],
            "workers": 5,
            "threads": 4,
            "timeout": 60,
            "graceful_timeout": 20,
            "keepalive": 5,
            "max_requests": 1000,
            "max_requests_jitter": 50,
            "limit_request_line": 0,
            "limit_request_fields": 50,
            "preload_app": True,
            "user": "www-data",
            "group": 33,
            "umask": 0o027,
            "pidfile": "/run/shop.pid",
            "chdir": "/srv/shop",
            "pythonpath": "/srv/lib,/srv/more",
            "accesslog": "-",
            "loglevel": "warning",
        }
    )
    assert remarks == []
    config = read_back(tmp_path, text)
    assert read_config_file(tmp_path).app == "shop.wsgi:application"
    assert config == Config(
        bind=("0.0.0.0:80", "unix:/run/shop.sock"),
        workers=5,
        threads=4,
        worker_timeout=60,
        graceful_timeout=20,
        keep_alive_timeout=5,
        max_requests=1000,
        max_requests_jitter=50,
        max_request_line=2**20,
        max_header_fields=50,
        preload=True,
        user="www-data",
        group="33",
        umask=0o027,
        pidfile="/run/shop.pid",
        chdir="/srv/shop",
        pythonpath=("/srv/lib", "/srv/more"),
        access_log="-",
        log_level="warning",
    )


def test_defaults_that_differ_are_gunicorns(tmp_path: Path) -> None:
    text, _ = convert({})
    assert "threads = 1  # gunicorn's default" in text
    config = read_back(tmp_path, text)
    assert (config.workers, config.threads, config.worker_timeout) == (1, 1, 30.0)
    assert config.keep_alive_timeout == 2.0


@pytest.mark.parametrize(
    ("settings", "remark"),
    [
        ({"certfile": "/x.pem"}, "certfile: TLS is not part of this server yet"),
        ({"post_fork": print}, "post_fork: hooks have no equivalent"),
        ({"raw_env": ["A=1"]}, "raw_env: write the variables to a file"),
        ({"worker_class": "gevent"}, "worker_class: gevent: applications run in threads here"),
        ({"backlog": 10**9}, "backlog: not taken over: backlog: "),
        ({"bind": "host:99999"}, 'bind: not taken over: bind: "host:99999": port must be 0–65535'),
    ],
)
def test_what_has_none_is_listed_with_a_way_out(settings: dict[str, Any], remark: str) -> None:
    _, remarks = convert(settings)
    assert len(remarks) == 1
    assert remarks[0].startswith(remark)


def test_every_setting_of_gunicorn_is_known() -> None:
    config = pytest.importorskip("gunicorn.config")
    known = {*BECOMES, *LACKING, "wsgi_app", "worker_class"}
    assert {setting.name for setting in config.KNOWN_SETTINGS} <= known


@given(st.one_of(st.text(st.characters(exclude_categories=["Cs"])), st.integers(-(2**60), 2**60)))
def test_values_are_toml(value: object) -> None:
    assert tomllib.loads(f"x = {_toml(value)}")["x"] == value


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "prowingen_wsgi", "import-gunicorn", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_the_command_runs_the_file_and_writes_another(tmp_path: Path) -> None:
    (tmp_path / "shared.py").write_text("CORES = 2\n")
    (tmp_path / "gunicorn.conf.py").write_text(
        "import shared\nworkers = 2 * shared.CORES + 1\ndef on_exit(server): pass\n"
    )
    result = run(tmp_path, "gunicorn.conf.py")
    assert result.returncode == 0
    assert "workers = 5\n" in result.stdout
    assert result.stderr.startswith("on_exit: hooks have no equivalent")
    assert run(tmp_path, "gunicorn.conf.py", "-o", "prowingen.toml").returncode == 0
    assert (tmp_path / "prowingen.toml").read_text() == result.stdout
    again = run(tmp_path, "gunicorn.conf.py", "-o", "prowingen.toml")
    assert again.returncode == 1
    assert "--force replaces it" in again.stderr
    assert run(tmp_path, "gunicorn.conf.py", "-o", "prowingen.toml", "--force").returncode == 0


def test_a_file_that_cannot_be_run_is_named_in_one_line(tmp_path: Path) -> None:
    assert "there is no such file" in run(tmp_path, "none.py").stderr
    (tmp_path / "bad.py").write_text("1 / 0\n")
    result = run(tmp_path, "bad.py")
    assert result.returncode == 1
    assert "bad.py: ZeroDivisionError: division by zero" in result.stderr
    assert "Traceback" not in result.stderr
