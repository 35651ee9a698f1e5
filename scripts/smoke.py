"""Whether the installed package serves at all, over HTTPS too: for interpreters that are not the
default one, and for wheels.
"""

from __future__ import annotations

import hashlib
import http.client
import platform
import ssl
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import prowingen_wsgi
from prowingen_wsgi.development_certificates import DevelopmentCertificates

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

UPLOAD = bytes(range(256)) * 16_384  # 4 MiB: more than is buffered before the app runs


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    if environ["PATH_INFO"] == "/digest":
        body = hashlib.sha256(environ["wsgi.input"].read()).hexdigest().encode()
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [body]
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


def main() -> None:
    with prowingen_wsgi.serve(application, bind="127.0.0.1:0", threads=4) as server:
        address = server.addresses[0].removeprefix("http://")
        check(http.client.HTTPConnection(address, timeout=10))
    with tempfile.TemporaryDirectory() as folder:
        made = DevelopmentCertificates(Path(folder))
        made.make()
        certificate = (str(made.certificate),)
        with prowingen_wsgi.serve(application, bind="127.0.0.1:0", certfile=certificate) as server:
            address = server.addresses[0].removeprefix("https://")
            trust = ssl.create_default_context(cafile=made.authority)
            check(http.client.HTTPSConnection(address, timeout=10, context=trust))
    # -I: from the environment alone, without the sources that may be in the current folder.
    subprocess.run([sys.executable, "-I", "-m", "prowingen_wsgi", "--version"], check=True)
    print(f"smoke test passed on Python {platform.python_version()}")


if __name__ == "__main__":
    main()
