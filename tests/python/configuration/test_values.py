from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prowingen_wsgi.configuration.values import (
    BadValueError,
    Choice,
    Count,
    Kind,
    Many,
    Seconds,
    Size,
    Switch,
    Text,
)

if TYPE_CHECKING:
    from collections.abc import Callable

COUNT = Count(1, 4096)
SIZE = Size(0, 2**50)
SECONDS = Seconds(0, 86400)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (COUNT, "8", 8),
        (COUNT, " 8 ", 8),
        (COUNT, "+8", 8),
        (SIZE, "512", 512),
        (SIZE, "512b", 512),
        (SIZE, "10k", 10240),
        (SIZE, "10K", 10240),
        (SIZE, "64KiB", 65536),
        (SIZE, "64 kib", 65536),
        (SIZE, "64kB", 64000),
        (SIZE, "1MiB", 2**20),
        (SIZE, "1.5MiB", 3 * 2**19),
        (SIZE, "2g", 2**31),
        (SECONDS, "30", 30.0),
        (SECONDS, "0.25", 0.25),
        (SECONDS, "500ms", 0.5),
        (SECONDS, "30 s", 30.0),
        (SECONDS, "2m", 120.0),
        (SECONDS, "1h", 3600.0),
        (SECONDS, "1d", 86400.0),
        (Switch(), "on", True),
        (Switch(), "No", False),
        (Choice(("auto", "embedded")), "Embedded", "embedded"),
        (Text(), "", ""),
        (Many(str.lower), "a, b,", ("a", "b")),
    ],
)
def test_a_text_is_read(kind: Kind, text: str, value: object) -> None:
    read = kind.parse(text)
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("kind", "text", "reason"),
    [
        (COUNT, "", "must be a whole number, 1–4096"),
        (COUNT, "0", "must be a whole number, 1–4096"),
        (COUNT, "4097", "must be a whole number, 1–4096"),
        (COUNT, "1_0", "must be a whole number, 1–4096"),
        (COUNT, "٣", "must be a whole number, 1–4096"),
        (COUNT, "1.0", "must be a whole number, 1–4096"),
        (SIZE, "-1", "must be a number of bytes such as 512, 64KiB, 10k or 1MiB, 0–1PiB"),
        (SIZE, "1XB", "must be a number of bytes such as 512, 64KiB, 10k or 1MiB, 0–1PiB"),
        (SIZE, "2000t", "must be a number of bytes such as 512, 64KiB, 10k or 1MiB, 0–1PiB"),
        (SECONDS, "nan", "must be a duration such as 30, 500ms or 2m, 0s–1d"),
        (SECONDS, "inf", "must be a duration such as 30, 500ms or 2m, 0s–1d"),
        (SECONDS, "2d", "must be a duration such as 30, 500ms or 2m, 0s–1d"),
        (SECONDS, "1e3", "must be a duration such as 30, 500ms or 2m, 0s–1d"),
        (Switch(), "maybe", "must be on or off (also yes/no, true/false, 1/0)"),
        (Choice(("auto", "embedded")), "nginx", "must be one of auto, embedded"),
        (Text(), "a\r\nb", "must be printable ASCII"),
        (Text(ascii_only=False), "a\0b", "must be text without NUL"),
        (Many(str.lower), " , ", "must be one or more, separated by commas"),
    ],
)
def test_a_wrong_text_is_refused_with_what_is_allowed(kind: Kind, text: str, reason: str) -> None:
    with pytest.raises(BadValueError) as refused:
        kind.parse(text)
    assert refused.value.reason == reason


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (COUNT, True),
        (COUNT, 8.0),
        (COUNT, None),
        (SIZE, False),
        (SIZE, 1.0),
        (SECONDS, True),
        (SECONDS, math.nan),
        (SECONDS, math.inf),
        (Switch(), 1),
        (Text(), b"bytes"),
        (Choice(("auto",)), 3),
        (Many(str.lower), "text"),
        (Many(str.lower), [3]),
        (Many(str.lower), []),
    ],
)
def test_a_value_of_another_type_is_refused(kind: Kind, value: object) -> None:
    with pytest.raises(BadValueError):
        kind.check(value)


def test_seconds_may_be_an_int_and_many_a_list() -> None:
    assert SECONDS.check(30) == 30.0
    assert type(SECONDS.check(30)) is float
    assert Many(str.lower).check(["a"]) == ("a",)


def _check_round_trip(kind: Kind, value: object) -> None:
    assert kind.parse(kind.format(value)) == value


@given(st.integers(0, 2**50))
def test_a_written_size_reads_back(value: int) -> None:
    _check_round_trip(SIZE, value)


@given(st.integers(0, 86_400_000))
def test_a_written_duration_reads_back(milliseconds: int) -> None:
    _check_round_trip(SECONDS, milliseconds / 1000)


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        (SIZE, 0, "0"),
        (SIZE, 1536, "1536"),
        (SIZE, 2**20, "1MiB"),
        (SECONDS, 0.0, "0s"),
        (SECONDS, 0.5, "500ms"),
        (SECONDS, 90.0, "90s"),
        (SECONDS, 1.25, "1.25s"),
        (SECONDS, 0.00001, "0.00001s"),
        (SECONDS, 3600.0, "1h"),
        (Switch(), True, "on"),
        (Many(str.lower), ("a", "b"), "a,b"),
    ],
)
def test_a_value_is_written_as_a_user_would(kind: Kind, value: object, text: str) -> None:
    assert kind.format(value) == text


def test_the_wrong_one_of_several_is_named() -> None:
    def check(text: str) -> None:
        if text == "b":
            raise ValueError("must not be b")

    check_one: Callable[[str], object] = check
    with pytest.raises(BadValueError, match=r'^"b": must not be b$'):
        Many(check_one).parse("a,b")
