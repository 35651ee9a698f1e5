"""Texts of networks: Python reads them with the options, the native side when it starts."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prowingen_wsgi.configuration.config import Config
from prowingen_wsgi.configuration.networks import parse_forwarded_field, parse_network

native: Any = pytest.importorskip("prowingen_wsgi._native")


TAKEN = [
    "10.0.0.0/8",
    "192.0.2.1",
    "::1",
    "fd00::/8",
    "0.0.0.0/0",
    "::/0",
    "unix",
    "*",
    "::ffff:192.0.2.1",
    "::ffff:10.0.0.0/104",
    "10.0.0.0/08",
]
REFUSED = [
    "10.0.0.1/8",
    "10.0.0.0/33",
    "10.0.0",
    "010.0.0.1",
    "10.0.0.0/255.0.0.0",
    "::/129",
    "fe80::1%eth0",
    "[::1]",
    "::1/",
    "/8",
    "localhost",
    "10.0.0.0/-1",
    "UNIX",
    "fd00::1/8",
    "0x0a000001",
    "167772161",
]


def natively_read(text: str) -> bool:
    options = {**Config().native_options(), "forwarded_allow_ips": (text,)}
    try:
        native.Server((), [], options, log=print, access_log=None)
    except ValueError:
        return False
    return True


def read(text: str) -> bool:
    try:
        parse_network(text)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("text", TAKEN)
def test_what_both_take(text: str) -> None:
    assert read(text)
    assert natively_read(text)


@pytest.mark.parametrize("text", ["", " ", "1::2::3", "１０.0.0.1", "10.0.0.0/８", *REFUSED])
def test_what_neither_takes(text: str) -> None:
    assert not read(text)
    assert not natively_read(text)


TEXTS = st.one_of(
    st.builds("::ffff:{}/{}".format, st.ip_addresses(v=4), st.integers(80, 129)),
    st.builds("::ffff:{}.0.0.0/{}".format, st.integers(0, 255), st.integers(80, 129)),
    st.builds("::/{}".format, st.integers(0, 129)),
    st.ip_addresses().map(str),
    st.builds("{}/{}".format, st.ip_addresses(), st.integers(0, 130)),
    st.text("0123456789abcdef:./%*x ", max_size=20),
)


@given(TEXTS)
def test_both_read_alike(text: str) -> None:
    assert read(text) == natively_read(text)


def test_names_of_what_a_proxy_says() -> None:
    assert parse_forwarded_field("host") == "host"
    with pytest.raises(ValueError, match="must be one of for, proto, host, port, prefix"):
        parse_forwarded_field("by")
