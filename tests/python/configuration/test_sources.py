"""Everything that a command's configuration is read from, and read again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from prowingen_wsgi.configuration.config import ConfigError
from prowingen_wsgi.configuration.sources import Sources

if TYPE_CHECKING:
    from pathlib import Path

Given = dict[str, list[tuple[str, str]]]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def sources(environ: dict[str, str] | None = None, **given: str) -> Sources:
    flags: Given = {name: [(f"--{name.replace('_', '-')}", text)] for name, text in given.items()}
    return Sources(flags, "", {} if environ is None else environ)


def test_the_command_line_wins_over_the_environment_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "prowingen.toml").write_text("threads = 1\nio_threads = 1\nbacklog = 1\n")
    environ = {"PROWINGEN_THREADS": "2", "PROWINGEN_IO_THREADS": "2"}
    reading = sources(environ, threads="3").read()
    config, source = reading.config, reading.resolved.sources
    assert (config.threads, config.io_threads, config.backlog) == (3, 2, 1)
    assert source["threads"] == "--threads"
    assert source["io_threads"] == "PROWINGEN_IO_THREADS"
    assert source["backlog"] == "prowingen.toml"
    assert source["engine"] == "default"


def test_a_file_is_read_anew_each_time(tmp_path: Path) -> None:
    (tmp_path / "prowingen.toml").write_text('app = "a:b"\nthreads = 1\n')
    read = sources()
    assert read.read().app == "a:b"
    (tmp_path / "prowingen.toml").write_text('app = "c:d"\nthreads = 2\n')
    reading = read.read()
    assert (reading.app, reading.config.threads) == ("c:d", 2)


def test_a_missing_file_is_said_with_what_names_it() -> None:
    with pytest.raises(ConfigError, match=r'^PROWINGEN_CONFIG: "none\.toml": there is no such'):
        sources({"PROWINGEN_CONFIG": "none.toml"}).read()
    with pytest.raises(ConfigError, match=r'^--config: "none\.toml": there is no such'):
        Sources({}, "none.toml", {"PROWINGEN_CONFIG": "other.toml"}).read()


def test_the_environment_can_name_the_file(tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text("threads = 5\n")
    assert sources({"PROWINGEN_CONFIG": "other.toml"}).read().config.threads == 5


def test_variables_of_a_file_count_as_those_of_the_environment(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PROWINGEN_THREADS=7\nNAME=a\nPROWINGEN_THRADS=1\n")
    environ = {"PROWINGEN_ENV_FILE": ".env"}
    reading = sources(environ).read()
    assert reading.config.threads == 7
    assert reading.resolved.sources["threads"] == "PROWINGEN_THREADS"
    assert reading.variables["NAME"] == "a"
    assert len(reading.warnings) == 1
    assert "PROWINGEN_THRADS is no option" in reading.warnings[0]
    assert environ == {"PROWINGEN_ENV_FILE": ".env"}, "setting them is the application's loader's"


def test_a_file_or_the_command_line_can_name_the_file_of_variables(tmp_path: Path) -> None:
    (tmp_path / "one").write_text("NAME=1\n")
    (tmp_path / "two").write_text("NAME=2\n")
    (tmp_path / "prowingen.toml").write_text('env_file = "one"\n')
    assert sources().read().variables == {"NAME": "1"}
    assert sources(env_file="two").read().variables == {"NAME": "2"}


def test_each_reading_has_the_variables_of_its_own_file_alone(tmp_path: Path) -> None:
    read = sources(env_file=".env")
    (tmp_path / ".env").write_text("A=1\nB=1\n")
    assert read.read().variables == {"A": "1", "B": "1"}
    (tmp_path / ".env").write_text("B=2\nC=${A:-none}\n")
    assert read.read().variables == {"B": "2", "C": "none"}


def test_a_file_that_is_passed_over_is_mentioned(tmp_path: Path) -> None:
    (tmp_path / "prowingen.toml").write_text("")
    (tmp_path / "pyproject.toml").write_text("[tool.prowingen]\n")
    assert sources().read().warnings == [
        "[tool.prowingen] in pyproject.toml is not read, since there is prowingen.toml"
    ]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"preload": "on"}, "--preload: it needs a supervisor: --workers 1 or more"),
        ({"max_rss": "1GiB"}, "--max-rss: it needs a supervisor"),
        ({"workers": "1", "max_requests_jitter": "5"}, "it needs max_requests"),
        ({"response_cache": "64"}, "--response-cache: less than 64KiB holds no answers"),
        ({"response_cache_max_answer": "1KiB"}, "it needs response_cache, such as 64MiB"),
        ({"trace_response": "on"}, "--trace-response: it needs trace_context"),
        ({"max_stuck": "5"}, "--max-stuck: it needs request_timeout"),
        (
            {"request_timeout": "2s", "request_timeout_raise": "2s"},
            "--request-timeout-raise: it must be shorter than request_timeout, which is 2 s",
        ),
        (
            {"request_timeout": "9s", "request_timeout_raise": "2s", "request_timeout_of": "/a=1s"},
            "it must be shorter than /a=1s, which is 1 s",
        ),
        ({"workers": "1", "reload": "on", "preload": "on"}, "it does not go with reload"),
        ({"reload_paths": "x"}, "it needs reload"),
        ({"http3": "on"}, "--http3: it needs certfile"),
        ({"http3": "on", "certfile": "x", "cert_reqs": "required"}, "does not go with cert_reqs"),
        ({"alt_svc": "clear"}, "--alt-svc: it needs http3"),
        ({"acme_email": "me@example.org"}, "--acme-email: it needs acme_domain"),
        ({"acme_folder": "x"}, "--acme-folder: it needs acme_domain"),
        ({"acme_domain": "a.example", "keyfile": "x"}, "--keyfile: it needs certfile"),
        ({"acme_domain": "a.example", "https": "on"}, "--https: it does not go with acme_domain"),
        ({"acme_domain": "a.example", "acme_challenge": "http-01"}, "needs redirect_http"),
        ({"acme_domain": "a.example", "acme_directory": "http://b"}, "must be a URL of https"),
        ({"acme_domain": "*.a.example"}, "must be a whole name: one with * is issued by"),
        ({"acme_domain": "192.0.2.1"}, "must be a name, and no address"),
        ({"acme_domain": "bücher.example"}, "must be the name of a host"),
    ],
)
def test_options_that_do_nothing_alone_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        sources(None, **given).read()
    assert message in str(refused.value)


def test_such_a_mistake_in_the_file_is_named_with_its_key(tmp_path: Path) -> None:
    (tmp_path / "prowingen.toml").write_text("max_requests = 10\n")
    with pytest.raises(ConfigError) as refused:
        sources().read()
    assert str(refused.value).startswith("prowingen.toml: max_requests: it needs a supervisor")
