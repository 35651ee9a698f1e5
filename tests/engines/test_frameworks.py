"""Flask and Django apps over the wire, driven by the clients that people use."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import requests

from harness.site import Site, start_site

if TYPE_CHECKING:
    from collections.abc import Iterator

UPLOAD = os.urandom(5 << 20)
CONTENT = bytes(range(256)) * 4096
FRAMEWORKS = {"flask": "apps.flask_app", "django": "apps.django_app"}

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


@pytest.fixture(scope="module", params=FRAMEWORKS)
def framework(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    pytest.importorskip(name)
    return name


@pytest.fixture(scope="module")
def site(engine: str, framework: str) -> Iterator[Site]:
    app = importlib.import_module(FRAMEWORKS[framework]).app
    with start_site(app, engine) as site:
        yield site


@pytest.fixture
def http(site: Site) -> Iterator[httpx.Client]:
    # Proxies named in the environment must not come between client and server.
    with httpx.Client(base_url=site.url, trust_env=False) as client:
        yield client


@pytest.fixture
def session(site: Site) -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        yield session


def source_of(framework: str) -> bytes:
    path = importlib.import_module(FRAMEWORKS[framework]).__file__
    assert path is not None
    return Path(path).read_bytes()


def expect_upload(answer: Any) -> None:
    assert answer["size"] == len(UPLOAD)
    assert answer["sha256"] == hashlib.sha256(UPLOAD).hexdigest()
    assert answer["name"] == "data.bin"
    assert answer["note"] == "naïve"


def test_httpx_gets_a_page(http: httpx.Client) -> None:
    assert http.get("/").text == "hello"
    assert http.get("/missing").status_code == 404


def test_httpx_sends_query_form_and_json(http: httpx.Client, site: Site) -> None:
    answer = http.get("/echo", params={"a": "b c", "é": "ü"}).json()
    assert answer["args"] == {"a": "b c", "é": "ü"}
    assert f"http://{answer['host']}" == site.url
    assert http.post("/echo", data={"field": "välue"}).json()["form"] == {"field": "välue"}
    assert http.put("/echo", json={"n": [1, 2]}).json()["json"] == {"n": [1, 2]}
    assert http.request("DELETE", "/echo").json()["method"] == "DELETE"


def test_httpx_uploads_a_file_of_5_mib(http: httpx.Client) -> None:
    expect_upload(
        http.post("/upload", data={"note": "naïve"}, files={"file": ("data.bin", UPLOAD)}).json()
    )


def test_requests_uploads_a_file_of_5_mib(session: requests.Session, site: Site) -> None:
    url = f"{site.url}/upload"
    files = {"file": ("data.bin", UPLOAD)}
    expect_upload(session.post(url, data={"note": "naïve"}, files=files, timeout=20).json())


def test_httpx_uploads_in_chunks(http: httpx.Client) -> None:
    """A generator has no length, so that the client must use the chunked coding."""

    def pieces() -> Iterator[bytes]:
        yield b'{"n"'
        yield b": 1}"

    headers = {"Content-Type": "application/json"}
    assert http.post("/echo", content=pieces(), headers=headers).json()["json"] == {"n": 1}


def test_requests_downloads_a_file_from_memory(session: requests.Session, site: Site) -> None:
    assert session.get(f"{site.url}/download", timeout=20).content == CONTENT


def test_httpx_downloads_a_file_from_disk(http: httpx.Client, framework: str) -> None:
    response = http.get("/file")
    assert response.content == source_of(framework)
    assert int(response.headers["Content-Length"]) == len(response.content)


@pytest.mark.parametrize("path", ["/download", "/file"])
def test_flask_answers_ranges(http: httpx.Client, framework: str, path: str) -> None:
    if framework == "django":
        pytest.skip("FileResponse knows no ranges")
    whole = http.get(path).content
    part = http.get(path, headers={"Range": "bytes=100-299"})
    assert (part.status_code, part.content) == (206, whole[100:300])
    assert part.headers["Content-Range"] == f"bytes 100-299/{len(whole)}"
    tail = http.get(path, headers={"Range": "bytes=-50"})
    assert (tail.status_code, tail.content) == (206, whole[-50:])


def test_conditional_get_is_answered_304(http: httpx.Client, framework: str) -> None:
    if framework == "django":
        pytest.skip("needs a middleware")
    etag = http.get("/file").headers["ETag"]
    again = http.get("/file", headers={"If-None-Match": etag})
    assert (again.status_code, again.content) == (304, b"")
    assert http.get("/").text == "hello", "the connection should still be in step"


def test_httpx_reads_a_stream(http: httpx.Client) -> None:
    with http.stream("GET", "/stream") as response:
        assert response.headers["Transfer-Encoding"] == "chunked"
        assert list(response.iter_lines()) == [f"line {number}" for number in range(100)]


def test_sessions_are_kept_and_kept_apart(
    session: requests.Session, http: httpx.Client, site: Site
) -> None:
    counts = [session.get(f"{site.url}/count", timeout=20).text for _ in range(3)]
    assert counts == ["1", "2", "3"]
    assert http.get("/count").text == "1"


def test_redirects_are_followed(http: httpx.Client, session: requests.Session, site: Site) -> None:
    response = http.post("/moved", data={"a": "b"}, follow_redirects=True)
    assert response.json()["args"] == {"via": "moved"}
    assert response.json()["method"] == "GET"
    followed = session.get(f"{site.url}/moved", timeout=20)
    assert followed.json()["path"] == "/echo"
    assert len(followed.history) == 1


@pytest.mark.parametrize("name", ["plain", "with space", "größe", "日本語", "a/b", "100%", "a+b"])
def test_names_in_paths_survive_encoding(http: httpx.Client, name: str) -> None:
    from urllib.parse import quote

    assert http.get("/name/" + quote(name)).text == name


def test_head_of_pages_and_files(http: httpx.Client, framework: str) -> None:
    for path in ("/", "/file", "/stream"):
        response = http.head(path)
        assert response.content == b""
        assert response.status_code == 200
    assert http.get("/").text == "hello"


def test_error_page_leaves_the_connection_usable(http: httpx.Client) -> None:
    for _ in range(3):
        assert http.get("/error").status_code == 500
        assert http.get("/").text == "hello"


def curl(*arguments: str, data: bytes | None = None) -> bytes:
    command = ["curl", "--silent", "--show-error", "--noproxy", "*", "--max-time", "20", *arguments]
    return subprocess.run(command, input=data, capture_output=True, check=True).stdout


@needs_curl
def test_curl_gets_follows_and_resumes(site: Site, framework: str) -> None:
    assert curl(f"{site.url}/") == b"hello"
    assert json.loads(curl("--location", f"{site.url}/moved"))["args"] == {"via": "moved"}
    assert curl(f"{site.url}/file") == source_of(framework)
    if framework == "flask":
        assert curl("--range", "10-19", f"{site.url}/download") == CONTENT[10:20]


@needs_curl
def test_curl_uploads_a_form_after_100_continue(site: Site, tmp_path: Path) -> None:
    file = tmp_path / "data.bin"
    file.write_bytes(UPLOAD)
    answer = curl(
        "--header",
        "Expect: 100-continue",
        "--expect100-timeout",
        "10",
        "--form",
        "note=naïve",
        "--form",
        f"file=@{file}",
        f"{site.url}/upload",
    )
    expect_upload(json.loads(answer))


@needs_curl
def test_curl_sends_a_form_in_chunks(site: Site) -> None:
    """As a proxy does that passes a form on while it comes (django/django#21638)."""
    answer = curl("--header", "Transfer-Encoding: chunked", "--data", "a=1", f"{site.url}/echo")
    assert json.loads(answer)["form"] == {"a": "1"}


@needs_curl
def test_curl_uploads_a_file_in_chunks(site: Site, tmp_path: Path) -> None:
    file = tmp_path / "data.bin"
    file.write_bytes(UPLOAD)
    form = ["--form", "note=naïve", "--form", f"file=@{file}"]
    answer = curl("--header", "Transfer-Encoding: chunked", *form, f"{site.url}/upload")
    expect_upload(json.loads(answer))


@needs_curl
def test_curl_reuses_one_connection(site: Site) -> None:
    style = "--write-out", "%{num_connects} "
    pages = [f"{site.url}/", f"{site.url}/stream", f"{site.url}/error", f"{site.url}/"]
    out = curl(*style, *_each(pages))
    assert out.split() == [b"1", b"0", b"0", b"0"]


def _each(urls: list[str]) -> list[str]:
    """curl wants an --output for each URL."""
    return [word for url in urls for word in ("--output", os.devnull, url)]


@needs_curl
def test_curl_speaks_http_1_0(site: Site) -> None:
    assert curl("--http1.0", f"{site.url}/stream").count(b"\n") == 100
