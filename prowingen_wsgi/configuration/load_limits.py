"""Limits for what clients ask, as text: `RATE` or `PREFIX=RATE`, and `PREFIX=N`.

The native side reads the same texts, in cpp/limits; a test has both read alike.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

__all__ = ["check_prefix", "parse_max_concurrency", "parse_rate_limit", "plain_prefix"]

_MOST = 1_000_000
_RATE = re.compile(r"([0-9]{1,7})/[smh](?: burst ([0-9]{1,7}))?")
_RATE_ALLOWED = (
    "must be off, or requests for each second, minute or hour, 1 to 1000000, and perhaps a burst, "
    'such as 100/s, 5/m or "100/s burst 200", perhaps behind a path prefix, such as /login=5/m'
)
_MOST_WORKERS = 4096
_CONCURRENCY_ALLOWED = (
    f"must be a path prefix and a number of requests, 1 to {_MOST_WORKERS}, such as /reports=2"
)


def plain_prefix(text: str) -> str:
    """The prefix of a limit, decoded and without a slash at its end; "" if it has none."""
    return unquote(text.rpartition("=")[0], errors="surrogateescape").rstrip("/")


def parse_rate_limit(text: str) -> str:
    """Reads `RATE` or `PREFIX=RATE`, and returns it. Raises ValueError with what is allowed."""
    prefix, sign, rate = text.rpartition("=")
    match = _RATE.fullmatch(rate)
    if rate != "off" and not (
        match and all(1 <= int(each) <= _MOST for each in match.groups() if each)
    ):
        raise ValueError(_RATE_ALLOWED)
    if sign:
        check_prefix(prefix)
    return text


def parse_max_concurrency(text: str) -> str:
    """Reads `PREFIX=N`, and returns it. Raises ValueError with what is allowed."""
    prefix, sign, count = text.rpartition("=")
    if not (sign and re.fullmatch(r"[0-9]{1,4}", count) and 1 <= int(count) <= _MOST_WORKERS):
        raise ValueError(_CONCURRENCY_ALLOWED)
    check_prefix(prefix)
    return text


def check_prefix(prefix: str) -> None:
    """Raises ValueError that says what a path prefix is."""
    if not prefix.startswith("/"):
        raise ValueError('its prefix must begin with "/", as paths do')
    if re.search(r"%(?![0-9A-Fa-f]{2})", prefix):
        raise ValueError("its prefix has a % that is not followed by two hexadecimal digits")
    parts = unquote(prefix, errors="surrogateescape").rstrip("/").split("/")[1:]
    if any(part in ("", ".", "..") for part in parts) or not re.fullmatch(r"[!-~]+", prefix):
        raise ValueError("its prefix must be a path as clients send it, without //, . and ..")
    if set("?#") & set(prefix):
        raise ValueError("its prefix must be a path alone, without ? and #")
