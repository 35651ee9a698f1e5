"""uWSGI's `log-format` in this server's notation: docs/access_log.md has its fields.

What uWSGI calls `%(ltime)` has no brackets, and `%(t)s` has: `[%(ltime)]` becomes that.
"""

from __future__ import annotations

import re

_CLOCK = "%d/%b/%Y:%H:%M:%S %z"
FIELDS = {
    "addr": "%(h)s",
    "user": "%(u)s",
    "method": "%(m)s",
    "uri": "%{target}x",
    "proto": "%(H)s",
    "host": "%({host}i)s",
    "uagent": "%(a)s",
    "referer": "%(f)s",
    "status": "%(s)s",
    "size": "%(O)s",
    "rsize": "%(B)s",
    "cl": "%({content-length}i)s",
    "micros": "%(D)s",
    "msecs": "%(M)s",
    "secs": "%(T)s",
    "time": "%{sec}t",
    "epoch": "%{sec}t",
    "tmsecs": "%{msec}t",
    "tmicros": "%{usec}t",
    "ltime": f"%{{{_CLOCK}}}t",
    "ctime": "%{%a %b %d %H:%M:%S %Y}t",
    "pid": "%{pid}P",
}
"""What each of uWSGI's variables is here."""

_VARIABLES = {
    "REMOTE_ADDR": "%(h)s",
    "REMOTE_PORT": "%{remote}p",
    "REMOTE_USER": "%(u)s",
    "REQUEST_METHOD": "%(m)s",
    "REQUEST_URI": "%{target}x",
    "SERVER_PROTOCOL": "%(H)s",
    "CONTENT_LENGTH": "%({content-length}i)s",
    "CONTENT_TYPE": "%({content-type}i)s",
}


def log_format(text: str) -> str:
    """Raises ValueError for a variable that has no equivalent."""
    text = text.replace("[%(ltime)]", "%(t)")
    pieces = []
    for literal, name in re.findall(r"((?:[^%]|%(?!\())+)|%\(([^()]*)\)", text):
        if literal:
            pieces.append(literal.replace("%", "%%"))
        else:
            pieces.append("%(t)s" if name == "t" else _field(name))
    return "".join(pieces)


def _field(name: str) -> str:
    variable = name.removeprefix("var.")
    if name in FIELDS:
        return FIELDS[name]
    if variable != name and variable in _VARIABLES:
        return _VARIABLES[variable]
    if variable != name and variable.startswith("HTTP_"):
        header = variable.removeprefix("HTTP_").replace("_", "-").lower()
        if re.fullmatch(r"[a-z0-9-]+", header):
            return f"%({{{header}}}i)s"
    raise ValueError(f'"%({name})" is no field of the access log: see docs/access_log.md')
