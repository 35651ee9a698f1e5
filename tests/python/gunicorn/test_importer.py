from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prowingen_wsgi.configuration.config import Config
from prowingen_wsgi.configuration.file import read_config_file
from prowingen_wsgi.configuration.sources import Sources
from prowingen_wsgi.gunicorn.equivalents import BECOMES, LACKING, USUAL, asks_for_something
from prowingen_wsgi.gunicorn.importer import _DEFAULTS, convert
from prowingen_wsgi.importers.conversion import toml_value

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
            "worker_class": "gthread",
            "forwarded_allow_ips": "",
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
        max_field_line=8190,
        max_header_bytes=50 * 8192 + 4,
        preload=True,
        user="www-data",
        group="33",
        umask=0o027,
        pidfile="/run/shop.pid",
        chdir="/srv/shop",
        pythonpath=("/srv/lib", "/srv/more"),
        access_log="-",
        log_level="warning",
        forwarded_allow_ips=("unix",),
        forwarded_fields=("proto",),
    )


def test_defaults_that_differ_are_gunicorns(tmp_path: Path) -> None:
    text, _ = convert({})
    assert "threads = 1  # gunicorn's default" in text
    config = read_back(tmp_path, text)
    assert (config.workers, config.threads, config.worker_timeout) == (1, 1, 30.0)
    assert config.keep_alive_timeout == 2.0
    assert config.forwarded_allow_ips == ("127.0.0.1", "::1", "unix")
    assert config.forwarded_fields == ("proto",)


BELIEVED = {"forwarded_allow_ips": ["unix"], "forwarded_fields": ["proto"]}


def convert_alone(**settings: Any) -> tuple[dict[str, Any], list[str]]:
    """The written values without gunicorn's defaults, and the remarks about what is set."""
    plain = {"workers": 0, "threads": 8, "timeout": 0, "keepalive": 75, "forwarded_allow_ips": ""}
    text, remarks = convert({**plain, **settings})
    values = tomllib.loads(text)
    for name, value in BELIEVED.items():
        if values.get(name) == value:
            del values[name]
    return values, remarks


@pytest.mark.parametrize(
    ("setting", "value", "written"),
    [
        ("bind", "tcp://0.0.0.0:80, unix:///run/a.sock", ["0.0.0.0:80", "unix:///run/a.sock"]),
        ("bind", "[::]:80", ["[::]:80"]),
        ("bind", "", ["0.0.0.0:8000"]),
        ("bind", "fd://3", ["fd://3"]),
        ("umask", "022", "022"),
        ("umask", "0o22", "022"),
        ("umask", "18", "022"),
        ("umask", 18, "022"),
        ("pythonpath", "a, b", ["a", "b"]),
        ("access_log_format", "%(h)s %({x-id}i)s %(D)d 100%%", "%(h)s %({x-id}i)s %(D)d 100%%"),
        ("wsgi_app", "shop:app", "shop:app"),
        ("statsd_host", "unix:///run/statsd.sock", "unix:///run/statsd.sock"),
        ("statsd_host", "unix:8125", "udp://unix:8125"),
    ],
)
def test_values_mean_what_they_mean_to_gunicorn(setting: str, value: Any, written: Any) -> None:
    values, _ = convert_alone(**{setting: value})
    option = BECOMES[setting].option if setting in BECOMES else "app"
    assert values == {option: written}


@pytest.mark.parametrize(
    ("settings", "written"),
    [
        ({"limit_request_field_size": 16000}, (100, 16000, 100 * 16002 + 4)),
        ({"limit_request_fields": 300}, (300, 8190, 300 * 8192 + 4)),
        ({"limit_request_fields": 1, "limit_request_field_size": 3}, (1, 3, 256)),
        ({"limit_request_fields": 4, "limit_request_field_size": 100}, (4, 100, 4 * 102 + 4)),
        ({"limit_request_field_size": 0}, (100, 2**24, 2**24)),
        ({"limit_request_fields": 0, "limit_request_field_size": 0}, (65536, 2**24, 2**24)),
        ({"limit_request_line": 8000}, (100, 0, 65536)),
        ({}, (100, 0, 65536)),
    ],
)
def test_a_header_section_may_be_what_its_lines_add_up_to(
    tmp_path: Path, settings: dict[str, int], written: tuple[int, int, int]
) -> None:
    text, remarks = convert(settings)
    config = read_back(tmp_path, text)
    assert (config.max_header_fields, config.max_field_line, config.max_header_bytes) == written
    assert ("max_header_bytes = " in text) == ("add up to" in text) == (written[2] != 65536)
    assert ("max_field_line = 8190  # gunicorn's default" in text) == (written[1] == 8190)
    assert remarks == []


def test_a_header_section_that_is_too_long_for_the_option_is_said_to_be() -> None:
    _, remarks = convert({"limit_request_fields": 30000})
    assert remarks == [
        "limit_request_fields: header sections are limited to 16MiB altogether, which is the "
        "largest max_header_bytes"
    ]


@pytest.mark.parametrize(
    "settings",
    [
        {"daemon": False, "certfile": None, "raw_env": [], "proxy_protocol": False},
        {"errorlog": "-", "proxy_protocol": "off", "statsd_host": None, "spew": False},
        {"worker_class": "gunicorn.workers.gthread.ThreadWorker"},
        {"worker_class": "egg:gunicorn#gthread"},
        {"http_protocols": "h2,h1", "http2_cleartext": "off"},
        {"http_protocols": ["h1", "h2"]},
        {"some_name_of_the_file": 3, "os": __builtins__},
    ],
)
def test_what_asks_for_nothing_needs_no_word(settings: dict[str, Any]) -> None:
    assert convert_alone(**settings) == ({}, [])


@pytest.mark.parametrize(
    ("settings", "written", "remark"),
    [
        (
            {"workers": 2, "reload": True, "preload_app": True},
            {"workers": 2, "reload": True},
            "preload_app: not taken over: it does not go with reload",
        ),
        (
            {"workers": 2, "max_requests_jitter": 5},
            {"workers": 2},
            "max_requests_jitter: not taken over: it needs max_requests",
        ),
        ({"reload_extra_files": ["a"]}, {}, "reload_extra_files: not taken over: it needs reload"),
        ({"timeout": 30}, {}, "timeout: not taken over: it needs a supervisor"),
    ],
)
def test_what_the_server_would_refuse_together_is_not_written(
    settings: dict[str, Any], written: dict[str, Any], remark: str
) -> None:
    values, remarks = convert_alone(**settings)
    assert values == written
    assert len(remarks) == 1
    assert remarks[0].startswith(remark)


def test_statsd_is_taken_over(tmp_path: Path) -> None:
    text, remarks = convert(
        {"statsd_host": "statsd:9125", "statsd_prefix": "shop", "dogstatsd_tags": "env:prod,a:b"}
    )
    assert remarks == []
    config = read_back(tmp_path, text)
    assert (config.statsd, config.statsd_prefix) == ("statsd:9125", "shop.prowingen.")
    assert config.statsd_tags == ("env:prod", "a:b")


@pytest.mark.parametrize(
    ("settings", "remarks"),
    [
        ({"statsd_host": None, "statsd_prefix": "", "dogstatsd_tags": ""}, []),
        (
            {"statsd_prefix": "shop", "dogstatsd_tags": "a:b"},
            [
                "statsd_prefix: not taken over: it needs statsd, such as 127.0.0.1:8125",
                "dogstatsd_tags: not taken over: it needs statsd, such as 127.0.0.1:8125",
            ],
        ),
        (
            {"enable_backlog_metric": True},
            [
                "enable_backlog_metric: with statsd, queue_length says how many requests wait: "
                "see docs/metrics.md"
            ],
        ),
    ],
)
def test_without_an_address_of_statsd_nothing_is(
    settings: dict[str, Any], remarks: list[str]
) -> None:
    assert convert_alone(**settings) == ({}, remarks)


def test_defaults_that_a_user_may_rely_on_are_mentioned() -> None:
    _, remarks = convert({"bind": "unix:/run/a.sock"})
    assert [remark.partition(":")[0] for remark in remarks] == ["umask"]
    assert "set umask, or user and group" in remarks[0]


def test_an_address_of_both_families_is_said_to_be_one(tmp_path: Path) -> None:
    text, remarks = convert({"bind": "[::]:80"})
    assert read_back(tmp_path, text).bind == ("[::]:80",)
    assert len(remarks) == 1
    assert remarks[0].startswith("bind: [::]:80: serves IPv4 too")
    assert "ipv6_only" in remarks[0]
    _, remarks = convert({"bind": ["[::]:80", "0.0.0.0:80", "[::1]:81"]})
    assert remarks == []


@pytest.mark.parametrize(
    ("settings", "remark"),
    [
        (
            {"access_log_format": "%(h)s %({wsgi.url_scheme}e)s"},
            'access_log_format: not taken over: "%({wsgi.url_scheme}e)s" is no field',
        ),
        ({"access_log_format": "%(h)-15s"}, 'access_log_format: not taken over: "%(h)-15s" is no'),
        ({"sendfile": False}, "sendfile: files are sent with sendfile(2)"),
        ({"limit_request_line": -1}, "limit_request_line: not taken over: max_request_line: "),
        ({"pidfile": "a\0b"}, "pidfile: not taken over: pidfile: "),
        ({"pidfile": "a\udc80"}, "pidfile: not taken over: "),
        ({"workers": None}, 'workers: not taken over: workers: "None": must be a whole number'),
        ({"ssl_context": print}, "ssl_context: TLS is OpenSSL's own here"),
        ({"secure_scheme_headers": {"X-A": "1"}}, "secure_scheme_headers: not taken over: X-For"),
        ({"cert_reqs": 7}, "cert_reqs: not taken over: must be 0, 1 or 2"),
        ({"post_fork": print}, "post_fork: hooks have no equivalent"),
        ({"raw_env": ["A=1"]}, "raw_env: write the variables to a file"),
        (
            {"http_protocols": "h1"},
            "http_protocols: both versions of HTTP are spoken: "
            'for h1 alone http = "1.1", for h2 alone http = "2"',
        ),
        ({"http_protocols": ["h2"]}, "http_protocols: both versions of HTTP are spoken: "),
        ({"http2_cleartext": "both"}, "http2_cleartext: HTTP/2 without TLS is spoken where a"),
        ({"http2_max_frame_size": 32768}, "http2_max_frame_size: limits of HTTP/2 are fixed"),
        ({"worker_class": "gevent"}, "worker_class: gevent: applications run in threads here"),
        ({"backlog": 10**9}, "backlog: not taken over: backlog: "),
        ({"bind": "host:99999"}, 'bind: not taken over: bind: "host:99999": port must be 0–65535'),
    ],
)
def test_what_has_none_is_listed_with_a_way_out(settings: dict[str, Any], remark: str) -> None:
    _, remarks = convert_alone(**settings)
    assert len(remarks) == 1
    assert remarks[0].startswith(remark)


def test_every_setting_of_gunicorn_is_known() -> None:
    config = pytest.importorskip("gunicorn.config")
    known = {*BECOMES, *LACKING, "wsgi_app", "worker_class"}
    assert {setting.name for setting in config.KNOWN_SETTINGS} <= known
    assert not BECOMES.keys() & LACKING.keys()
    assert USUAL.keys() <= LACKING.keys()


def test_values_that_need_no_word_are_gunicorns_defaults() -> None:
    config = pytest.importorskip("gunicorn.config")
    defaults = {setting.name: setting.default for setting in config.KNOWN_SETTINGS}
    for name in USUAL.keys() & defaults.keys():
        assert not asks_for_something(name, defaults[name])


def test_defaults_are_gunicorns() -> None:
    config = pytest.importorskip("gunicorn.config")
    defaults = {setting.name: setting.default for setting in config.KNOWN_SETTINGS}
    assert {name: defaults[name] for name in _DEFAULTS} == _DEFAULTS
    plain = config.AccessLogFormat.default
    assert convert_alone(access_log_format=plain) == ({"access_log_format": plain}, [])


COUNTS = st.integers(-2, 10**5) | st.none() | st.booleans() | st.sampled_from(["3", "x", "auto"])
TEXTS = st.text(max_size=8) | st.none()
SETTINGS = {
    **dict.fromkeys([name for name in BECOMES if name != "bind"], COUNTS | TEXTS),
    "bind": st.lists(st.sampled_from(["unix:/a", "h:80", "tcp://h", "[::1]:8", "?", ""]) | TEXTS),
    "access_log_format": st.text("%(){}hse ", max_size=8),
    "wsgi_app": TEXTS,
}


@settings(deadline=None)
@given(st.fixed_dictionaries({}, optional=SETTINGS))
def test_what_is_written_is_read(settings: dict[str, Any]) -> None:
    text, remarks = convert(settings)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "prowingen.toml").write_text(text, encoding="utf-8")
        Sources({}, str(Path(folder) / "prowingen.toml"), {}).read()
    assert all("\n" not in remark for remark in remarks)


@given(st.one_of(st.text(st.characters(exclude_categories=["Cs"])), st.integers(-(2**60), 2**60)))
def test_values_are_toml(value: object) -> None:
    assert tomllib.loads(f"x = {toml_value(value)}")["x"] == value


def run(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "prowingen_wsgi", "import-gunicorn", *arguments]
    unset = ("GUNICORN_CMD_ARGS", "WEB_CONCURRENCY", "PORT", "FORWARDED_ALLOW_IPS")
    env = {name: value for name, value in os.environ.items() if name not in unset}
    return subprocess.run(
        command, cwd=folder, env=env | variables, capture_output=True, text=True, check=False
    )


def test_the_command_runs_the_file_and_writes_another(tmp_path: Path) -> None:
    (tmp_path / "shared.py").write_text("CORES = 2\n")
    (tmp_path / "gunicorn.conf.py").write_text(
        "import shared\n"
        "print('in the file')\n"
        "assert __name__ == '__config__'\n"
        "workers = 2 * shared.CORES + 1\n"
        "def on_exit(server): pass\n"
    )
    result = run(tmp_path, "gunicorn.conf.py")
    assert result.returncode == 0
    assert tomllib.loads(result.stdout)["workers"] == 5
    assert result.stderr.startswith("in the file\non_exit: hooks have no equivalent")
    assert run(tmp_path, "gunicorn.conf.py", "-o", "prowingen.toml").returncode == 0
    assert (tmp_path / "prowingen.toml").read_text() == result.stdout
    again = run(tmp_path, "gunicorn.conf.py", "-o", "prowingen.toml")
    assert again.returncode == 1
    assert "--force replaces it" in again.stderr
    assert run(tmp_path, "gunicorn.conf.py", "-o", "prowingen.toml", "--force").returncode == 0


def test_variables_that_gunicorn_reads_are_mentioned(tmp_path: Path) -> None:
    (tmp_path / "conf.py").write_text("workers = 2\n")
    variables = {"GUNICORN_CMD_ARGS": "--threads 4", "WEB_CONCURRENCY": "3", "PORT": "80"}
    result = run(tmp_path, "conf.py", **variables)
    told = [line for line in result.stderr.splitlines() if "the variable is not taken over" in line]
    assert [line.partition(":")[0] for line in told] == ["GUNICORN_CMD_ARGS", "PORT"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = 1\n1 / 0\n", "bad.py: line 2: ZeroDivisionError: division by zero"),
        ("def f(): 1 / 0\n\nf()\n", "bad.py: line 1: ZeroDivisionError"),
        ("workers = \n", "bad.py: SyntaxError: invalid syntax (bad.py, line 1)"),
        ("raise SystemExit(0)\n", "bad.py: line 1: SystemExit: 0"),
    ],
)
def test_a_file_that_cannot_be_run_is_named_in_one_line(
    tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "bad.py").write_text(text)
    result = run(tmp_path, "bad.py")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith(f"prowingen import-gunicorn: {message}")
    assert len(result.stderr.splitlines()) == 1


def test_files_that_cannot_be_had_are_named_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "conf.py").write_text("workers = 2\n")
    missing = run(tmp_path, "none.py")
    assert missing.stderr == "prowingen import-gunicorn: none.py: there is no such file\n"
    nowhere = run(tmp_path, "conf.py", "-o", "nowhere/x.toml")
    assert (missing.returncode, nowhere.returncode) == (1, 1)
    assert nowhere.stderr == (
        "prowingen import-gunicorn: nowhere/x.toml: No such file or directory\n"
    )


def test_a_current_directory_that_is_gone_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "conf.py").write_text("workers = 2\n")
    gone = tmp_path / "gone"
    gone.mkdir()
    script = 'rmdir "$0" && exec "$1" -m prowingen_wsgi import-gunicorn "$2"'
    result = subprocess.run(
        ["sh", "-c", script, gone, sys.executable, tmp_path / "conf.py"],
        cwd=gone,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stderr) == (
        1,
        "prowingen import-gunicorn: the current directory is gone: change to one that exists\n",
    )
