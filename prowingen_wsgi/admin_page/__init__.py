"""The page at /-/ of the administrators' address: one document, and the policy it is sent with.

Its sources are apart, so that each can be read: page.html, style.css, and the pieces of one script
in script/. Here they become a document that needs nothing else. The policy names what is in it by
its hash, so that nothing runs there, and nothing paints, that is not the package's own, whatever
clients have put into request lines.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path

__all__ = ["admin_page"]

_FOLDER = Path(__file__).resolve().parent
# One script, in this order: what a piece declares by `const` or `class` is there for later ones.
_PIECES = (
    "texts",
    "elements",
    "percentiles",
    "history",
    "canvas",
    "throughput",
    "heat_map",
    "tiles",
    "details",
    "threads",
    "workers",
    "causes",
    "controls",
    "connection",
    "keyboard",
    "main",
)


@cache
def admin_page() -> tuple[bytes, str]:
    """The document, in UTF-8, and its Content-Security-Policy; read once in a process and those
    that it forks.

    Raises OSError: a file is missing.
    """
    script = "\n".join(_read(f"script/{name}.js") for name in _PIECES)
    page = _read("page.html").replace("/* style */", _read("style.css"))
    document = page.replace("/* script */", script)
    return document.encode(), _policy(document)


def _read(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _policy(document: str) -> str:
    script = _hash(_between('<script type="module">', "</script>", document))
    style = _hash(_between("<style>", "</style>", document))
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {script}",
            f"style-src {style}",
            "connect-src 'self'",
            "img-src data:",  # the page's icon
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            # The script never makes markup out of texts, and with this it could not.
            "require-trusted-types-for 'script'",
        )
    )


def _between(begin: str, end: str, document: str) -> str:
    return document.partition(begin)[2].partition(end)[0]


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
