"""`flask run` with PROWINGEN_SERVER: its options, debugger and reloader around this server."""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
from textwrap import dedent
from typing import TYPE_CHECKING, Protocol

import pytest
from harness.commands import Visitor, ask, ask_until, edit, run_command
from harness.site import address_of
from harness.waiting import eventually

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from harness.process import ServerProcess

pytest.importorskip("flask")
pytestmark = pytest.mark.timeout(90)

APP = """
    import os, threading, time
    from flask import Flask, request

    app = Flask(__name__)
    app.config.from_prefixed_env()

    @app.get("/")
    def index():
        return "one"

    @app.get("/fail")
    def fail():
        number = 20
        raise RuntimeError("as asked for")

    @app.get("/workers")
    def workers():
        names = [thread.name for thread in threading.enumerate()]
        return str(sum(name.startswith("prowingen-worker") for name in names))

    @app.get("/pid")
    def pid():
        return str(os.getpid())

    @app.get("/stuck")
    def stuck():
        open("stuck", "w").close()
        time.sleep(600)
"""


class Run(Protocol):
    def __call__(
        self, *arguments: str, **variables: str
    ) -> AbstractContextManager[ServerProcess]: ...


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with an app.py, where `flask` looks for one."""
    edit(tmp_path / "app.py", dedent(APP))
    return tmp_path


@pytest.fixture
def run(project: Path, engine: str) -> Run:
    def start(*arguments: str, **variables: str) -> AbstractContextManager[ServerProcess]:
        command = [sys.executable, "-m", "flask", "run", "--port", "0", *arguments]
        chosen = {"PROWINGEN_SERVER": "wsgi", "PROWINGEN_ENGINE": engine}
        return run_command(command, project, **chosen, **variables)

    return start


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    edit(path, text.replace(old, new))


def reloads(server: ServerProcess) -> list[str]:
    return re.findall(r"Detected change in '(.*)'", server.log)


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


# ---- which server


def test_the_chosen_server_serves_and_says_so(run: Run, engine: str) -> None:
    with run() as server:
        response = ask(server)
        assert (response.body, response.get("Server")) == (b"one", "prowingen")
        server.wait_for_line(r'127\.0\.0\.1 - - \[[^]]+\] "GET / HTTP/1\.1" 200 -')
        assert " * Debug mode: off" in server.log
        assert re.search(rf"Served by wsgi \(prowingen-wsgi \S+, {engine} engine\)", server.log)


def test_without_the_variable_it_is_flasks_own(project: Path) -> None:
    command = [sys.executable, "-m", "flask", "run", "--port", "0"]
    with run_command(command, project) as server:
        assert "Werkzeug/" in str(ask(server).get("Server"))
        assert "This is a development server" in server.log


def test_flasks_variables_and_group_options_count(project: Path, engine: str) -> None:
    command = [sys.executable, "-m", "flask", "--app", "app:app", "--debug", "run"]
    chosen = {"PROWINGEN_SERVER": "wsgi", "PROWINGEN_ENGINE": engine}
    with run_command(
        command, project, FLASK_RUN_PORT="0", FLASK_RUN_HOST="127.0.0.2", **chosen
    ) as server:
        assert server.url.startswith("http://127.0.0.2:")
        assert ask_until(server, b"one").get("Server") == "prowingen"
        assert "Debug mode: on" in server.log
        assert "Restarting with stat" in server.log


def test_this_servers_own_variables_count(run: Run) -> None:
    with run(PROWINGEN_THREADS="3", PROWINGEN_SERVER_HEADER="mine") as server:
        response = ask(server, "/workers")
        assert (response.body, response.get("Server")) == (b"3", "mine")


def test_what_says_how_processes_serve_in_production_is_without_effect(run: Run) -> None:
    variables = {"PROWINGEN_WORKERS": "2", "PROWINGEN_MAX_RSS": "1GiB", "PROWINGEN_BIND": ":1"}
    with run(**variables) as server:
        assert ask(server).body == b"one"


def test_without_threads_requests_come_one_by_one(run: Run) -> None:
    with run("--without-threads", PROWINGEN_THREADS="3") as server:
        assert ask(server, "/workers").body == b"1"


def test_an_ipv6_address_and_a_unix_socket(run: Run, tmp_path: Path) -> None:
    with run("--host", "::1") as server:
        assert server.url.startswith("http://[::1]:")
        assert ask(server).body == b"one"
    with run("--host", f"unix://{tmp_path}/socket", "--reload") as server:
        assert server.url == f"unix:{tmp_path}/socket"
        assert ask_until(server, b"one").body == b"one"


def test_every_ipv6_address_is_every_ipv4_address_too(run: Run) -> None:
    """As in Flask's own server: the system's default for such a socket."""
    for reload in ("--no-reload", "--reload"):
        with run("--host", "::", reload) as server:
            server.wait_for_line(r"Running on all addresses, also http://\[::1\]:")
            server.url = f"http://127.0.0.1:{address_of(server.url)[1]}"
            assert ask_until(server, b"one").body == b"one"


@pytest.mark.parametrize(
    ("arguments", "variables", "message"),
    [
        ((), {"PROWINGEN_SERVER": "wsgo"}, r'"wsgo": no such server factory; did you mean "wsgi"'),
        ((), {"PROWINGEN_SERVER": "json:loads"}, "has the methods initialize and create"),
        ((), {"PROWINGEN_THREADS": "0"}, r'PROWINGEN_THREADS: "0": must be a whole number'),
        (("--host", "192.0.2.1"), {}, r"cannot listen on 192\.0\.2\.1:0: "),
        (("--host", "192.0.2.1", "--debug"), {}, r"cannot listen on 192\.0\.2\.1:0: "),
        (("--port", "70000"), {}, r'bind: "127\.0\.0\.1:70000": port must be 0–65535'),
        (("--port", "70000", "--debug"), {}, r'bind: "127\.0\.0\.1:70000": port must be 0–65535'),
        (("--app", "nothing"), {}, "Could not import 'nothing'"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    project: Path, arguments: tuple[str, ...], variables: dict[str, str], message: str
) -> None:
    run_options = [word for word in arguments if "--app" not in arguments]
    group_options = [word for word in arguments if "--app" in arguments]
    command = [sys.executable, "-m", "flask", *group_options, "run", "--port", "0", *run_options]
    variables = {"PROWINGEN_SERVER": "wsgi", **variables}
    with run_command(command, project, ready="Error: ", **variables) as server:
        assert server.wait() in (1, 2)
        assert re.search(f"Error: .*{message}", server.log)
        assert "Traceback" not in server.log


# ---- the reloader


def test_no_connection_is_refused_while_the_code_is_reloaded(run: Run, project: Path) -> None:
    with run("--debug") as server:
        ask_until(server, b"one")
        with Visitor(server) as visitor:
            for new in ("two", "three"):
                change(project / "app.py", "one" if new == "two" else "two", new)
                ask_until(server, new.encode())
        assert visitor.failures == []
        assert set(visitor.answers) == {b"one", b"two", b"three"}
        assert len(reloads(server)) == 2


def test_further_files_are_watched_and_patterns_are_not(run: Run, project: Path) -> None:
    for name in ("ignored.py", "watched.txt"):
        edit(project / name, "first = 1\n")
    arguments = "--exclude-patterns", "*/ignored.py", "--extra-files", str(project / "watched.txt")
    with run("--reload", *arguments) as server:
        pid = ask_until(server, b"", "/pid").body
        edit(project / "ignored.py", "first = 2\n")
        # The reloader looks once a second, and nobody can tell that it has seen what it ignores.
        assert not eventually(lambda: ask(server, "/pid").body != pid, 2.5)
        edit(project / "watched.txt", "first = 2\n")
        server.wait_for_line("Detected change")
        assert reloads(server) == [str(project / "watched.txt")]
        assert eventually(lambda: ask(server, "/pid").body != pid)
        assert "Debug mode: off" in server.log


def test_code_that_cannot_be_imported_shows_in_the_browser(run: Run, project: Path) -> None:
    with run("--debug") as server:
        ask_until(server, b"one")
        good = (project / "app.py").read_text()
        edit(project / "app.py", "app = = 1\n")
        page = ask_until(server, b"SyntaxError")
        assert page.status == 500
        assert b"Werkzeug Debugger" in page.body
        assert b"SyntaxError" in ask(server, "/again").body, "as often as it is asked for"
        edit(project / "app.py", good.replace("one", "repaired"))
        ask_until(server, b"repaired")


def test_code_that_cannot_be_imported_at_first_ends_the_command(project: Path) -> None:
    edit(project / "app.py", "app = = 1\n")
    command = [sys.executable, "-m", "flask", "run", "--port", "0", "--debug"]
    with run_command(command, project, ready="SyntaxError", PROWINGEN_SERVER="wsgi") as server:
        assert server.wait() == 1


def test_a_request_that_never_ends_does_not_hold_up_the_reload(run: Run, project: Path) -> None:
    from harness.wire import Wire

    with run("--reload") as server:
        ask_until(server, b"one")
        with Wire(address_of(server.url)) as wire:
            wire.get("/stuck")
            assert eventually((project / "stuck").exists)
            change(project / "app.py", "one", "two")
            ask_until(server, b"two")
        assert len(re.findall("Restarting with", server.log)) == 2


@pytest.mark.parametrize("reload", ["--reload", "--no-reload"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_it_and_leave_no_process(run: Run, reload: str, number: signal.Signals) -> None:
    with run(reload) as server:
        serving = int(ask_until(server, b"", "/pid").body)
        assert (serving == server.pid) == (reload == "--no-reload")
        server.signal(number)
        assert server.wait() == 0
        assert eventually(lambda: is_gone(serving))
        assert "Traceback" not in server.log


# ---- the debugger


def test_the_debugger_shows_the_exception_and_takes_its_pin(run: Run) -> None:
    import httpx

    with run("--debug") as server:
        ask_until(server, b"one")
        found = re.search(r"Debugger PIN: (\S+)", server.wait_for_line(r"Debugger PIN: \S+\n"))
        assert found is not None
        with httpx.Client(base_url=server.url, trust_env=False) as browser:
            page = browser.get("/fail")
            assert page.status_code == 500
            assert "as asked for" in page.text
            secret = _captured(r'SECRET = "(\w+)"', page.text)
            frame = re.findall(r'id="frame-(\d+)"', page.text)[-1]
            command = {"__debugger__": "yes", "s": secret}
            pin = {**command, "cmd": "pinauth"}
            assert browser.get("/", params={**pin, "pin": "0"}).json()["auth"] is False
            assert browser.get("/", params={**pin, "pin": found.group(1)}).json()["auth"] is True
            evaluated = browser.get("/", params={**command, "cmd": "number + 1", "frm": frame})
            assert ">21<" in evaluated.text
            style = browser.get(
                "/", params={"__debugger__": "yes", "cmd": "resource", "f": "style.css"}
            )
            assert style.headers["Content-Type"].startswith("text/css")


def _captured(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    assert found is not None, text
    return found.group(1)


def test_the_debugger_comes_without_debug_mode_and_debug_mode_without_it(run: Run) -> None:
    with run("--debugger", FLASK_PROPAGATE_EXCEPTIONS="true") as server:
        assert b"Werkzeug Debugger" in ask(server, "/fail").body
        assert "Restarting with" not in server.log
    with run("--debug", "--no-debugger", "--no-reload") as server:
        response = ask(server, "/fail")
        assert response.status == 500
        assert b"Werkzeug" not in response.body


# ---- processes of the application's


FORKING_APP = """
    import os, subprocess, time
    from flask import Flask

    app = Flask(__name__)

    @app.get("/comes_back")
    def comes_back():
        return str(os.fork())

    @app.get("/lives_on")
    def lives_on():
        child = os.fork()
        if child == 0:
            for stream in (1, 2):
                os.dup2(0, stream)
            time.sleep(60)
            os._exit(0)
        return str(child)

    @app.get("/executes")
    def executes():
        listing = ["ls", "-l", "/proc/self/fd"]
        found = subprocess.run(listing, close_fds=False, capture_output=True, check=True)
        return str(found.stdout.count(b"socket:"))
"""


@pytest.mark.parametrize("arguments", [[], ["--reload"]])
def test_a_forked_child_ends_or_keeps_no_address(
    run: Run, project: Path, arguments: list[str]
) -> None:
    edit(project / "app.py", dedent(FORKING_APP))
    with run(*arguments) as server:
        assert ask(server, "/executes").body == b"0"
        assert int(ask(server, "/comes_back").body) != 0
        server.wait_for_line(r"\[\d+\] WARNING GET /comes_back HTTP/1\.1: a child process .* came")
        child = int(ask(server, "/lives_on").body)
        try:
            server.signal(signal.SIGINT)
            server.wait()
            address = server.address
            assert isinstance(address, tuple)
            with socket.create_server(address):
                assert not is_gone(child)
        finally:
            os.kill(child, signal.SIGKILL)


@pytest.mark.parametrize("patch", ["gevent.monkey.patch_all()", "eventlet.monkey_patch()"])
@pytest.mark.parametrize("flag", ["--reload", "--no-reload"])
def test_an_application_that_patches_is_served(
    run: Run, project: Path, patch: str, flag: str
) -> None:
    module = patch.rpartition(".")[0]
    edit(project / "app.py", f"import {module}\n{patch}\n{dedent(APP)}")
    change(project / "app.py", 'return "one"', 'time.sleep(0.05); return "one"')
    with run(flag, PYTHONWARNINGS="ignore") as server:
        assert ask(server).body == b"one"
        assert ask(server, "/fail").status == 500
        server.wait_for_line("RuntimeError: as asked for")
        server.signal(signal.SIGTERM)
        server.wait()
