"""Content codings and the media types that they are for, as text."""

from __future__ import annotations

import re

__all__ = ["COMPRESSIBLE_TYPES", "parse_coding", "parse_media_type"]

_LEVELS = {"zstd": range(1, 20), "br": range(12), "gzip": range(1, 10)}

_OF_TYPES = re.compile(r"[!#$%&'+.^_`|~0-9A-Za-z/-]*")

COMPRESSIBLE_TYPES = (
    "text/*",
    "application/json",
    "application/javascript",
    "application/xml",
    "application/wasm",
    "*+json",
    "*+xml",
    "font/ttf",
    "font/otf",
    "image/bmp",
)
"""What is text, or holds long runs of the same, and has no compression of its own."""


def parse_coding(text: str) -> str:
    """Reads `zstd`, `br` or `gzip`, with `:LEVEL` or without, and returns it.

    Raises ValueError with what is allowed.
    """
    coding, colon, level = text.partition(":")
    levels = _LEVELS.get(coding)
    if levels is None:
        raise ValueError("must be zstd, br or gzip, such as gzip:6")
    if colon and not (level.isascii() and level.isdigit() and int(level) in levels):
        raise ValueError(f"the level of {coding} must be {levels[0]} to {levels[-1]}")
    return text


def parse_media_type(text: str) -> str:
    """Reads a media type, or a pattern of them, and returns it.

    Raises ValueError with what is allowed.
    """
    before, asterisk, after = text.partition("*")
    slashes = text.count("/")
    if not _OF_TYPES.fullmatch(before + after) or slashes > 1 or not (asterisk or slashes):
        raise ValueError("must be a media type, with one * at most, such as text/* or *+json")
    return text
