"""The command on its files: a configuration file, a file of variables, folders; and reloads."""

from __future__ import annotations

import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import prowingen_wsgi
import pytest

from harness.certificates import NAMES, authority, client_context, write
from harness.process import URL, ServerProcess
from harness.wire import Wire
from test_supervisor import ask, children, is_gone, ready, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

# Says what the variable and the folder were when it was loaded, and who answers.
APP = """
import os

SEEN = f"{os.environ.get('NAME')} {os.environ.get('OTHER')} {os.path.basename(os.getcwd())}"

def app(environ, start_response):
    answer = SEEN if environ["PATH_INFO"] == "/" else str(os.getpid())
    start_response("200 OK", [("Content-Length", str(len(answer)))])
    return [answer.encode()]
"""


def configure(folder: Path, **options: object) -> None:
    lines = [f"{name} = {value!r}\n" for name, value in options.items()]
    (folder / "prowingen.toml").write_text("".join(lines))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    (tmp_path / "hello.py").write_text(APP)
    return tmp_path


@contextmanager
def serving(folder: Path, *arguments: str) -> Iterator[ServerProcess]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("PROWINGEN_")}
    env["PYTHONDONTWRITEBYTECODE"] = "1"
    server = ServerProcess([sys.executable, "-m", "prowingen_wsgi", *arguments], env, folder)
    try:
        server.url = server.wait_for_line(URL)
        yield server
    finally:
        server.end()


def test_a_file_is_all_that_a_start_needs(engine: str, home: Path) -> None:
    configure(
        home,
        app="hello:app",
        engine=engine,
        bind=["unix:first.sock"],
        chdir="first",
        pythonpath=[".."],
        env_file="variables",
        access_log="access.log",
    )
    (home / "variables").write_text("NAME=world\nOTHER=${NAME}!\n")
    with serving(home) as server:
        assert (home / "first" / "first.sock").is_socket(), "chdir comes before sockets"
        server.url = f"unix:{home / 'first' / 'first.sock'}"
        assert ask(server) == "world world! first"
        server.signal()
        assert server.wait() == 0
        assert "GET / " in (home / "first" / "access.log").read_text()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are found in /proc")
@pytest.mark.parametrize("preload", ["false", "true"], ids=["forked", "preloaded"])
def test_a_reload_reads_all_files_anew_and_a_failed_one_changes_nothing(
    engine: str, home: Path, preload: str
) -> None:
    def write(app: str, chdir: str, variables: str) -> None:
        configure(home, app=app, engine=engine, bind=["127.0.0.1:0"], workers=1, env_file=".env")
        with (home / "prowingen.toml").open("a") as file:
            file.write(f"preload = {preload}\npythonpath = [{str(home)!r}]\n")
            if chdir:
                file.write(f"chdir = {chdir!r}\n")
        (home / ".env").write_text(variables)

    write("hello:app", "first", "NAME=one\nOTHER=here\n")
    with serving(home) as server:
        wait_until(lambda: ready(server) == 1, server.log)
        assert ask(server) == "one here first"

        write("hello:app", "", "NAME=two\n")
        server.signal(signal.SIGHUP)
        wait_until(lambda: ready(server) == 2, server.log)
        wait_until(lambda: ask(server) == f"two None {home.name}", server.log)

        write("missing:app", "second", "NAME=three\nOTHER=three\n")
        server.signal(signal.SIGHUP)
        server.wait_for_line("the reload failed, the workers go on as they are")
        before = int(ask(server, "/pid"))
        os.kill(before, signal.SIGKILL)
        wait_until(lambda: is_gone(before), "the worker is still there")
        wait_until(lambda: ready(server) == 3, server.log)
        assert ask(server) == f"two None {home.name}", "the replacement is as the others were"

        server.signal()
        assert server.wait() == 0


def test_the_level_of_the_log_is_that_of_what_serves(engine: str, home: Path) -> None:
    def want(level: str, bind: str, app: str = APP) -> None:
        configure(home, app="hello:app", engine=engine, bind=[bind], workers=1, log_level=level)
        (home / "hello.py").write_text(app)

    def reload() -> None:
        server.signal(signal.SIGHUP)

    want("info", "127.0.0.1:0")
    with serving(home) as server:
        want("critical", "unix:/dev/null/socket")
        reload()
        server.wait_for_line("the reload failed, the workers go on as they are: cannot listen")
        want("critical", "127.0.0.1:0", "def app(:")
        reload()
        server.wait_for_line("the reload failed, the workers go on as they are\n")
        want("critical", "127.0.0.1:0", APP.replace("{os.path", "quiet {os.path"))
        reload()
        wait_until(lambda: "quiet" in ask(server), server.log)
        shown = server.log.count("reloading")
        want("info", "127.0.0.1:0")
        reload()
        wait_until(lambda: "quiet" not in ask(server), server.log)
        wait_until(lambda: server.log.count("listening on") == 2, server.log)
        assert server.log.count("reloading") == shown


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are found in /proc")
@pytest.mark.parametrize("preload", [(), ("--preload",)], ids=["forked", "preloaded"])
def test_a_folder_that_was_replaced_is_gone_to_again(
    engine: str, home: Path, preload: tuple[str, ...]
) -> None:
    place = home / "first"

    def deploy(name: str) -> None:
        place.mkdir()
        (place / "inside.py").write_text(APP)
        (place / ".env").write_text(f"NAME={name}\n")

    shutil.rmtree(place)
    deploy("one")
    arguments = ["inside:app", "--engine", engine, "--bind", "127.0.0.1:0", "--workers", "1"]
    arguments += ["--chdir", "first", "--env-file", "first/.env", *preload]
    with serving(home, *arguments) as server:
        assert ask(server) == "one None first"
        shutil.rmtree(place)
        server.signal(signal.SIGHUP)
        server.wait_for_line('the reload failed.*"first.*there is no such f')
        deploy("two")
        server.signal(signal.SIGHUP)
        wait_until(lambda: ask(server) == "two None first", server.log)
        assert Path(f"/proc/{server.pid}/cwd").resolve() == place


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are found in /proc")
def test_the_folder_of_the_start_may_be_replaced_too(engine: str, home: Path) -> None:
    place = home / "first"

    def deploy(version: str) -> None:
        place.mkdir(exist_ok=True)
        (place / "hello.py").write_text(APP.replace("{os.path", f"{version} {{os.path"))

    deploy("one")
    arguments = ["hello:app", "--engine", engine, "--bind", "127.0.0.1:0", "--workers", "1"]
    with serving(place, *arguments) as server:
        assert ask(server) == "None None one first"
        shutil.rmtree(place)
        server.signal(signal.SIGHUP)
        server.wait_for_line(f'the reload failed.*cannot go to the folder "{place}": No such file')
        deploy("two")
        server.signal(signal.SIGHUP)
        wait_until(lambda: ask(server) == "None None two first", server.log)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are found in /proc")
def test_a_failed_reload_changes_the_number_of_workers_neither_then_nor_later(
    engine: str, home: Path
) -> None:
    def want(workers: int, app: str) -> None:
        configure(home, app="hello:app", engine=engine, bind=["127.0.0.1:0"], workers=workers)
        (home / "hello.py").write_text(app)

    want(3, APP)
    with serving(home) as server:
        wait_until(lambda: ready(server) == 3, server.log)
        before = children(server.pid)
        want(1, "def app(:")
        server.signal(signal.SIGHUP)
        server.wait_for_line("the reload failed, the workers go on as they are")
        want(3, APP)
        server.signal(signal.SIGHUP)
        wait_until(lambda: ready(server) == 3 + 3, server.log)
        wait_until(lambda: all(map(is_gone, before)), server.log)
        wait_until(lambda: len(children(server.pid)) == 3, server.log)  # once all are waited for
        want(1, APP)
        server.signal(signal.SIGHUP)
        wait_until(lambda: ready(server) == 3 + 3 + 1, server.log)
        wait_until(lambda: len(children(server.pid)) == 1, server.log)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are found in /proc")
def test_gunicorns_configuration_serves_once_it_is_imported(engine: str, home: Path) -> None:
    (home / "gunicorn.conf.py").write_text(
        "wsgi_app = 'hello:app'\n"
        "bind = 'tcp://127.0.0.1:0'\n"
        "workers, threads, timeout = 2, 3, 20\n"
        "max_requests, max_requests_jitter = 1000, 50\n"
        "chdir = 'first'\n"
        "pythonpath = '..'\n"
        "accesslog = 'access.log'\n"
        "access_log_format = '%(m)s %(s)s %({x-id}i)s'\n"
    )
    command = [sys.executable, "-m", "prowingen_wsgi", "import-gunicorn", "gunicorn.conf.py"]
    subprocess.run([*command, "-o", "prowingen.toml"], cwd=home, check=True, capture_output=True)
    with serving(home, "--engine", engine) as server:
        wait_until(lambda: ready(server) == 2, server.log)
        server.wait_for_line("2 workers of 3 threads")
        with server.connect() as wire:
            answer = wire.ask("/", "Connection: close", "X-Id: 7")
        assert answer.text == "None None first"
        server.signal()
        assert server.wait() == 0
        assert (home / "first" / "access.log").read_text() == "GET 200 7\n"


# Goes elsewhere while it is loaded, and once more with each request.
GOES_AWAY = """
import os

HERE = os.path.dirname(__file__)
os.chdir(os.path.join(HERE, "first"))

def app(environ, start_response):
    size = len(environ["wsgi.input"].read())
    os.chdir(os.path.join(HERE, "second"))
    start_response("200 OK", [("Content-Length", str(len(str(size))))])
    return [str(size).encode()]
"""
WAYS = {"single": {}, "forked": {"workers": 1}, "preloaded": {"workers": 1, "preload": True}}
MORE_THAN_MEMORY = 100_000  # of a body that is kept in a file


@pytest.mark.parametrize("way", WAYS)
def test_an_application_that_goes_elsewhere_takes_no_path_along(
    engine: str, home: Path, way: str
) -> None:
    (home / "goes_away.py").write_text(GOES_AWAY)
    (home / "spool").mkdir()
    write(authority().issue_cert(*NAMES), home, "server")
    options = {"access_log": "access.log", "certfile": "server.pem", "keyfile": "server.key"}
    places = {"bind": ["unix:app.sock"], "spool_dir": "spool", "pidfile": "pid"}
    lines = {**options, **places, "app": "goes_away:app", "engine": engine, **WAYS[way]}
    (home / "prowingen.toml").write_text(
        "".join(f"{name} = {json.dumps(value)}\n" for name, value in lines.items())
    )
    log = home / "access.log"
    with serving(home) as server:
        assert server.url == f"unix:{home / 'app.sock'}"

        def asked(target: str) -> bytes:
            with Wire(server.address, tls=client_context()) as wire:
                wire.post(target, b"x" * MORE_THAN_MEMORY)
                assert wire.response().body == str(MORE_THAN_MEMORY).encode()
                tls = wire.socket
                assert isinstance(tls, ssl.SSLSocket)
                return tls.getpeercert(binary_form=True) or b""

        certificate = asked("/before")
        wait_until(
            lambda: log.exists() and "/before" in log.read_text(), "it is where it was named"
        )
        log.rename(home / "rotated.log")
        server.signal(signal.SIGUSR1)
        wait_until(log.exists, "the log is not opened anew where it was named")
        assert asked("/after") == certificate
        if "workers" in WAYS[way]:
            write(authority().issue_cert(*NAMES), home, "server")
            server.signal(signal.SIGHUP)
            wait_until(lambda: asked("/reloaded") != certificate, "the certificate is the old one")
        server.signal()
        assert server.wait() == 0
        assert "POST /after" in log.read_text()
    left = {path.name for path in home.iterdir() if not path.is_dir()}
    assert {"app.sock", "pid"}.isdisjoint(left), "what the server made it did not find again"
    assert [*(home / "first").iterdir(), *(home / "second").iterdir()] == []


def test_a_reload_that_goes_elsewhere_moves_the_socket(engine: str, home: Path) -> None:
    def write_config(chdir: str) -> None:
        bind, path = ["unix:app.sock"], [str(home)]
        configure(home, app="hello:app", engine=engine, bind=bind, pythonpath=path, chdir=chdir)
        with (home / "prowingen.toml").open("a") as file:
            file.write("workers = 1\n")

    first, second = (home / name / "app.sock" for name in ("first", "second"))
    write_config("first")
    with serving(home) as server:
        assert server.url == f"unix:{first}"
        write_config("second")
        server.signal(signal.SIGHUP)
        wait_until(second.is_socket, server.log)
        wait_until(lambda: not first.exists(), "the socket's file stays")
        server.url = f"unix:{second}"
        assert ask(server) == "None None second"
        server.signal()
        assert server.wait() == 0


def test_a_program_that_goes_elsewhere_takes_no_path_along(
    engine: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("204 No Content", [])
        return []

    monkeypatch.chdir(home)
    config = prowingen_wsgi.Config(engine=engine, bind=("unix:app.sock",), access_log="access.log")
    server = prowingen_wsgi.Server(app, config)
    listener = prowingen_wsgi.create_server(lambda *_: None, engine=engine, access_log="raw.log")
    listener.add_unix_address("raw.sock")
    monkeypatch.chdir(home / "first")
    with server, listener:
        for path in ("app.sock", "raw.sock"):
            with Wire(str(home / path)) as wire:
                wire.ask("/")
    assert {path.name for path in home.glob("*.*")} == {"hello.py", "access.log", "raw.log"}
    assert list((home / "first").iterdir()) == []
