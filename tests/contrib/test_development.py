"""What `flask run` and `runserver` have in common: the sockets that a reloader's children share."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from harness.apps import hello
from prowingen_wsgi.contrib.development import DevelopmentHost, RequestLog

ADDRESS = {"scheme": "http", "host": "127.0.0.1", "port": "0", "path": ""}


def backlog(descriptor: int) -> int:
    with socket.socket(fileno=os.dup(descriptor)) as listening:
        told = listening.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 32)
    return int.from_bytes(told[28:32], "little")  # of a listening socket, tcpi_sacked (tcp(7))


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="IPv6 is needed")
@pytest.mark.parametrize("reloads", [False, True])
@pytest.mark.parametrize(("only", "families"), [("0", {"0.0.0.0", "[::]"}), ("1", {"[::]"})])
def test_every_ipv6_address_is_ipv4s_too_unless_the_variable_says(
    monkeypatch: pytest.MonkeyPatch, only: str, families: set[str], reloads: bool
) -> None:
    monkeypatch.setenv("PROWINGEN_SERVER", "wsgi")
    monkeypatch.setenv("PROWINGEN_IPV6_ONLY", only)
    with DevelopmentHost({**ADDRESS, "host": "::"}, {}, RequestLog("%r", print)) as host:  # type: ignore[typeddict-item]
        urls = host.keep_sockets() if reloads else host.start(hello, reloaded=False).addresses
        assert {url.removeprefix("http://").rpartition(":")[0] for url in urls} == families


@pytest.mark.skipif(not hasattr(socket, "TCP_INFO"), reason="only Linux tells")
@pytest.mark.parametrize(("variables", "expected"), [({}, 2048), ({"PROWINGEN_BACKLOG": "7"}, 7)])
def test_the_sockets_have_the_backlog_that_the_variable_says(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: int
) -> None:
    for name, value in ({"PROWINGEN_SERVER": "wsgi"} | variables).items():
        monkeypatch.setenv(name, value)
    with DevelopmentHost(ADDRESS, {}, RequestLog("%r", print)) as host:  # type: ignore[arg-type]
        host.keep_sockets()
        (descriptor,) = map(int, os.environ["_PROWINGEN_SOCKETS"].split(","))
        limit = int(Path("/proc/sys/net/core/somaxconn").read_text())
        assert backlog(descriptor) == min(expected, limit)
