"""What tests of HTTPS send, serve and ask for."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Any

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


def asked(site: Site, context: ssl.SSLContext) -> Any:
    with site.connect(tls=context) as wire:
        return wire.ask("/", "Connection: close")
