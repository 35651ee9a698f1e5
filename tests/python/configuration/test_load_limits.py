"""Texts of limits: Python reads them with the options, the native side when it is made."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prowingen_wsgi.configuration.arguments import parse_arguments
from prowingen_wsgi.configuration.config import Config, ConfigError
from prowingen_wsgi.configuration.conflicts import check_together, conflicts
from prowingen_wsgi.configuration.layers import arguments_layer, merge
from prowingen_wsgi.configuration.load_limits import (
    parse_max_concurrency,
    parse_rate_limit,
    plain_prefix,
)

native: Any = pytest.importorskip("prowingen_wsgi._native")


def natively_read(name: str, text: str) -> bool:
    options = {**Config().native_options(), name: (text,)}
    try:
        native.Server((), [], options, log=print, access_log=None)
    except ValueError:
        return False
    return True


def read(name: str, text: str) -> bool:
    try:
        (parse_rate_limit if name == "rate_limit" else parse_max_concurrency)(text)
    except ValueError:
        return False
    return True


NUMBERS = st.sampled_from(
    ["0", "1", "007", "100", "1000000", "1000001", "-1", "+1", "1.5", "", "\u0663"]
)
RATES = st.one_of(
    st.just("off"),
    st.builds("{}/{}".format, NUMBERS, st.sampled_from(["s", "m", "h", "d", "", "S", "s "])),
    st.builds("{}/s burst {}".format, NUMBERS, NUMBERS),
    st.text("019/smh burstoff", max_size=12),
)


@given(st.sampled_from(["", "/a=", "/=", "/a=b="]), RATES)
def test_both_read_rates_alike(prefix: str, rate: str) -> None:
    text = prefix + rate
    assert read("rate_limit", text) == natively_read("rate_limit", text)


@given(st.one_of(NUMBERS, st.sampled_from(["4096", "4097", " 1", "1 "])))
def test_both_read_counts_alike(count: str) -> None:
    text = f"/a={count}"
    assert read("max_concurrency", text) == natively_read("max_concurrency", text)


@pytest.mark.parametrize(
    "text", ["100/s", "600/m", "1/h burst 1000000", "/login=5/m", "/a%20b=off", "/=1/s", "/a=b=1/s"]
)
def test_what_is_a_rate(text: str) -> None:
    assert read("rate_limit", text)


@pytest.mark.parametrize("prefix", ["a", "", "/a//b", "/./a", "/a/%2e%2E/b", "/a%", "/a%2", "/a?b"])
def test_a_prefix_that_no_client_sends_is_refused(prefix: str) -> None:
    assert not read("rate_limit", f"{prefix}=1/s")
    assert not read("max_concurrency", f"{prefix}=1")


def test_a_prefix_is_the_same_however_it_is_written() -> None:
    assert plain_prefix("/log%69n/=5/m") == "/login"
    assert plain_prefix("5/m") == ""
    assert plain_prefix("/=5/m") == ""


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("rate_limit", ("/login=5/m", "1/s", "/log%69n/=6/m")),
        ("rate_limit", ("1/s", "/=2/s")),
        ("max_concurrency", ("/a=1", "/a/=2")),
    ],
)
def test_two_limits_for_one_prefix_are_none(name: str, texts: tuple[str, ...]) -> None:
    (found,) = conflicts(Config.from_values({name: texts}))
    assert found[0] == name
    assert found[1].endswith("are about the same paths: one limit for each")


def test_the_command_line_says_which() -> None:
    layer = arguments_layer(
        parse_arguments(["a:b", "--rate-limit", "1/s", "--rate-limit", "/=2/s"]).given
    )
    with pytest.raises(ConfigError, match=r'^--rate-limit: "1/s" and "/=2/s" are about the same'):
        check_together(merge(layer))


def test_a_burst_may_be_written_on_the_command_line() -> None:
    given = parse_arguments(["a:b", "--rate-limit", "100/s burst 200", "--rate-limit=/a=5/m"]).given
    assert merge(arguments_layer(given)).config.rate_limit == ("100/s burst 200", "/a=5/m")
