"""Clients of HTTP/2 that others wrote: curl, nghttp and httpx, over TLS and by prior knowledge."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import subprocess
from typing import TYPE_CHECKING, Protocol, TypeVar

import httpx
import pytest

from harness.apps import PLAIN, Environ, StartResponse
from harness.certificates import authority_file, server_files

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from harness.site import ServeFixture, Site

pytestmark = [
    pytest.mark.no_tls("it speaks with and without"),
    pytest.mark.no_http2("it speaks HTTP/2 by itself"),
]

AnyClient = TypeVar("AnyClient", httpx.Client, httpx.AsyncClient)
MUCH = b"".join(b"%07d\n" % number for number in range(10 << 17))
"""10 MiB."""


class Client(Protocol):
    def __init__(self, site: Site, folder: Path) -> None: ...
    def get(self, target: str) -> bytes: ...
    def get_at_once(self, count: int) -> bytes:
        """The answers to so many requests on one connection, in any order."""

    def post(self, body: bytes, *, with_length: bool) -> bytes: ...


def run(*words: str, given: bytes = b"") -> bytes:
    if shutil.which(words[0]) is None:
        pytest.skip(f"this machine has no {words[0]}")
    ended = subprocess.run(words, input=given, capture_output=True, check=False, timeout=20)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


class Curl:
    def __init__(self, site: Site, folder: Path) -> None:
        if b"HTTP2" not in run("curl", "--version"):
            pytest.skip("this curl is built without HTTP/2")
        self.url = site.url
        self.secure = site.tls is not None
        spoken = ["--cacert", authority_file()] if self.secure else ["--http2-prior-knowledge"]
        self.command = ["curl", "--silent", "--show-error", "--fail", *spoken]

    def get(self, target: str) -> bytes:
        return run(*self.command, self.url + target)

    def get_at_once(self, count: int) -> bytes:
        if not self.secure:
            pytest.skip("curl 7.88 asks nobody for more than one at once by prior knowledge")
        most = ["--parallel", "--parallel-max", str(count)]
        return run(*self.command, *most, f"{self.url}/[1-{count}]")

    def post(self, body: bytes, *, with_length: bool) -> bytes:
        words = (
            ["--data-binary", "@-"] if with_length else ["--request", "POST", "--upload-file", "-"]
        )
        return run(*self.command, *words, self.url, given=body)


class Nghttp:
    def __init__(self, site: Site, folder: Path) -> None:
        self.url = site.url
        self.folder = folder

    def get(self, target: str) -> bytes:
        return run("nghttp", "--no-verify-peer", self.url + target)

    def get_at_once(self, count: int) -> bytes:
        return run("nghttp", "--no-verify-peer", f"--multiply={count}", self.url)

    def post(self, body: bytes, *, with_length: bool) -> bytes:
        path = self.folder / "body"
        path.write_bytes(body)
        words = [] if with_length else ["--no-content-length"]
        return run("nghttp", "--no-verify-peer", f"--data={path}", *words, self.url)


class Httpx:
    def __init__(self, site: Site, folder: Path) -> None:
        self.url = site.url
        self.tls = site.tls

    def open(self, kind: type[AnyClient]) -> AnyClient:
        return kind(
            http1=False,
            http2=True,
            verify=self.tls or False,
            trust_env=False,
            timeout=20,
            limits=httpx.Limits(max_connections=1),
        )

    def get(self, target: str) -> bytes:
        with self.open(httpx.Client) as client:
            return client.get(self.url + target).content

    def get_at_once(self, count: int) -> bytes:
        async def ask() -> list[httpx.Response]:
            async with self.open(httpx.AsyncClient) as client:
                return await asyncio.gather(*(client.get(self.url) for _ in range(count)))

        return b"".join(response.content for response in asyncio.run(ask()))

    def post(self, body: bytes, *, with_length: bool) -> bytes:
        content = body if with_length else iter([body[:1], body[1:]])
        with self.open(httpx.Client) as client:
            return client.post(self.url, content=content).content


def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", PLAIN)
    if environ["PATH_INFO"] == "/much":
        return [MUCH]
    seen = hashlib.sha256(environ["wsgi.input"].read()).hexdigest()
    words = (environ[name] for name in ("SERVER_PROTOCOL", "REMOTE_PORT", "wsgi.url_scheme"))
    return [" ".join([*words, environ.get("CONTENT_LENGTH", "none"), seen]).encode() + b"\n"]


@pytest.fixture(params=[False, True], ids=["cleartext", "TLS"])
def site(request: pytest.FixtureRequest, serve: ServeFixture) -> Site:
    return serve(app, **vars(server_files()) if request.param else {})


@pytest.fixture(params=[Curl, Nghttp, Httpx])
def client(request: pytest.FixtureRequest, site: Site, tmp_path: Path) -> Client:
    made: Client = request.param(site, tmp_path)
    return made


def test_requests_with_and_without_content(client: Client, site: Site) -> None:
    protocol, _, scheme, length, _ = client.get("/").split()
    assert protocol == b"HTTP/2.0"
    assert site.url.startswith(scheme.decode() + ":")
    assert length == b"none"
    body = b"a=1&b=2"
    for with_length in (True, False):
        *_, length, seen = client.post(body, with_length=with_length).split()
        assert (length, seen) == (b"7", hashlib.sha256(body).hexdigest().encode())


def test_ten_mebibytes_up_and_down(client: Client) -> None:
    assert client.get("/much") == MUCH
    for with_length in (True, False):
        seen = client.post(MUCH, with_length=with_length).split()[-1]
        assert seen == hashlib.sha256(MUCH).hexdigest().encode()


def test_a_hundred_requests_at_once_on_one_connection(client: Client) -> None:
    answers = client.get_at_once(100).splitlines()
    assert len(answers) == 100
    assert {answer.split()[0] for answer in answers} == {b"HTTP/2.0"}
    assert len({answer.split()[1] for answer in answers}) == 1, "ports of clients"
