"""Whether the installed package serves at all: for each interpreter that is not the default one."""

from __future__ import annotations

import hashlib
import http.client
import platform
import subprocess
import sys
from typing import TYPE_CHECKING

import prowingen_wsgi

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


def check(address: str) -> None:
    connection = http.client.HTTPConnection(address, timeout=10)
    connection.request("POST", "/digest", UPLOAD)
    assert connection.getresponse().read() == hashlib.sha256(UPLOAD).hexdigest().encode()
    connection.request("GET", "/stream")
    assert connection.getresponse().read() == b"".join(counted(1000))
    connection.close()


def main() -> None:
    with prowingen_wsgi.serve(application, bind="127.0.0.1:0", threads=4) as server:
        check(server.addresses[0].removeprefix("http://"))
    # -I: from the environment alone, without the sources that may be in the current folder.
    subprocess.run([sys.executable, "-I", "-m", "prowingen_wsgi", "--version"], check=True)
    print(f"smoke test passed on Python {platform.python_version()}")


if __name__ == "__main__":
    main()
