"""What is said about statsd, as text: where it listens, how names begin, and tags.

    host:port   host   [v6]:port   udp://host:port   unix:/path

A host alone gets port 8125.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .addresses import TcpAddress, UnixAddress, anchored_address, parse_address
from .values import BadValueError, Text

if TYPE_CHECKING:
    from .config import Config

DEFAULT_PORT = 8125

LONGEST_TAGS = 512
"""Bytes that the tags of each line may have together: a line has to go into a datagram."""

_LONGEST_PREFIX = 128
# What a kernel's structure has room for, less the NUL: 108 bytes with Linux, 104 with others.
_LONGEST_SOCKET_PATH = 103
_FORMS = "must be host:port, [v6]:port, host or unix:/path of a datagram socket"


@dataclass(frozen=True)
class StatsdAddress(Text):
    """Where datagrams go; or nothing."""

    metavar: str = "ADDRESS"
    ascii_only: bool = False

    def check(self, value: object) -> str:
        text = super().check(value)
        if text:
            parse_statsd_address(text)
        return text

    def anchored(self, value: object, folder: Path) -> str:
        assert isinstance(value, str)
        return anchored_address(value, folder) if value.startswith("unix:") else value


def parse_statsd_address(text: str) -> TcpAddress | UnixAddress:
    """Reads an address, which is UDP's if it is none of a Unix socket. Raises BadValueError."""
    try:
        # A scheme of its own, so that one of these names can be a host's.
        address = parse_address(re.sub(r"^udp://", "tcp://", text))
    except ValueError as error:
        raise BadValueError(text, str(error) if "port must" in str(error) else _FORMS) from None
    if isinstance(address, UnixAddress):
        if len(bytes(Path(address.path))) > _LONGEST_SOCKET_PATH:
            raise BadValueError(text, f"its path is longer than {_LONGEST_SOCKET_PATH} bytes")
        return address
    if not isinstance(address, TcpAddress) or text.startswith("tcp://") or not address.host:
        raise BadValueError(text, _FORMS)
    if re.search(r":\d+$", text.replace(f"[{address.host}]", "")) is None:
        return TcpAddress(address.host, DEFAULT_PORT)
    if address.port == 0:
        raise BadValueError(text, "port must be 1–65535")
    return address


@dataclass(frozen=True)
class NamePrefix(Text):
    """What names begin with, parts with dots between them; or nothing."""

    metavar: str = "PREFIX"

    def check(self, value: object) -> str:
        text = super().check(value)
        named = re.fullmatch(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?", text, re.ASCII)
        if text and (named is None or len(text) > _LONGEST_PREFIX):
            raise BadValueError(text, f"must be {self.allowed}")
        return text

    @property
    def allowed(self) -> str:
        return (
            f"letters, digits, _ and -, with dots between, such as shop.web, at most "
            f"{_LONGEST_PREFIX} of them"
        )


def parse_tag(text: str) -> str:
    """Reads a tag of DogStatsD, and returns it. Raises ValueError that says what is allowed."""
    if not text or not text.isprintable() or re.search(r"[\s|,#]", text):
        raise ValueError("must be a tag such as env:prod, without spaces, commas, | and #")
    return text


def statsd_terms(
    config: Config,
) -> tuple[str, str, str, str, bool, str, tuple[str, ...], float] | None:
    """What the native side is given: the address as it is written, its host, port and path,
    whether labels are tags, the prefix, tags and the interval; nothing: nothing is pushed."""
    if not config.statsd:
        return None
    address = parse_statsd_address(config.statsd)
    host, port, path = "", "", ""
    if isinstance(address, UnixAddress):
        path = address.path
    else:
        host, port = address.host, str(address.port)
    tagged = config.statsd_format == "dogstatsd" or bool(config.statsd_tags)
    prefix = config.statsd_prefix.removesuffix(".")
    return (
        config.statsd,
        host,
        port,
        path,
        tagged,
        f"{prefix}." if prefix else "",
        config.statsd_tags,
        config.statsd_interval,
    )
