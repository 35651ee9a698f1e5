"""Values that more than one importer makes of what their servers have."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..configuration.addresses import with_ipv4
from ..configuration.config import OPTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from .conversion import Conversion


def at_least_usual(option: str, read: Callable[[str], int]) -> Callable[[str], int]:
    """Reads a limit that somebody has raised there, and may be below the usual one here."""
    usual: int = OPTIONS[option].default
    return lambda text: min(max(read(text), usual), largest(option))


def largest(option: str) -> int:
    """The most that an option takes."""
    return OPTIONS[option].kind.maximum  # type: ignore[attr-defined, no-any-return]


def raise_request_line(conversion: Conversion, reason: str) -> None:
    """Where one buffer is for a whole request head, a long target is as much a part of it as fields
    are: what is more than usual here is meant for both."""
    size = conversion.options.get("max_header_bytes", 0)
    if size > OPTIONS["max_header_bytes"].default:
        line = min(size, largest("max_request_line"))
        conversion.derive("max_request_line", line, f"{reason}, for the request line")


def umask_for(mode: str) -> str:
    """The mask by which a socket's file can be connected to by whom its mode lets write it.

    Raises ValueError.
    """
    if not re.fullmatch(r"0?[0-7]{3}", mode):
        raise ValueError(f'"{mode}": must be three octal digits, such as 660')
    return f"0{_mask(mode[-2])}{_mask(mode[-1])}"


def _mask(digit: str) -> str:
    if digit == "0":
        return "7"
    return "0" if int(digit) & 2 else "2"


def both_families(bind: Sequence[str], server: str) -> Iterator[str]:
    """A remark about each address that serves IPv4 too, as other servers' do by default."""
    for address, place in zip(bind, with_ipv4(bind), strict=True):
        if address != place:
            yield (
                f"{address}: serves IPv4 too, as under {server} unless the system's "
                "net.ipv6.bindv6only is set: ipv6_only = true for IPv6 alone"
            )
