"""HTTPS: certificates that Let's Encrypt's authority for tests, pebble, issues to the server.

On what nobody here wrote; it is looked for on the PATH, or where PEBBLE says.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import ssl
import subprocess
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest
from prowingen_wsgi import acme_times

from harness.apps import hello
from harness.certificates import authority, authority_file, client_context, write
from harness.site import address_of
from harness.waiting import eventually
from harness.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from harness.logwatch import LogWatch
    from harness.site import ServeFixture

NAME = "www.example.test"
PEBBLE = shutil.which(os.environ.get("PEBBLE", "pebble"))

pytestmark = [
    pytest.mark.skipif(PEBBLE is None, reason="there is no pebble"),
    pytest.mark.no_http2("it is about what comes before HTTP, on any version of it"),
]


def free_ports(count: int) -> list[int]:
    """Of those that the system gives nobody who asks for any: pebble does not say which it has, and
    nothing else comes in between."""
    free: list[int] = []
    first = 10240 + os.getpid() * 7 % 20000
    for port in range(first, first + 200):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            free.append(port)
        if len(free) == count:
            return free
    raise AssertionError("there are no free ports")


@contextmanager
def names() -> Iterator[str]:
    """A DNS server (RFC 1035) for which every name is this machine's; its address."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))

        def answer() -> None:
            while True:
                query, client = server.recvfrom(512)
                if not query:
                    return
                end = query.index(b"\0", 12) + 5
                is_address = query[end - 4 : end - 2] == b"\0\1"
                record = b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4" + socket.inet_aton("127.0.0.1")
                counts = b"\0\1" + (b"\0\1" if is_address else b"\0\0") + b"\0\0\0\0"
                reply = query[:2] + b"\x85\x80" + counts + query[12:end]
                server.sendto(reply + (record if is_address else b""), client)

        thread = threading.Thread(target=answer)
        thread.start()
        host, port = server.getsockname()
        try:
            yield f"{host}:{port}"
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                client.sendto(b"", (host, port))
            thread.join()


@contextmanager
def pebble(folder: Path, place: int, management: int, *, http: int, tls: int) -> Iterator[None]:
    files = write(authority().issue_cert("127.0.0.1"), folder, "pebble")
    config = {
        "listenAddress": f"127.0.0.1:{place}",
        "managementListenAddress": f"127.0.0.1:{management}",
        "certificate": files.certfile,
        "privateKey": files.keyfile,
        "httpPort": http,
        "tlsPort": tls,
    }
    (folder / "pebble.json").write_text(json.dumps({"pebble": config}))
    assert PEBBLE is not None
    log = folder / "pebble.log"
    with names() as dns, log.open("w") as said:
        process = subprocess.Popen(
            [PEBBLE, "-strict", "-config", str(folder / "pebble.json"), "-dnsserver", dns],
            env={"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "20"},
            stdout=said,
            stderr=said,
        )
        try:
            yield
        finally:
            process.kill()
            process.wait()
            print(log.read_text())  # which is shown if the test fails


def root(management: int) -> str:
    connection = http.client.HTTPSConnection("127.0.0.1", management, context=client_context())
    try:
        connection.request("GET", "/roots/0")
        return connection.getresponse().read().decode()
    finally:
        connection.close()


@pytest.mark.parametrize("challenge", ["http-01", "tls-alpn-01"])
def test_it_issues_a_certificate(
    serve: ServeFixture,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error_log: LogWatch,
    challenge: str,
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", authority_file())
    monkeypatch.setattr(acme_times, "WHILE_UNHEARD", (0.1, 0.2))
    place, management = free_ports(2)
    site = serve(
        hello,
        certfile=(),
        keyfile=(),
        acme_domain=NAME,
        acme_email="me@example.org",
        acme_directory=f"https://127.0.0.1:{place}/dir",
        acme_folder=str(tmp_path / "acme"),
        acme_challenge=challenge,
        redirect_http="127.0.0.1:0",
    )
    port = address_of(site.server.redirects[0])[1]
    assert isinstance(port, int)
    with pebble(tmp_path, place, management, http=port, tls=site.port):
        error_log.wait_for(f"INFO acme: {NAME}: a certificate was issued", timeout=20)
        context = ssl.create_default_context(cadata=root(management))
    site.server.renew_certificates()
    with Wire(site.address, tls=context, server_name=NAME) as wire:
        assert eventually(lambda: wire.ask().status == 200)
