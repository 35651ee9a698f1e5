from __future__ import annotations

import pytest

from prowingen_wsgi.configuration.config import Config, ConfigError
from prowingen_wsgi.configuration.layers import (
    Setting,
    arguments_layer,
    environment_layer,
    merge,
    unknown_variables,
)


def test_without_sources_everything_is_a_default() -> None:
    resolved = merge()
    assert resolved.config == Config()
    assert set(resolved.sources.values()) == {"default"}


def test_the_command_line_wins_over_the_environment() -> None:
    resolved = merge(
        environment_layer({"PROWINGEN_THREADS": "2", "PROWINGEN_MAX_BODY": "1k"}),
        arguments_layer({"threads": [("-t", "3")]}),
    )
    assert resolved.config.threads == 3
    assert resolved.config.max_body == 1024
    assert resolved.sources["threads"] == "-t"
    assert resolved.sources["max_body"] == "PROWINGEN_MAX_BODY"
    assert resolved.sources["engine"] == "default"


def test_a_further_layer_goes_between() -> None:
    file = {"threads": Setting(5, "prowingen.toml"), "io_threads": Setting(2, "prowingen.toml")}
    resolved = merge(file, environment_layer({"PROWINGEN_THREADS": "2"}))
    assert resolved.config.threads == 2
    assert resolved.config.io_threads == 2
    assert resolved.sources["io_threads"] == "prowingen.toml"


def test_a_repeated_flag_adds_an_address_and_replaces_anything_else() -> None:
    layer = arguments_layer(
        {
            "bind": [("--bind", ":80"), ("-b", "unix:/tmp/a,b")],
            "threads": [("--threads", "2"), ("--threads", "3")],
        }
    )
    assert layer["bind"] == Setting((":80", "unix:/tmp/a,b"), "-b")
    assert layer["threads"] == Setting(3, "--threads")


def test_a_flag_holds_several_of_what_has_no_commas() -> None:
    flag = "--proxy-allow-ips"
    layer = arguments_layer(
        {"proxy_allow_ips": [(flag, text) for text in ("10.0.0.0/8, ::1", "unix")]}
    )
    assert layer["proxy_allow_ips"] == Setting(("10.0.0.0/8", "::1", "unix"), flag)
    assert arguments_layer({"proxy_allow_ips": [(flag, "")]})["proxy_allow_ips"].value == ()


def test_a_variable_holds_several_addresses() -> None:
    layer = environment_layer({"PROWINGEN_BIND": "localhost:1, unix:/tmp/x"})
    assert layer["bind"].value == ("localhost:1", "unix:/tmp/x")


def test_an_empty_variable_turns_a_text_off() -> None:
    resolved = merge(environment_layer({"PROWINGEN_SERVER_HEADER": ""}))
    assert resolved.config.server_header == ""


def test_a_wrong_value_is_named_with_its_variable_or_flag() -> None:
    with pytest.raises(ConfigError, match=r'^PROWINGEN_THREADS: "x": must be a whole number'):
        environment_layer({"PROWINGEN_THREADS": "x"})
    with pytest.raises(ConfigError, match=r'^--bind: "localhost:99999": port must be 0–65535$'):
        arguments_layer({"bind": [("--bind", "localhost:99999")]})


def test_unknown_variables_are_reported_with_the_nearest() -> None:
    warnings = unknown_variables(
        {"PROWINGEN_THRADS": "1", "PROWINGEN_ZZZ": "1", "PROWINGEN_SERVER": "wsgi", "HOME": "/"}
    )
    assert warnings == [
        'the environment\'s PROWINGEN_THRADS is no option; did you mean "PROWINGEN_THREADS"?',
        "the environment's PROWINGEN_ZZZ is no option",
    ]
