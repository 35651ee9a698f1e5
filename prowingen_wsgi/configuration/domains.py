"""Names that certificates are issued for."""

from __future__ import annotations

import re

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.IGNORECASE)
_LONGEST = 253


def parse_domain(text: str) -> str:
    """A host's name (RFC 1123 section 2.1), as it is. Raises ValueError with what is allowed."""
    if text.startswith("*."):
        raise ValueError(
            "must be a whole name: one with * is issued by a challenge of DNS, which takes another "
            "program, and certfile"
        )
    labels = text.split(".")
    if len(text) > _LONGEST or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError("must be the name of a host, one with other letters as xn--…")
    if labels[-1].isdecimal():
        raise ValueError("must be a name, and no address")
    return text
