"""Whether the installed package serves at all: for interpreters that are not the default one, and
for wheels, of which release builds are tried by nothing else.

So each library that a wheel may bundle is asked for something here, and each kind of file that it
carries: OpenSSL for HTTPS, nghttp2, the compressors, the administrators' page. With nothing but the
standard library.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import http.client
import os
import platform
import socket
import ssl
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import prowingen_wsgi
from prowingen_wsgi import websocket
from prowingen_wsgi.development_certificates import DevelopmentCertificates

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

UPLOAD = bytes(range(256)) * 16_384  # 4 MiB: more than is buffered before the app runs
TEXT = b"A line that comes again and again\n" * 1000
TIMEOUT = 10


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    path = environ["PATH_INFO"]
    if path == "/echo":
        opened = websocket.accept(environ)
        for message in opened:
            opened.send(message)
        return []
    if path == "/digest":
        body = hashlib.sha256(environ["wsgi.input"].read()).hexdigest().encode()
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [body]
    if path == "/text":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [TEXT]
    start_response("200 OK", [("Content-Type", "text/plain")])
    return counted(1000)


def counted(last: int) -> Iterator[bytes]:
    for number in range(last):
        yield f"{number}\n".encode()


def check(connection: http.client.HTTPConnection) -> None:
    connection.request("POST", "/digest", UPLOAD)
    assert connection.getresponse().read() == hashlib.sha256(UPLOAD).hexdigest().encode()
    connection.request("GET", "/stream")
    assert connection.getresponse().read() == b"".join(counted(1000))
    connection.close()


def get(address: str, path: str, **fields: str) -> tuple[http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPConnection(address, timeout=TIMEOUT)
    connection.request("GET", path, headers=fields)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    assert answer.status == 200, f"{path}: {answer.status}"
    return answer, body


def check_codings(address: str) -> None:
    coded = {}
    for coding in ("gzip", "br", "zstd"):
        answer, coded[coding] = get(address, "/text", **{"Accept-Encoding": coding})
        assert answer.getheader("Content-Encoding") == coding
        assert len(coded[coding]) < len(TEXT) // 10
    assert gzip.decompress(coded["gzip"]) == TEXT
    assert coded["zstd"].startswith(b"\x28\xb5\x2f\xfd")  # RFC 8878 section 3.1.1


def check_websocket(address: str) -> None:
    host, _, port = address.rpartition(":")
    key = base64.b64encode(os.urandom(16)).decode()
    lines = ["GET /echo HTTP/1.1", f"Host: {address}", "Upgrade: websocket", "Connection: Upgrade"]
    lines += [f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", "", ""]
    with socket.create_connection((host, int(port)), TIMEOUT) as wire:
        stream = wire.makefile("rb")
        wire.sendall("\r\n".join(lines).encode())
        assert stream.readline().startswith(b"HTTP/1.1 101 ")
        while stream.readline() != b"\r\n":
            pass
        # Texts (RFC 6455 section 5.2), masked by zeros as a client's have to be.
        wire.sendall(b"\x81\x85" + bytes(4) + b"hello")
        assert stream.read(7) == b"\x81\x05hello"


def check_http2(address: str, trust: ssl.SSLContext) -> None:
    trust.set_alpn_protocols(["h2"])
    host, _, port = address.rpartition(":")
    with (
        socket.create_connection((host, int(port)), TIMEOUT) as wire,
        trust.wrap_socket(wire, server_hostname=host) as secured,
    ):
        assert secured.selected_alpn_protocol() == "h2"
        secured.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
        head = secured.makefile("rb").read(9)
        assert head[3] == 4, f"no SETTINGS (RFC 9113 section 3.4): {head!r}"


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "served.txt").write_bytes(TEXT)
        with prowingen_wsgi.serve(
            application,
            bind="127.0.0.1:0",
            threads=4,
            compress=True,
            static=(f"/static={folder}",),
            admin_bind=("127.0.0.1:0",),
        ) as server:
            address = server.addresses[0].removeprefix("http://")
            check(http.client.HTTPConnection(address, timeout=TIMEOUT))
            check_codings(address)
            check_websocket(address)
            assert get(address, "/static/served.txt")[1] == TEXT
            page, document = get(server.admins[0].removeprefix("http://"), "/-/")
            assert "script-src 'sha256-" in page.headers["Content-Security-Policy"]
            assert b'<script type="module">' in document
        made = DevelopmentCertificates(folder)
        made.make()
        certificate = (str(made.certificate),)
        with prowingen_wsgi.serve(application, bind="127.0.0.1:0", certfile=certificate) as server:
            address = server.addresses[0].removeprefix("https://")
            trust = ssl.create_default_context(cafile=made.authority)
            check(http.client.HTTPSConnection(address, timeout=TIMEOUT, context=trust))
            check_http2(address, trust)
    # -I: from the environment alone, without the sources that may be in the current folder.
    subprocess.run([sys.executable, "-I", "-m", "prowingen_wsgi", "--version"], check=True)
    print(f"smoke test passed on Python {platform.python_version()}")


if __name__ == "__main__":
    main()
