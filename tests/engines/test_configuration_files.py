"""The command on its files: a configuration file, a file of variables, folders; and reloads."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.process import URL, ServerProcess
from test_supervisor import ask, is_gone, ready, wait_until

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
