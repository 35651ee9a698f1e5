"""What the applications of the rows of WebSockets have in common, and the probe expects."""

from __future__ import annotations

GO = "go"
NEWS = "n" * 1024
MAX_MESSAGE = 1 << 20
"""Octets of a message that comes."""
