"""The sockets that uWSGI serves on, as the addresses of this server.

It speaks HTTP on all of them. Where uWSGI speaks the uwsgi protocol, as behind nginx's
`uwsgi_pass`, the proxy has to be changed to HTTP, and says who the client is by fields of the
request. With a certificate every address speaks HTTPS: those of uWSGI that do not are left out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ...configuration.addresses import TcpAddress, UnixAddress, parse_address

if TYPE_CHECKING:
    from collections.abc import Sequence

HTTP = ("http", "http-socket", "http11-socket")
HTTPS = ("https", "https-socket")
UWSGI = ("socket",)
NAMES = (*HTTP, *HTTPS, *UWSGI, "http-to-https", "sni")
"""The options that this is about; `protocol` says what `socket` speaks."""

NEEDS_PROXY = (
    "{}: HTTP is spoken here and not the uwsgi protocol: in nginx, replace uwsgi_pass by "
    "proxy_pass, and set X-Forwarded-For and X-Forwarded-Proto, as docs/from_uwsgi.md shows"
)
_BELIEVED = (
    "{}: uWSGI believes X-Forwarded-Proto, whoever sends it: name the proxies that do in "
    "forwarded_allow_ips"
)
_PLAIN = (
    "{}: not taken over: with a certificate every address speaks HTTPS: serve it by a process of "
    "its own, or send its clients on to HTTPS by redirect_http"
)
_HTTP_WORDS = ("http", "http11")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass
class Sockets:
    """What the options about sockets come to.

    remarks: each with the setting that it is about.
    proxies: where the addresses can only be reached from this machine: who may be believed.
    scheme_alone: whether they were believed about nothing else.
    label: the last setting that counts.
    """

    bind: list[str] = field(default_factory=list)
    redirects: list[str] = field(default_factory=list)
    certificates: list[tuple[str, str]] = field(default_factory=list)
    ciphers: str = ""
    authorities: str = ""
    demands: bool = False
    remarks: list[tuple[str, str]] = field(default_factory=list)
    proxies: list[str] = field(default_factory=list)
    scheme_alone: bool = True
    label: str = ""

    @property
    def has_files(self) -> bool:
        return any(text.startswith("unix:") for text in self.bind)


def sockets(given: Sequence[tuple[str, str, str]], protocol: str) -> Sockets:
    """given: name, value and label of each option of NAMES, in order."""
    found = Sockets()
    encrypts = any(name in HTTPS for name, _, _ in given)
    for name, value, label in given:
        speaks = protocol if name in UWSGI else "http"
        if encrypts and name in (*HTTP, *UWSGI):
            found.remarks.append((label, _PLAIN.format(value)))
        else:
            _take(found, name, value, label, speaks)
    if found.redirects and not found.certificates:
        found.redirects.clear()
        label = next(label for name, _, label in given if name == "http-to-https")
        found.remarks.append((label, "not taken over: it needs https"))
    return found


def _take(found: Sockets, name: str, value: str, label: str, speaks: str) -> None:
    try:
        if name == "sni":
            _take_certificate(found, value.partition(" ")[2])
        elif name in HTTPS:
            place, _, rest = value.partition(",")
            _take_certificate(found, rest)
            found.bind.append(address(place))
        elif name == "http-to-https":
            found.redirects.append(address(value))
        else:
            found.bind.append(address(value))
            local = _proxies(found.bind[-1])
            found.proxies += [each for each in local if each not in found.proxies]
            found.scheme_alone = found.scheme_alone and speaks in _HTTP_WORDS
            if speaks not in _HTTP_WORDS:
                found.remarks.append((label, NEEDS_PROXY.format(value)))
            elif not local:
                found.remarks.append((label, _BELIEVED.format(value)))
        found.label = label
    except ValueError as error:
        found.remarks.append((label, f'not taken over: "{value}": {error}'))


def address(text: str) -> str:
    """One of uWSGI's as one of this server's. Raises ValueError."""
    if text.startswith("=") or "," in text:
        raise ValueError("name the address itself")
    if text.startswith(("@", "\\0")):
        raise ValueError("abstract sockets are not served on: name a file, such as /run/app.sock")
    if not text:
        raise ValueError("there must be an address, such as 127.0.0.1:8000 or /run/app.sock")
    if ":" not in text:
        text = f"unix:{text}"
    elif text.startswith("*:"):
        text = text[1:]
    parse_address(text)
    return text


def _take_certificate(found: Sockets, text: str) -> None:
    certificate, _, rest = text.partition(",")
    key, _, rest = rest.partition(",")
    ciphers, _, authorities = rest.partition(",")
    if not certificate or not key:
        raise ValueError("a certificate and its key must follow, with commas between them")
    found.certificates.append((certificate, key))
    found.ciphers = found.ciphers or ciphers
    if authorities and not found.authorities:
        # uWSGI's exclamation mark: a client's certificate is demanded.
        found.demands = authorities.startswith("!")
        found.authorities = authorities.removeprefix("!")


def _proxies(text: str) -> list[str]:
    parsed = parse_address(text)
    if isinstance(parsed, UnixAddress):
        return ["unix"]
    if isinstance(parsed, TcpAddress) and parsed.host in _LOOPBACK:
        return ["127.0.0.1", "::1"]
    return []
