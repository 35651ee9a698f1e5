"""What `--bind` accepts, as text and as a value. No socket is made here: see `listeners`.

    host:port   [v6]:port   :port   host   unix:/path   fd://N   systemd   systemd:name

A host alone gets port 8000, a port alone every interface, and port 0 a free port. [::] is every
interface too, if `ipv6_only` does not make it IPv6's alone. `tcp://host:port` is a host whatever
its name, be it `unix`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .values import anchored_path

if TYPE_CHECKING:
    from collections.abc import Sequence

DEFAULT_PORT = 8000
# What a kernel's structure has room for, less the NUL: 108 bytes with Linux, 104 with others.
_LONGEST_SOCKET_PATH = 103

_FORMS = "host:port, [v6]:port, :port, host, unix:/path, fd://N or systemd"


@dataclass(frozen=True)
class TcpAddress:
    host: str
    """A name or an address without brackets; empty for every interface."""
    port: int


@dataclass(frozen=True)
class UnixAddress:
    path: str


@dataclass(frozen=True)
class InheritedSocket:
    fd: int
    """A listening socket that another process opened, such as systemd."""


@dataclass(frozen=True)
class SystemdSockets:
    name: str
    """The FileDescriptorName of those meant; empty for all that were passed."""


Address = TcpAddress | UnixAddress | InheritedSocket | SystemdSockets


def parse_address(text: str) -> Address:
    """Reads one address. Raises ValueError that says what is allowed, without the text."""
    if text.startswith("unix:"):
        return _parse_unix(text)
    if text.startswith("fd://"):
        return _parse_fd(text)
    if text == "systemd" or text.startswith("systemd:"):
        return SystemdSockets(text.removeprefix("systemd").removeprefix(":"))
    if text.startswith("tcp://"):
        return _parse_tcp(text.removeprefix("tcp://"))
    if "://" in text:
        raise ValueError(f"must be {_FORMS}, without a scheme")
    return _parse_tcp(text)


def anchored_address(text: str, folder: Path) -> str:
    """The same address with an absolute path, unless only the relative one fits a socket."""
    address = parse_address(text)
    if not isinstance(address, UnixAddress):
        return text
    path = anchored_path(address.path, folder)
    fits = path != address.path and len(bytes(Path(path))) <= _LONGEST_SOCKET_PATH
    return f"unix:{path}" if fits else text


def with_ipv4(texts: Sequence[str]) -> tuple[str, ...]:
    """The same addresses, with `[::]:port` as every interface, IPv4's too: `:port`.

    As other servers' sockets have it where the system leaves IPV6_V6ONLY off. Where another of the
    addresses takes that port on IPv4, each keeps its own.
    """
    addresses = [parse_address(text) for text in texts]
    on_ipv4 = {
        address.port
        for address in addresses
        if isinstance(address, TcpAddress) and ":" not in address.host and address.port
    }
    return tuple(
        f":{address.port}"
        if isinstance(address, TcpAddress)
        and _is_every_ipv6_address(address.host)
        and address.port not in on_ipv4
        else text
        for text, address in zip(texts, addresses, strict=True)
    )


def _is_every_ipv6_address(host: str) -> bool:
    if ":" not in host:
        return False
    from ipaddress import IPv6Address  # most are IPv4's

    return IPv6Address(host).is_unspecified


def tcp_text(host: str, port: int | str) -> str:
    """An address of this host, without brackets, as text that `parse_address` takes for one."""
    text = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return f"tcp://{text}" if host in ("unix", "systemd") else text


def _parse_unix(text: str) -> UnixAddress:
    path = text.removeprefix("unix:")
    # unix:///path is the form of curl's and nginx's relatives.
    if path.startswith("//"):
        path = path.removeprefix("//")
    if not path or "\0" in path:
        raise ValueError("a path must follow unix:, as in unix:/run/app.sock")
    return UnixAddress(path)


def _parse_fd(text: str) -> InheritedSocket:
    number = text.removeprefix("fd://")
    if not re.fullmatch(r"\d{1,9}", number, re.ASCII):
        raise ValueError("a file descriptor's number must follow fd://, as in fd://3")
    return InheritedSocket(int(number))


def _parse_tcp(text: str) -> TcpAddress:
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError("an IPv6 address must be in brackets, as in [::1]:8000")
        _check_ipv6(host)
        return TcpAddress(host, _parse_port(rest[1:]) if rest else DEFAULT_PORT)
    host, colon, port = text.partition(":")
    if ":" in port:
        raise ValueError("an IPv6 address must be in brackets, as in [::1]:8000")
    if not colon:
        if not host:
            raise ValueError(f"must be {_FORMS}")
        if host.isdecimal():
            raise ValueError(f"a port alone is written :{host}")
    if not re.fullmatch(r"[A-Za-z0-9._-]*", host):
        raise ValueError(f"must be {_FORMS}")
    return TcpAddress(host, _parse_port(port) if colon else DEFAULT_PORT)


def _check_ipv6(host: str) -> None:
    from ipaddress import IPv6Address

    try:
        IPv6Address(host)
    except ValueError:
        raise ValueError("there must be an IPv6 address between the brackets") from None


def _parse_port(text: str) -> int:
    # int() would also take signs, underscores and other scripts' digits.
    if not re.fullmatch(r"\d{1,5}", text, re.ASCII) or int(text) > 65535:
        raise ValueError("port must be 0–65535")
    return int(text)
