"""Who is trusted, as text: addresses and networks of proxies, and what those may say.

The native side reads the same texts, in cpp/core/networks.cpp; a test has both read alike.
"""

from __future__ import annotations

FORWARDED_FIELDS = ("for", "proto", "host", "port", "prefix")

_ALLOWED = "must be an address, a network such as 10.0.0.0/8, unix or *"


def parse_network(text: str) -> str:
    """Reads an address, a network, `unix` or `*`, and returns it. Raises ValueError that says what
    is allowed, without the text."""
    if text in ("*", "unix"):
        return text
    from ipaddress import ip_network  # few name any

    _, slash, length = text.partition("/")
    # Masks and zones, which Python reads too, are not for lists that others have to understand.
    if "%" in text or (slash and not (length.isascii() and length.isdigit())):
        raise ValueError(_ALLOWED)
    try:
        ip_network(text)
    except ValueError as error:
        why = "; it has host bits set" if "host bits" in str(error) else ""
        raise ValueError(_ALLOWED + why) from None
    return text


def parse_forwarded_field(text: str) -> str:
    """Reads the name of something a proxy says. Raises ValueError that lists the names."""
    if text not in FORWARDED_FIELDS:
        raise ValueError(f"must be one of {', '.join(FORWARDED_FIELDS)}")
    return text
