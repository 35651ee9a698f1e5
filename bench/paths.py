"""Where things are: the repository, the peers' environment, the results."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BENCH = ROOT / "bench"
VENV = BENCH / ".venv"
OUT = BENCH / "out"
LUA = BENCH / "lua"

CERTIFICATE = OUT / "certificate.pem"
KEY = OUT / "certificate.key"
"""Of the rows over TLS; `bench.certificate` makes them."""

PROXYGEN_HELLO = ROOT / "build" / "bench" / "proxygen_hello"
"""The C++ ceiling, where `python -m bench setup` found a proxygen to build it with."""

WEBSOCKET_LOAD = ROOT / "build" / "bench" / "websocket_load"
"""What loads with WebSockets; `python -m bench setup` builds it."""

H2LOAD = os.environ.get("H2LOAD", "h2load")
"""Distributions build it without HTTP/3: the rows over that need another one."""

PEER_PYTHON = VENV / "bin" / "python"
"""The interpreter that has every peer installed."""

SITE_PACKAGES = (
    VENV / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
)


def shown(command: list[str]) -> str:
    """The command as a reader would type it from the repository's root.

    Results are meant to be committed, and this machine's folders mean nothing
    elsewhere; an interpreter from outside the repository is shown by its name.
    """
    program = command[0]
    if program.startswith("/") and not program.startswith(f"{ROOT}/"):
        program = Path(program).name
    return " ".join(word.removeprefix(f"{ROOT}/") for word in [program, *command[1:]])


def tidy(text: str) -> str:
    """A message without this machine's folders: absolute paths keep their last part."""
    return re.sub(
        r"(?<![\w.:/])/[\w.+-]+(?:/[\w.+-]+)+",
        lambda path: Path(path[0]).name if Path("/", path[0].split("/")[1]).is_dir() else path[0],
        text.replace(f"{ROOT}/", ""),
    )
