"""`flask run --cert`: what a server is told of it."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from werkzeug.serving import generate_adhoc_ssl_pair, is_running_from_reloader

from ..originals import os
from .development import HostError

if TYPE_CHECKING:
    from collections.abc import Iterator

# The file that a reloader's children share: a new certificate at each reload would be a new
# warning in the browser.
_FILE = "_PROWINGEN_ADHOC_CERTIFICATE"


@contextmanager
def certificate_options(cert: Any) -> Iterator[dict[str, object]]:
    """The options certfile and keyfile for what Flask made of --cert and --key.

    Raises HostError for an SSLContext.
    """
    if cert is None:
        yield {}
    elif isinstance(cert, tuple):
        certfile, keyfile = cert
        yield {"certfile": certfile, "keyfile": keyfile}
    elif cert != "adhoc":
        raise HostError(
            "--cert: TLS here is the server's own, which cannot take an SSLContext of Python's; "
            "give the files of the certificate and its key"
        )
    elif is_running_from_reloader() and _FILE in os.environ:
        yield {"certfile": os.environ[_FILE], "keyfile": os.environ[_FILE]}
    else:
        path = _write_adhoc_certificate()
        os.environ[_FILE] = path
        try:
            yield {"certfile": path, "keyfile": path}
        finally:
            del os.environ[_FILE]
            Path(path).unlink()


def _write_adhoc_certificate() -> str:
    """A file, readable by this user alone, with a new certificate and its key."""
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    certificate, key = generate_adhoc_ssl_pair()
    handle, path = tempfile.mkstemp(prefix="prowingen-adhoc-", suffix=".pem")
    with os.fdopen(handle, "wb") as file:
        file.write(certificate.public_bytes(Encoding.PEM))
        file.write(
            key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        )
    return path
