"""Where files are shown, as text: `PREFIX=DIR`, or `auto`."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote

from .values import anchored_path

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["AUTO", "anchored_mount", "parse_mount", "parse_named_mount", "split_mount"]

AUTO = "auto"


def split_mount(text: str) -> tuple[str, str]:
    """The prefix of a mount, decoded and without a slash at its end, and its folder."""
    prefix, _, folder = text.partition("=")
    return unquote(prefix).rstrip("/"), folder


def parse_mount(text: str) -> str:
    """Reads `PREFIX=DIR` or `auto`, and returns it. Raises ValueError with what is allowed."""
    if text == AUTO:
        return text
    if "=" not in text:
        raise ValueError("must be a path prefix and a folder, such as /static=public, or auto")
    return parse_named_mount(text)


def parse_named_mount(text: str) -> str:
    """Reads `PREFIX=DIR`, and returns it. Raises ValueError with what is allowed."""
    prefix, folder = split_mount(text)
    if not folder or "\0" in text:
        raise ValueError("must be a path prefix and a folder, such as /static=public")

    if not text.startswith("/"):
        raise ValueError('must begin with "/", as paths do')
    if any(part in ("", ".", "..") for part in prefix.split("/")[1:]) or set("?#") & set(prefix):
        raise ValueError("its prefix must be a path as clients send it, without //, ., .., ? and #")
    return text


def anchored_mount(text: str, folder: Path) -> str:
    """The same with the folder's path absolute."""
    if text == AUTO:
        return text
    prefix, _, path = text.partition("=")
    return f"{prefix}={anchored_path(path, folder)}"
