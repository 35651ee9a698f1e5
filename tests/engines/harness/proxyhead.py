"""PROXY protocol headers, as HAProxy's specification has them, and environs as they come back."""

from __future__ import annotations

import ipaddress
import json
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.wire import Response

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
LOCAL = SIGNATURE + b"\x20\x00\0\0"
TLS = b"\x20\0\x05\x01\0\0\0\0"
"""A TLV that says that the client speaks TLS."""


def v1(source: str = "192.0.2.1", port: int = 1234, to: str = "192.0.2.2", at: int = 443) -> bytes:
    family = "TCP6" if ":" in source else "TCP4"
    return f"PROXY {family} {source} {to} {port} {at}\r\n".encode()


def v2(
    source: str = "192.0.2.1",
    port: int = 1234,
    to: str = "192.0.2.2",
    at: int = 443,
    tlvs: bytes = b"",
) -> bytes:
    addresses = [ipaddress.ip_address(text).packed for text in (source, to)]
    family = b"\x21" if ":" in source else b"\x11"
    block = b"".join(addresses) + struct.pack(">HH", port, at) + tlvs
    return SIGNATURE + b"\x21" + family + struct.pack(">H", len(block)) + block


def environ_of(response: Response) -> dict[str, str]:
    """What an `Echo` saw."""
    assert response.status == 200, response
    environ = json.loads(response.body)["environ"]
    assert isinstance(environ, dict)
    return environ
