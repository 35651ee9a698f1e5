"""Serves HTTPS in a process in which others have an OpenSSL of their own, and has each of them make
a TLS connection meanwhile: beside.py before|after CERTIFICATE KEY AUTHORITY STRANGER...

before, after: whether the strangers are imported before the server or after it. Ends with a line
for each library of TLS that the process has mapped.
"""

from __future__ import annotations

import http.client
import importlib
import socket
import ssl
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

CERTIFICATE, KEY, AUTHORITY = sys.argv[2:5]
BODY = b"served\n" * 20_000
MODULES = {
    "cryptography": ["cryptography.hazmat.primitives.asymmetric.ec", "OpenSSL.SSL"],
    "grpc": ["grpc"],
    "psycopg": ["psycopg"],
    "ssl": ["_ssl"],
}
TIMEOUT = 20


def application(_environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(BODY)))])
    return [BODY]


def by_ssl(port: int) -> None:
    """CPython's own module, as every client in the standard library has it."""
    context = ssl.create_default_context(cafile=AUTHORITY)
    connection = http.client.HTTPSConnection("localhost", port, context=context, timeout=TIMEOUT)
    connection.request("GET", "/")
    assert connection.getresponse().read() == BODY
    connection.close()


def by_cryptography(port: int) -> None:
    """The OpenSSL in the wheel of cryptography, which pyOpenSSL makes connections with."""
    from OpenSSL import SSL

    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.load_verify_locations(AUTHORITY)
    context.set_verify(SSL.VERIFY_PEER)
    with socket.create_connection(("localhost", port), TIMEOUT) as plain:
        plain.settimeout(None)  # pyOpenSSL's connections know no time-outs
        connection = SSL.Connection(context, plain)
        connection.set_tlsext_host_name(b"localhost")
        connection.set_connect_state()
        connection.do_handshake()
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        received = b""
        while not received.endswith(b"\r\n\r\n" + BODY):
            received += connection.recv(65536)


def by_grpc(_port: int) -> None:
    """The BoringSSL in grpcio, on both ends."""
    from concurrent.futures import ThreadPoolExecutor

    import grpc

    def answer(request: bytes, _context: object) -> bytes:
        return request[::-1]

    server = grpc.server(ThreadPoolExecutor(1))
    handlers = {"Reverse": grpc.unary_unary_rpc_method_handler(answer)}
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("Test", handlers)])
    pair = (Path(KEY).read_bytes(), Path(CERTIFICATE).read_bytes())
    port = server.add_secure_port("localhost:0", grpc.ssl_server_credentials([pair]))
    server.start()
    credentials = grpc.ssl_channel_credentials(Path(AUTHORITY).read_bytes())
    with grpc.secure_channel(f"localhost:{port}", credentials) as channel:
        assert channel.unary_unary("/Test/Reverse")(b"abc", timeout=TIMEOUT) == b"cba"
    server.stop(None).wait()


def by_psycopg(_port: int) -> None:
    """The OpenSSL in psycopg[binary], which libpq connects with."""
    import psycopg

    with socket.create_server(("localhost", 0)) as listener:
        thread = threading.Thread(target=_welcome, args=[listener])
        thread.start()
        try:
            with psycopg.connect(
                host="localhost",
                port=listener.getsockname()[1],
                user="somebody",
                sslmode="verify-full",
                sslrootcert=AUTHORITY,
                gssencmode="disable",
                connect_timeout=TIMEOUT,
            ) as connection:
                assert connection.pgconn.ssl_in_use
        finally:
            thread.join()


def _welcome(listener: socket.socket) -> None:
    """As much of PostgreSQL's protocol ("Message Flow") as leads to a connection over TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE, KEY)
    listener.settimeout(TIMEOUT)
    plain, _ = listener.accept()
    plain.settimeout(TIMEOUT)
    assert plain.recv(8) == b"\0\0\0\x08\x04\xd2\x16\x2f"  # SSLRequest
    plain.sendall(b"S")
    with context.wrap_socket(plain, server_side=True) as connection:
        assert b"somebody" in connection.recv(4096)  # StartupMessage
        # AuthenticationOk, two ParameterStatus, ReadyForQuery
        connection.sendall(b"R\0\0\0\x08\0\0\0\0")
        for name, value in ((b"client_encoding", b"UTF8"), (b"server_version", b"16.0")):
            content = name + b"\0" + value + b"\0"
            connection.sendall(b"S" + (len(content) + 4).to_bytes(4, "big") + content)
        connection.sendall(b"Z\0\0\0\x05I")
        while connection.recv(4096):  # until Terminate and the end
            pass


CONNECT = {"cryptography": by_cryptography, "grpc": by_grpc, "psycopg": by_psycopg, "ssl": by_ssl}


def main() -> None:
    order, strangers = sys.argv[1], sys.argv[5:]
    theirs = [module for name in strangers for module in MODULES[name]]
    ours = ["prowingen_wsgi._native"]
    for module in [*theirs, *ours] if order == "before" else [*ours, *theirs]:
        importlib.import_module(module)
    import prowingen_wsgi

    with prowingen_wsgi.serve(
        application, bind="localhost:0", certfile=(CERTIFICATE,), keyfile=(KEY,)
    ) as server:
        port = int(server.addresses[0].rpartition(":")[2])
        by_ssl(port)
        for name in strangers:
            CONNECT[name](port)
            by_ssl(port)
    mapped = Path("/proc/self/maps").read_text("utf-8").splitlines()
    paths = {line.split(maxsplit=5)[-1] for line in mapped if "/" in line}
    print(*sorted(path for path in paths if "libssl" in path or "cygrpc" in path), sep="\n")


main()
