"""What tests of HTTPS send, serve and ask for."""

from __future__ import annotations

import hashlib
import os
import socket
from typing import TYPE_CHECKING, Any

import pytest

from .apps import hello
from .certificates import client_context

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from harness.site import Site


GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
BODY = os.urandom(3_000_000)


def hash_of_body(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    seen = hashlib.sha256()
    while piece := environ["wsgi.input"].read(65536):
        seen.update(piece)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [seen.hexdigest().encode()]


def big(_environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Length", str(len(BODY)))])
    return [BODY]


def refused(**options: object) -> str:
    """What is wrong with a server's options."""
    # Late, as this module is also loaded for tests that need no native module.
    from prowingen_wsgi import Config, ConfigError, Server

    with pytest.raises(ConfigError) as info:
        Server(hello, Config.embedded({"bind": "127.0.0.1:0", **options}))
    return str(info.value)


def certificate_of(address: Any) -> bytes:
    """What a client is shown now (DER)."""
    with (
        socket.create_connection(address, timeout=10) as sock,
        client_context().wrap_socket(sock, server_hostname="localhost") as tls,
    ):
        return tls.getpeercert(binary_form=True) or b""


def asked(site: Site, context: ssl.SSLContext) -> Any:
    with site.connect(tls=context) as wire:
        return wire.ask("/", "Connection: close")
