"""`python -m bench setup`: the peers' environment and the tools beside it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from bench.paths import BENCH, PEER_PYTHON, PROXYGEN_HELLO, ROOT, VENV, WEBSOCKET_LOAD

SYSTEM_PACKAGES = {
    "wrk": "the load generator",
    "nghttp2-client": "has h2load, which speaks HTTP/2",
    "libev-dev": "bjoern is built on it",
    "build-essential": "bjoern, uWSGI and what loads with WebSockets are compiled",
    "libssl-dev": "uWSGI speaks HTTPS with it",
    "openssl": "makes the certificate of the rows over TLS",
}


COMMANDS = {"wrk": "wrk", "openssl": "openssl", "nghttp2-client": "h2load"}
HEADERS = {"libev-dev": "ev.h", "libssl-dev": "openssl/ssl.h"}


class SetupError(Exception):
    """Something that the benchmark needs is missing. Says how to get it."""


def setup() -> None:
    """Installs wrk and libev where that is possible, then the pinned peers.

    A peer that does not install is left out with a message; the benchmark then
    reports it as missing.
    """
    _system()
    _websocket_load()
    _ceiling()
    base = getattr(sys, "_base_executable", sys.executable)
    if not PEER_PYTHON.exists():
        subprocess.run([base, "-m", "venv", str(VENV)], check=True)
    pins = _pins(BENCH / "requirements.txt")
    if _pip(pins):
        return
    print("bench: not all at once; one by one to find out which fails", flush=True)
    failed = [pin for pin in pins if not _pip([pin])]
    if failed:
        print(f"bench: not installed: {', '.join(failed)}", flush=True)


def _websocket_load() -> None:
    """Of the standard library alone, so that it needs no build system."""
    WEBSOCKET_LOAD.parent.mkdir(parents=True, exist_ok=True)
    sources = sorted(str(path) for path in (BENCH / "native").glob("websocket_*.cpp"))
    command = ["c++", "-std=c++20", "-O2", "-Wall", "-Wextra", "-o", str(WEBSOCKET_LOAD)]
    if shutil.which("c++") is None or subprocess.run([*command, *sources], check=False).returncode:
        print("bench: what loads with WebSockets is not built: no C++20 compiler", flush=True)


def _ceiling() -> None:
    """Builds proxygen's C++ hello world where a proxygen is installed."""
    folder = PROXYGEN_HELLO.parent
    options = ["PROXYGEN=ON", "BUILD_BENCH=ON", "BUILD_MODULE=OFF"]
    configure = ["cmake", "-S", str(ROOT), "-B", str(folder), "-DCMAKE_BUILD_TYPE=Release"]
    configure += [f"-DPROWINGEN_{option}" for option in options]
    done = subprocess.run(configure, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        print("bench: no proxygen to build its C++ hello world with", flush=True)
        return
    subprocess.run(["cmake", "--build", str(folder), "--target", PROXYGEN_HELLO.name], check=False)


def _pip(pins: list[str]) -> bool:
    command = [str(PEER_PYTHON), "-m", "pip", "install", "--quiet", *pins]
    return subprocess.run(command, check=False).returncode == 0


def _pins(path: Path) -> list[str]:
    lines = (line.partition("#")[0].strip() for line in path.read_text().splitlines())
    return [line for line in lines if line]


def _system() -> None:
    missing = [name for name in SYSTEM_PACKAGES if not _installed(name)]
    if not missing:
        return
    command = ["apt-get", "install", "--yes", "--no-install-recommends", *missing]
    if os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "update", "--quiet"], check=False)
        if subprocess.run(command, check=False).returncode == 0:
            return
    reasons = "; ".join(f"{name}: {SYSTEM_PACKAGES[name]}" for name in missing)
    print(f"bench: missing on this system ({reasons})", flush=True)
    print(f"bench: as root: {' '.join(command)}", flush=True)


def _installed(package: str) -> bool:
    if package in COMMANDS:
        return shutil.which(COMMANDS[package]) is not None
    if package in HEADERS:
        folders = ("/usr/include", "/usr/local/include", "/opt/homebrew/include")
        return any(Path(folder, HEADERS[package]).exists() for folder in folders)
    return shutil.which("cc") is not None


def require() -> None:
    """Raises SetupError unless wrk is there and the peers run on this very Python."""
    if shutil.which("wrk") is None:
        raise SetupError("wrk is not installed: run `python -m bench setup`")
    if not PEER_PYTHON.exists():
        raise SetupError("no peers are installed: run `python -m bench setup`")
    code = "import platform; print(platform.python_version())"
    peers = subprocess.run(
        [str(PEER_PYTHON), "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()
    ours = ".".join(str(part) for part in sys.version_info[:3])
    if peers != ours:
        raise SetupError(
            f"the peers run on Python {peers}, this is {ours}: remove bench/.venv and "
            "run `python -m bench setup` again"
        )
