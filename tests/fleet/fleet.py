"""Three hosts that run the server, HAProxy as deploy/haproxy sets it up, and clients: each on a
machine of its own, by the addresses that the configuration has.

    client 10.0.0.100 -> proxy 10.0.0.2 -> host1, host2, host3: 10.0.0.11, 10.0.0.12, 10.0.0.13
"""

from __future__ import annotations

import os
import re
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from harness.process import ServerProcess
from harness.proxies import program
from harness.waiting import eventually
from hosts import PROBED, STUCK, Host
from loading import certificate_of_the_name, steady_load
from network import Network, network

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from notes import Notes

DEPLOYED = Path(__file__).resolve().parents[2] / "deploy/haproxy/haproxy.cfg"
CERTIFICATE = "/etc/haproxy/example.org.pem"
PROXY, CLIENT = "10.0.0.2", "10.0.0.100"
ADDRESSES = {"host1": "10.0.0.11", "host2": "10.0.0.12", "host3": "10.0.0.13"}


class Fleet:
    def __init__(self, net: Network, folder: Path, engine: str) -> None:
        self.net = net
        self.hosts = {
            name: Host(
                *(name, f"{address}:8000", engine, "--forwarded-allow-ips", PROXY, *PROBED, *STUCK),
                inside=net.command(name),
            )
            for name, address in ADDRESSES.items()
        }
        certificate = folder / "example.org.pem"
        certificate_of_the_name(certificate)
        deployed = DEPLOYED.read_text(encoding="utf-8")
        assert CERTIFICATE in deployed
        self._config = folder / "haproxy.cfg"
        self._config.write_text(deployed.replace(CERTIFICATE, str(certificate)), encoding="utf-8")
        self._proxy: ServerProcess | None = None

    def start(self) -> None:
        for host in self.hosts.values():
            host.begin()
        for host in self.hosts.values():
            host.wait_until_it_serves()
        command = [program("haproxy"), "-db", "-f", str(self._config)]
        self._proxy = ServerProcess(self.net.command("proxy", *command), dict(os.environ))

    @property
    def said(self) -> str:
        """What HAProxy has logged."""
        assert self._proxy is not None
        return self._proxy.log

    def has_said(self, pattern: str, since: int) -> bool:
        """Behind so many characters of what it has logged, now or soon."""
        return eventually(lambda: re.search(pattern, self.said[since:]))

    def stick(self, name: str, requests: int) -> ServerProcess:
        """Asks a host for so many answers that never come: nobody but its own worker_timeout ends
        them. The process of who asks."""
        asks = (
            "import socket, sys; wires = []\n"
            f"for _ in range({requests}):\n"
            f"    wires.append(socket.create_connection(({ADDRESSES[name]!r}, 8000)))\n"
            "    wires[-1].sendall(b'GET /stuck HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n')\n"
            "print('asked', flush=True); sys.stdin.read(); [wire.recv(1) for wire in wires]"
        )
        return ServerProcess(
            self.net.command("client", sys.executable, "-c", asks), dict(os.environ)
        )

    def load(self) -> AbstractContextManager[Notes]:
        return steady_load((PROXY, 443), self.hosts, self.net.command("client"))

    def end(self) -> None:
        if self._proxy is not None:
            self._proxy.end()
        for host in self.hosts.values():
            host.end()


@contextmanager
def fleet(folder: Path, engine: str) -> Iterator[Fleet]:
    program("haproxy")
    with network() as net, ExitStack() as stack:
        for name, address in {"proxy": PROXY, "client": CLIENT, **ADDRESSES}.items():
            net.machine(name, address)
        made = Fleet(net, folder, engine)
        stack.callback(made.end)
        made.start()
        yield made
