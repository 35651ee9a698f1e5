"""Who is trusted, as text: addresses and networks of proxies, and what those may say."""

from __future__ import annotations

from ipaddress import ip_network

FORWARDED_FIELDS = ("for", "proto", "host", "port", "prefix")


def parse_network(text: str) -> str:
    """Reads an address, a network, `unix` or `*`, and returns it. Raises ValueError that says what
    is allowed, without the text."""
    if text not in ("*", "unix"):
        try:
            ip_network(text)
        except ValueError as error:
            why = "; it has host bits set" if "host bits" in str(error) else ""
            raise ValueError(
                f"must be an address, a network such as 10.0.0.0/8, unix or *{why}"
            ) from None
    return text


def parse_forwarded_field(text: str) -> str:
    """Reads the name of something a proxy says. Raises ValueError that lists the names."""
    if text not in FORWARDED_FIELDS:
        raise ValueError(f"must be one of {', '.join(FORWARDED_FIELDS)}")
    return text
