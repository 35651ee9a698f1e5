"""granian's access log in this server's notation: docs/access_log.md has its fields."""

from __future__ import annotations

import re

FIELDS = {
    "addr": "%(h)s",
    "time": "%{%Y-%m-%d %H:%M:%S %z}t",
    "dt_ms": "%(M)s",
    "status": "%(s)s",
    "path": "%(U)s",
    "query_string": "%(q)s",
    "method": "%(m)s",
    "scheme": "%{scheme}x",
    "protocol": "%(H)s",
}
"""What each of granian's is here. Milliseconds are whole ones."""

_FIELD = re.compile(r"%\((?P<name>[a-z_]+|header\{[^}]+\})\)[-#0 +]*\d*(?:\.\d+)?[sdifr]|%%")


def log_format(text: str) -> str:
    """Raises ValueError for a field that has no equivalent."""
    if "%" in (rest := _FIELD.sub("", text)):
        raise ValueError(_unknown(rest[rest.index("%") :].split()[0]))
    return _FIELD.sub(lambda match: _field(match[0], match["name"]), text)


def _field(text: str, name: str | None) -> str:
    if name is None:
        return text
    if name.startswith("header{"):
        return f"%({{{name.removeprefix('header{').removesuffix('}').strip()}}}i)s"
    if name not in FIELDS:
        raise ValueError(_unknown(text))
    return FIELDS[name]


def _unknown(text: str) -> str:
    return f'"{text}" is no field of the access log: see docs/access_log.md'
