from __future__ import annotations

import dataclasses
from dataclasses import replace
from pathlib import Path

import pytest

from prowingen_wsgi.configuration.config import OPTIONS, Config, ConfigError


def test_every_default_is_within_its_own_bounds() -> None:
    config = Config()
    for name, option in OPTIONS.items():
        assert getattr(config, name) == option.default


def test_every_option_says_what_it_means() -> None:
    for option in OPTIONS.values():
        assert option.help
        assert option.group
        assert option.kind.metavar or option.flags[-1].startswith("--no-")


def test_flags_and_variables_follow_from_the_name() -> None:
    assert OPTIONS["max_body"].flags == ("--max-body",)
    assert OPTIONS["max_body"].env == "PROWINGEN_MAX_BODY"
    assert OPTIONS["threads"].flags == ("-t", "--threads")
    assert OPTIONS["date_header"].flags == ("--date-header", "--no-date-header")


def test_no_flag_is_used_twice() -> None:
    flags = [flag for option in OPTIONS.values() for flag in option.flags]
    assert len(flags) == len(set(flags))


def test_a_written_configuration_reads_back() -> None:
    config = Config(
        bind=("[::1]:0", "unix:/tmp/x"), header_timeout=0.5, max_body=123, date_header=False
    )
    texts = {name: option.kind.format(getattr(config, name)) for name, option in OPTIONS.items()}
    assert Config.from_values(texts) == config


def test_values_are_accepted_as_a_command_line_writes_them() -> None:
    config = Config.from_values({"max_body": "10MiB", "keep_alive_timeout": "2m", "bind": ":80"})
    assert config.max_body == 10 * 2**20
    assert config.keep_alive_timeout == 120.0
    assert config.bind == (":80",)


def test_seconds_become_floats_and_addresses_a_tuple() -> None:
    config = Config.from_values({"body_timeout": 5, "bind": ["localhost", ":80"]})
    assert type(config.body_timeout) is float
    assert config.bind == ("localhost", ":80")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"threads": 0}, 'threads: "0": must be a whole number, 1–4096'),
        ({"threads": "many"}, 'threads: "many": must be a whole number, 1–4096'),
        ({"bind": "localhost:99999"}, 'bind: "localhost:99999": port must be 0–65535'),
        ({"bind": [":80", "::1"]}, 'bind: "::1": an IPv6 address must be in brackets'),
        ({"engine": "nginx"}, 'engine: "nginx": must be one of auto, embedded, proxygen'),
        ({"date_header": 1}, 'date_header: "1": must be on or off'),
    ],
)
def test_a_wrong_value_is_named_with_its_option(values: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        Config.from_values(values)
    assert str(refused.value).startswith(message)


def test_an_unknown_option_is_refused_with_the_nearest() -> None:
    with pytest.raises(TypeError, match=r'no option is called "thread"; did you mean "threads"'):
        Config.from_values({"thread": 4})


def test_a_configuration_does_not_change() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config().threads = 3  # type: ignore[misc]


def test_the_native_side_gets_its_options_and_no_others() -> None:
    native = Config(threads=3, max_body=7).native_options()
    assert native["threads"] == 3
    assert native["max_body"] == 7
    assert set(native) == {name for name, option in OPTIONS.items() if option.cpp_type}
    assert not {"bind", "backlog", "graceful_timeout", "log_level"} & set(native)


def test_native_types_are_what_the_options_struct_declares() -> None:
    python_types = {
        "std::size_t": int,
        "std::uint64_t": int,
        "double": float,
        "bool": bool,
        "std::string": str,
        "std::vector<std::string>": tuple,
    }
    for name, value in Config().native_options().items():
        assert type(value) is python_types[OPTIONS[name].cpp_type]


def test_options_of_the_command_are_refused_in_a_program() -> None:
    assert Config.embedded({"threads": 2}).threads == 2
    with pytest.raises(ConfigError, match="workers: it is an option of the command prowingen"):
        Config.embedded({"workers": 2})


def test_relative_paths_are_anchored_and_nothing_else_is(tmp_path: Path) -> None:
    config = Config(
        bind=("unix:a.sock", "127.0.0.1:0", "unix:/run/b.sock", "fd://3"),
        access_log="log",
        certfile=("/etc/server.pem",),
        keyfile=("keys/server.key",),
        spool_dir="spool",
        pidfile="pid",
        pythonpath=("lib", "/lib"),
        chdir="site",
        env_file=".env",
    )
    anchored = config.anchored(tmp_path)
    assert anchored == replace(
        config,
        bind=(f"unix:{tmp_path}/a.sock", "127.0.0.1:0", "unix:/run/b.sock", "fd://3"),
        access_log=f"{tmp_path}/log",
        keyfile=(f"{tmp_path}/keys/server.key",),
        spool_dir=f"{tmp_path}/spool",
        pidfile=f"{tmp_path}/pid",
        pythonpath=(f"{tmp_path}/lib", "/lib"),
    )
    assert anchored.anchored(Path("/elsewhere")) == anchored
    assert Config(access_log="-").anchored(tmp_path).access_log == "-"


def test_a_socket_keeps_a_path_that_alone_fits_the_kernel(tmp_path: Path) -> None:
    config = Config(bind=("unix:a.sock",))
    assert config.anchored(tmp_path / ("x" * 100)) == config


def test_a_relative_path_needs_a_current_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert Config(access_log="/log").anchored().access_log == "/log"
    with pytest.raises(ConfigError, match='access_log: "log": the current directory is gone'):
        Config(access_log="log").anchored()


def test_a_password_is_shown_nowhere() -> None:
    assert Config(keyfile_password="öffne").keyfile_password == "öffne"
    assert "öffne" not in repr(Config(keyfile_password="öffne"))
    with pytest.raises(ConfigError) as info:
        Config(keyfile_password="sesame\0")
    assert "sesame" not in str(info.value)
