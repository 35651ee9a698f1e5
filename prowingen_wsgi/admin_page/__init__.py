"""The page that a server shows to administrators: one document, which asks /-/events for what it
shows, and for nothing else.

Its style and its script are inline. The policy that it is served with names them by their hashes,
so that a browser runs no other, whatever text of a client's the page may show.
"""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

__all__ = ["admin_page"]

_DOCUMENT = Path(__file__).with_name("page.html")


def admin_page() -> tuple[bytes, str]:
    """The document, and its Content-Security-Policy."""
    document = _DOCUMENT.read_bytes()
    policy = (
        "default-src 'none'",
        f"style-src {_hashes(b'style', document)}",
        f"script-src {_hashes(b'script', document)}",
        "img-src data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
    return document, "; ".join(policy)


def _hashes(tag: bytes, document: bytes) -> str:
    """Of what is in each element of that kind, as a policy has them (CSP 3, section 2.3.1)."""
    found = re.findall(rb"<%b(?:\s[^>]*)?>(.*?)</%b>" % (tag, tag), document, re.DOTALL)
    digests = (base64.b64encode(hashlib.sha256(text).digest()).decode() for text in found)
    return " ".join(f"'sha256-{digest}'" for digest in digests) or "'none'"
