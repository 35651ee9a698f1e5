"""What uses the Python blocks of the pages, but for WebSockets'."""

from __future__ import annotations

import csv
import hashlib
import io
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import httpx
from harness.wire import Wire

import prowingen_wsgi

from .run import drives

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .run import Run


@contextmanager
def listening(handler: Any) -> Iterator[str]:
    server = prowingen_wsgi.create_server(handler)
    server.add_address("127.0.0.1", 0)
    with server:
        yield server.addresses[0]


@contextmanager
def serving(app: Any, **options: Any) -> Iterator[str]:
    with prowingen_wsgi.serve(app, bind="127.0.0.1:0", **options) as server:
        yield server.addresses[0]


def hello(_environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"Hello\n"]


def get(url: str) -> str:
    return httpx.get(url, trust_env=False).text


class Enter:
    """In the place of `input`: asks the block's server meanwhile."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self.heard = ""

    def __call__(self, _prompt: str) -> str:
        self.heard = get(self._run.names["server"].addresses[0] + "/a?b")
        return ""


@drives("embedding", "threads=4")
def serves_inside(run: Run) -> None:
    seen: list[str] = []
    run(app=hello, print=lambda addresses: seen.append(get(addresses[0])))
    assert seen == ["Hello\n"]


@drives("factories", "prowingen_wsgi.start(app")
def starts_by_name(run: Run) -> None:
    enter = Enter(run)
    run(app=hello, input=enter)
    assert enter.heard == "Hello\n"


class Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


class Running:
    """The server that the page's factory returns, which the page leaves to its reader."""

    def __init__(self, server: Any) -> None:
        self.addresses = [f"http://127.0.0.1:{server.server_port}"]
        self._server = server
        self._thread = threading.Thread(target=server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@drives("factories", "class Factory:")
def is_a_factory(run: Run) -> None:
    def make(host: str, port: int, app: Any) -> Any:
        return make_server(host, port, app, handler_class=Quiet)

    names = run(Running=Running, make_server=make)
    url = "http://127.0.0.1:0"
    with prowingen_wsgi.start(hello, url, server_factory=names["Factory"]()) as server:
        assert server.capabilities["wsgi.version"] == "1.0"
        assert get(server.addresses[0]) == "Hello\n"


@drives("gunicorn", "worker_class =")
def configures_gunicorn(run: Run) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "gunicorn.conf.py").write_text(run.block.text)
        (Path(folder) / "app.py").write_text("def app(environ, start_response): pass\n")
        command = [sys.executable, "-m", "gunicorn", "--check-config", "app:app"]
        subprocess.run(command, cwd=folder, check=True)
    assert run()["threads"] == 8


@drives("response_cache", "cache_control(")
def is_kept_of_django(run: Run) -> None:
    from django.conf import settings
    from django.core.wsgi import get_wsgi_application
    from django.urls import path

    names = run()
    urls = ModuleType("urls")
    vars(urls)["urlpatterns"] = [path("news", names["news"])]
    settings.configure(ROOT_URLCONF=urls, ALLOWED_HOSTS=["*"], SECRET_KEY="of no use")
    with serving(get_wsgi_application(), response_cache="1MiB") as url:
        answers = [httpx.get(f"{url}/news", trust_env=False) for _ in range(2)]
    assert {answer.text for answer in answers} == {"Nothing yet\n"}
    assert answers[1].headers["cache-status"].startswith("prowingen; hit; ttl=")


@drives("listener", "Hello from ")
def answers_hello(run: Run) -> None:
    enter = Enter(run)
    run(input=enter)
    assert enter.heard == "Hello from /a?b"


@drives("listener", "csv.writer(text)")
def writes_a_table(run: Run) -> None:
    names = run(io=io, csv=csv, report=lambda: [("a", 1), ("b", 2)])
    with listening(names["handler"]) as url:
        assert get(url) == "a,1\r\nb,2\r\n"


@drives("listener", "response.defer()")
def answers_later(run: Run) -> None:
    with ThreadPoolExecutor(1) as jobs:
        names = run(jobs=jobs, compute=bytes.upper)
        with listening(names["handler"]) as url:
            assert httpx.post(url, content=b"abc", trust_env=False).content == b"ABC"


@drives("patches", "from gevent import monkey")
def serves_with_gevent(run: Run) -> None:
    run()
    _serves_patched()


@drives("patches", "import eventlet")
def serves_with_eventlet(run: Run) -> None:
    run()
    _serves_patched()


def _serves_patched() -> None:
    """Sixteen requests that wait do so side by side, in a client that nothing is patched for."""

    def app(environ: Any, start_response: Any) -> list[bytes]:
        time.sleep(0.3)
        return hello(environ, start_response)

    with serving(app, threads=16) as url:
        client = (
            "import sys, urllib.request as u, concurrent.futures as f, time; b = time.monotonic();"
            "ask = lambda _: u.urlopen(sys.argv[1]).read();"
            "answers = list(f.ThreadPoolExecutor(16).map(ask, range(16)));"
            "print(len(answers), time.monotonic() - b)"
        )
        command = [sys.executable, "-c", client, url]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert said[0] == "16"
    assert float(said[1]) < 16 * 0.3 / 2


@drives("patches", "LOGGING =")
def sets_the_log_up(run: Run) -> None:
    import logging.config

    settings = run()["LOGGING"]
    with tempfile.NamedTemporaryFile() as file:
        handler = {"class": "logging.FileHandler", "filename": file.name}
        logging.config.dictConfig({**settings, "handlers": {"file": handler}})
        logging.getLogger("prowingen_wsgi.error").warning("said")
        assert Path(file.name).read_text() == "said\n"


def _ask(url: str, *fields: str, body: bytes = b"", method: str = "GET") -> Any:
    host, port = url.removeprefix("http://").split(":")
    with Wire((host, int(port))) as wire:
        lines = [f"{method} / HTTP/1.1", "Host: a", *fields, "", ""]
        wire.send("\r\n".join(lines).encode() + body)
        return wire.response(method)


def _ask_and_leave(url: str, begun: threading.Event) -> None:
    host, port = url.removeprefix("http://").split(":")
    with Wire((host, int(port))) as wire:
        wire.get()
        assert begun.wait(10)
        wire.reset()


@drives("answers", "parts_of_the_report")
def stops_computing(run: Run) -> None:
    parts: list[bytes] = []
    begun, over = threading.Event(), threading.Event()

    def parts_of_the_report() -> Iterator[bytes]:
        try:
            for _ in range(2 if not parts else 1000):
                yield b"1\n"
        finally:
            over.set()

    def compute(part: bytes) -> bytes:
        parts.append(part)
        begun.set()
        if len(parts) > 2:
            time.sleep(0.01)
        return part

    names = run(parts_of_the_report=parts_of_the_report, compute=compute)
    with serving(names["application"]) as url:
        assert get(url) == "1\n1\n"
        begun.clear()
        over.clear()
        _ask_and_leave(url, begun)
        assert over.wait(10)
    assert len(parts) < 1000


@drives("answers", "connection.cancel")
def cancels_a_query(run: Run) -> None:
    class Connection:
        cancelled = threading.Event()
        begun = threading.Event()

        def cancel(self) -> None:
            self.cancelled.set()

        def execute(self, query: str) -> Connection:
            assert query.startswith("SELECT ")
            self.begun.set()
            return self

        def fetchall(self) -> list[object]:
            self.cancelled.wait(10)
            return []

    names = run(connect=Connection)
    with serving(names["application"]) as url:
        _ask_and_leave(url, Connection.begun)
        assert Connection.cancelled.wait(10)


@drives("compression", "no-transform")
def keeps_a_secret(run: Run) -> None:
    names = run(page_with_a_secret=lambda _environ: b"<p>" + b"secret " * 500)
    with serving(names["report"], compress=True) as url:
        answer = httpx.get(url, trust_env=False, headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in answer.headers
    assert answer.text.count("secret") == 500


@drives("trailers_and_hints", 'dict(environ["wsgi.trailers"])')
def reads_trailers(run: Run) -> None:
    application = run(hashlib=hashlib)["application"]
    seen: list[Any] = []

    def app(environ: Any, start_response: Any) -> list[bytes]:
        application(environ, start_response)
        seen.append(environ["wsgi.trailers"])
        return hello(environ, start_response)

    digest = hashlib.sha256(b"abc").hexdigest()
    body = f"3\r\nabc\r\n0\r\nX-Sha256: {digest}\r\n\r\n".encode()
    with serving(app) as url:
        fields = ("Transfer-Encoding: chunked", "Trailer: X-Sha256")
        assert _ask(url, *fields, body=body, method="POST").status == 200
    assert [tuple(each) for each in seen[0]] == [("X-Sha256", digest)]


@drives("trailers_and_hints", "prowingen.send_trailers")
def sends_trailers(run: Run) -> None:
    names = run(hashlib=hashlib, rows=lambda: [b"a,1\n", b"b,2\n"])
    with serving(names["application"]) as url:
        answer = _ask(url, "TE: trailers", "Connection: TE")
    assert answer.body == b"a,1\nb,2\n"
    digest = hashlib.sha256(answer.body).hexdigest()
    assert [value for _, value in answer.trailers] == [digest]


@drives("trailers_and_hints", "wsgi.early_hints")
def sends_hints(run: Run) -> None:
    names = run(render=lambda: b"<p>Hello")
    with serving(names["application"]) as url:
        answer = _ask(url)
    assert answer.informational == [103]
    assert answer.body == b"<p>Hello"
