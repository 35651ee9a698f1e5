"""The command as a shell sees it: messages, exit codes and signals."""

from __future__ import annotations

import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from command import Command

import prowingen_wsgi

PACKAGE = Path(prowingen_wsgi.__file__).parent

Start = Callable[..., Command]

APP = """
import time

def app(environ, start_response):
    environ["connection"].sendall(b"begun ")
    while environ["connection"].recv(100) != b"go":
        time.sleep(0.01)
    return [b"done"]

def create_app():
    return app
"""


@pytest.fixture(autouse=True)
def hello(tmp_path: Path) -> Path:
    (tmp_path / "hello.py").write_text(APP)
    return tmp_path / "hello.py"


def port_in(line: str) -> int:
    found = re.search(r"http://127\.0\.0\.1:(\d+)", line)
    assert found
    return int(found[1])


def serving(start: Start, *arguments: str) -> tuple[Command, int]:
    command = start("hello:app", "-b", "127.0.0.1:0", "-t", "2", *arguments)
    return command, port_in(command.wait_for("listening on"))


class Request:
    """A request that the application has begun and finishes when told to."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        assert self.socket.recv(100) == b"begun "

    def finish(self) -> bytes:
        self.socket.sendall(b"go")
        return self.socket.recv(100)

    def __enter__(self) -> Request:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["hello", "--thread", "4"], 'unknown option "--thread"; did you mean "--threads"?'),
        (["--thread=4"], 'unknown option "--thread"; did you mean "--threads"?'),
        (["hello", "--no-date-heder"], 'did you mean "--no-date-header"?'),
        (["hello", "--thr", "4"], 'unknown option "--thr"'),
        (["hello", "more"], 'unexpected argument "more"'),
        ([], "which application? Name it, as in hello:app"),
        (["hello", "--threads"], "expected one argument"),
        (["hello", "--threads", "-1"], '--threads: "-1": must be a whole number, 1–4096'),
        (["hello", "-t", "x"], '-t: "x": must be a whole number, 1–4096'),
        (["hello", "--bind", "localhost:99999"], '--bind: "localhost:99999": port must be 0–65535'),
        (["hello", "--engine", "nginx"], '--engine: "nginx": must be one of auto, embedded,'),
        (["hello.py"], '"hello.py" names a file; give its module: hello'),
        (["hello", "--engine", "proxygen"], 'engine: "proxygen": this build has only embedded'),
        (["hello", "-b", ":0", "--access-log-format", "%refused"], "access_log_format: refused"),
    ],
)
def test_a_wrong_command_line_gets_one_line_and_exit_code_2(
    command: Start, arguments: list[str], message: str
) -> None:
    code, output, errors = command(*arguments).result()
    assert (code, output) == (2, "")
    last = errors.splitlines()[-1]
    assert last.startswith("prowingen: ")
    assert message in last
    assert "Traceback" not in errors


def test_a_wrong_variable_is_named(command: Start) -> None:
    code, _, errors = command("hello", PROWINGEN_THREADS="none").result()
    assert code == 2
    assert errors == 'prowingen: PROWINGEN_THREADS: "none": must be a whole number, 1–4096\n'


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["helo"], 'there is no module "helo"; did you mean "hello"?'),
        (["hello:ap"], 'module "hello" has no attribute "ap"; did you mean "app"?'),
        (["hello", "-b", "fd://999999"], "cannot listen on fd://999999: bad file descriptor"),
        (["hello", "-b", "192.0.2.1:0"], "cannot listen on 192.0.2.1:0: cannot assign"),
        (["hello", "-b", "unix:/missing/x"], "cannot listen on unix:/missing/x: no such file"),
    ],
)
def test_what_cannot_be_had_gets_one_line_and_exit_code_1(
    command: Start, arguments: list[str], message: str
) -> None:
    code, output, errors = command(*arguments).result()
    assert (code, output) == (1, "")
    last = errors.splitlines()[-1]
    assert last.startswith("prowingen: ")
    assert message in last
    assert "Traceback" not in errors


def test_a_taken_port_gets_one_line_and_exit_code_1(command: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        code, _, errors = command("hello", "-b", address).result()
    assert code == 1
    last = errors.splitlines()[-1]
    assert last == f"prowingen: cannot listen on {address}: address already in use"


def test_an_import_error_shows_the_users_traceback_alone(command: Start, hello: Path) -> None:
    hello.write_text("def start():\n    1 / 0\nstart()\n")
    code, _, errors = command("hello:app").result()
    assert code == 1
    assert "prowingen: importing hello failed:\nTraceback" in errors
    assert errors.count("  File ") == 2
    assert errors.endswith("ZeroDivisionError: division by zero\n")


def test_check_shows_every_value_with_its_source(command: Start) -> None:
    code, output, errors = command(
        "hello:create_app()",
        "--check",
        "--no-date-header",
        "--keep-alive-timeout=500ms",
        PROWINGEN_THREADS="3",
        PROWINGEN_THRADS="4",
    ).result()
    assert code == 0
    rows = [line.split() for line in output.splitlines()]
    assert rows[0] == ["option", "value", "source"]
    assert ["threads", "3", "PROWINGEN_THREADS"] in rows
    assert ["date_header", "off", "--no-date-header"] in rows
    assert ["keep_alive_timeout", "500ms", "--keep-alive-timeout"] in rows
    assert ["max_header_bytes", "64KiB", "default"] in rows
    assert ["access_log", '""', "default"] in rows
    # Aligned: every row's source begins in the same column.
    assert (
        len({line.rindex(row[-1]) for line, row in zip(output.splitlines(), rows, strict=True)})
        == 1
    )
    assert 'PROWINGEN_THRADS is no option; did you mean "PROWINGEN_THREADS"?' in errors


def test_check_fails_if_the_application_cannot_be_loaded(command: Start) -> None:
    code, output, _ = command("hello:missing", "--check").result()
    assert (code, output) == (1, "")


def test_version_names_the_engines(command: Start) -> None:
    code, output, _ = command("--version").result()
    assert code == 0
    first, engine = output.splitlines()
    assert re.fullmatch(r"prowingen-wsgi \S+ \(CPython 3\.\d+\.\S+\)", first)
    assert engine == "embedded: made of nothing"


def test_help_has_every_option_in_groups(command: Start) -> None:
    code, output, _ = command("--help").result()
    assert code == 0
    for heading in ("Application:", "Server:", "Limits:", "Timeouts:", "Logs:"):
        assert f"\n{heading}\n" in output
    assert "--header-timeout SECONDS" in output
    assert "PROWINGEN_THREADS=16" in output


def test_the_start_names_app_url_engine_threads_and_pid(command: Start) -> None:
    running, port = serving(command)
    assert running.wait_for("serving hello:app")
    line = running.wait_for("listening on")
    assert (
        f"listening on http://127.0.0.1:{port} "
        f"(engine embedded, 2 threads, pid {running.process.pid})"
    ) in line


def test_sigterm_lets_a_request_finish_and_exits_with_0(command: Start) -> None:
    running, port = serving(command)
    with Request(port) as request:
        running.process.send_signal(signal.SIGTERM)
        running.wait_for("SIGTERM: finishing what runs")
        assert request.finish() == b"done"
    code, _, errors = running.result()
    assert code == 0
    assert "Traceback" not in errors


def test_sigint_dies_of_the_signal_without_a_traceback(command: Start, hello: Path) -> None:
    exit_handler = "import atexit\natexit.register(print, 'exit handler ran')\n"
    hello.write_text(exit_handler + APP)
    running, _ = serving(command)
    running.process.send_signal(signal.SIGINT)
    code, output, errors = running.result()
    assert code == -signal.SIGINT
    assert "Traceback" not in errors
    assert output == "exit handler ran\n"


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_does_not_wait_for_requests(command: Start, first: signal.Signals) -> None:
    running, port = serving(command)
    with Request(port):
        running.process.send_signal(first)
        running.wait_for(f"{first.name}: finishing what runs")
        running.process.send_signal(signal.SIGTERM)
        code, _, errors = running.result()
    assert code == (0 if first == signal.SIGTERM else -first)
    assert "closing connections whose requests have not finished" in errors
    assert "the application still runs on prowingen-worker-" in errors


def test_requests_get_the_graceful_timeout_and_no_more(command: Start) -> None:
    running, port = serving(command, "--graceful-timeout", "100ms")
    with Request(port):
        running.process.send_signal(signal.SIGTERM)
        code, _, errors = running.result()
    assert code == 0
    assert "closing connections whose requests have not finished" in errors


def test_ctrl_c_while_the_application_loads_is_quiet(command: Start, hello: Path) -> None:
    hello.write_text("import sys, time\nprint('loading', file=sys.stderr)\ntime.sleep(60)\n")
    running = command("hello:app")
    running.wait_for("loading")
    running.process.send_signal(signal.SIGINT)
    code, _, errors = running.result()
    assert code == -signal.SIGINT
    assert errors == "loading\n"


def test_sigusr1_reopens_the_logs_and_goes_on(command: Start) -> None:
    running, port = serving(command)
    running.process.send_signal(signal.SIGUSR1)
    running.wait_for("reopened")
    with Request(port) as request:
        assert request.finish() == b"done"


def test_an_exception_is_logged_even_if_the_application_sets_logging_up(
    command: Start, hello: Path
) -> None:
    hello.write_text(
        "import logging.config\n"
        "logging.config.dictConfig({'version': 1, 'root': {'level': 'ERROR'}})\n"
        "def app(environ, start_response):\n"
        "    raise KeyError('from the app')\n"
    )
    running, port = serving(command)
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.recv(1)
    assert "ERROR GET / HTTP/1.1" in running.wait_for("ERROR")
    assert running.wait_for("KeyError: 'from the app'")
    assert running.wait_for('hello.py", line 4, in app')


def test_a_log_level_hides_what_is_less_severe(command: Start) -> None:
    code, _, errors = command(
        "hello:app", "--check", "--log-level", "error", PROWINGEN_NONSENSE="1"
    ).result()
    assert (code, errors) == (0, "")


def test_a_check_is_printed_after_all_that_the_application_prints(
    command: Start, hello: Path
) -> None:
    said = "import io, sys\nprint('of the application')\nsys.stdout.write('and more\\n')\n"
    hello.write_text(f"{said}sys.stdout = io.StringIO()\n{hello.read_text()}")
    code, output, _ = command("hello:app", "--check").result()
    assert code == 0
    assert output.startswith("of the application\nand more\noption ")
    assert output.endswith("argument\n")


def test_a_missing_native_module_is_said_in_one_line(hello: Path) -> None:
    program = (
        "import sys\n"
        "sys.modules['prowingen_wsgi._native'] = None\n"
        "from prowingen_wsgi.command.cli import main\n"
        "sys.exit(main(['hello:app']))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program],
        cwd=hello.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    last = result.stderr.splitlines()[-1]
    assert last.startswith("prowingen: the native module cannot be loaded: ")


def test_a_source_tree_that_is_not_built_says_what_to_do(hello: Path) -> None:
    """As from the clone's root with a Python that nothing is installed for."""
    tree = hello.parent / "clone"
    shutil.copytree(PACKAGE, tree / "prowingen_wsgi", ignore=shutil.ignore_patterns("_native*"))
    (tree / "bootstrap.sh").touch()
    command = ["-m", "prowingen_wsgi", "hello:app"]
    uses = ["prowingen_wsgi.serve", "prowingen_wsgi.create_server", "prowingen_wsgi.start(print)"]
    for arguments in (
        command,
        [*command, "--check", "--spool-dir", "/tmp"],
        [*command, "--check", "--certfile", "no.pem"],
        ["-c", "import prowingen_wsgi.server"],
        *(["-c", f"import prowingen_wsgi; {use}"] for use in uses),
    ):
        result = subprocess.run(
            [sys.executable, "-S", *arguments],  # no site: nothing that is installed
            cwd=tree,
            env={"PYTHONPATH": str(hello.parent)},
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        assert result.returncode == 1
        last = result.stderr.splitlines()[-1]
        assert f"it is not built in the source tree {tree}" in last
        assert "./bootstrap.sh" in last
        if arguments[0] == "-m":
            assert "Traceback" not in result.stderr


def test_a_file_gives_the_application_and_its_options(command: Start, hello: Path) -> None:
    (hello.parent / "prowingen.toml").write_text('app = "hello:app"\nthreads = 3\n')
    code, output, _ = command("--check", "--io-threads", "2").result()
    assert code == 0
    rows = [line.split() for line in output.splitlines()]
    assert ["threads", "3", "prowingen.toml"] in rows
    assert ["io_threads", "2", "--io-threads"] in rows
    assert rows[-1] == ["app", "hello:app", "(function)", "prowingen.toml"]
    _, output, _ = command("hello:create_app", "--check").result()
    assert output.splitlines()[-1].endswith("argument"), "the command line wins"


def test_a_mistake_in_the_file_is_said_in_one_line(command: Start, hello: Path) -> None:
    (hello.parent / "prowingen.toml").write_text("max-body = 3\n")
    code, _, errors = command("hello:app").result()
    assert code == 2
    assert errors == (
        'prowingen: prowingen.toml: no option is called "max-body"; did you mean "max_body"?\n'
    )


def test_chdir_and_pythonpath_say_where_the_application_is(command: Start, tmp_path: Path) -> None:
    for folder in ("site", "lib"):
        (tmp_path / folder).mkdir()
    (tmp_path / "lib" / "helper.py").write_text("NAME = 'from lib'\n")
    (tmp_path / "site" / "inside.py").write_text(
        "import os, helper\n"
        "def app(environ, start_response): return []\n"
        "print(helper.NAME, os.path.basename(os.getcwd()))\n"
    )
    code, output, _ = command(
        "inside:app", "--check", "--chdir", "site", "--pythonpath", "../lib"
    ).result()
    assert code == 0
    assert output.startswith("from lib site\n")
    for flag in ("--chdir", "--pythonpath"):
        code, _, errors = command("inside:app", flag, "nowhere").result()
        assert code
        assert '"nowhere": there is no such folder' in errors


def test_a_start_in_a_folder_that_is_gone_is_refused_in_one_line(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    script = 'rmdir "$0" && exec "$1" -m prowingen_wsgi hello:app'
    result = subprocess.run(
        ["sh", "-c", script, str(gone), sys.executable],
        cwd=gone,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2
    assert result.stderr == (
        "prowingen: the current directory is gone: start in one that is there\n"
    )
