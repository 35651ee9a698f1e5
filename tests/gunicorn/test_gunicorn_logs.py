"""Access log, error log, statsd and hooks, through gunicorn's own classes."""

from __future__ import annotations

import io
import logging
import os
import re
import signal
import socket
import threading
from typing import TYPE_CHECKING, Any

from harness.waiting import TIME_LIMIT, eventually
from prowingen_wsgi.gunicorn.routing import ErrorStream

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from harness.arbiter import Arbiter

    Start = Callable[..., Arbiter]


def _lines(path: Path, count: int) -> list[str]:
    assert eventually(lambda: path.exists() and path.read_text().count("\n") >= count)
    return path.read_text().splitlines()


def test_the_access_log_has_its_default_format(start: Start, tmp_path: Path) -> None:
    arbiter = start("--access-logfile", "access.log")
    arbiter.ask("/a%20b?x=1", Referer="http://r/", User_Agent="tester/1")
    (line,) = _lines(tmp_path / "access.log", 1)
    assert re.fullmatch(
        r'127\.0\.0\.1 - - \[[^]]+\] "GET /a%20b\?x=1 HTTP/1\.1" 200 \d+ "http://r/" "tester/1"',
        line,
    )


def test_every_atom_of_the_access_log(start: Start, tmp_path: Path) -> None:
    atoms = "%(m)s|%(U)s|%(q)s|%(H)s|%(s)s|%(b)s|%(B)s|%(u)s|%(L)s|%(D)s|%(p)s"
    named = "%({x-token}i)s|%({x-answer}o)s|%({wsgi.url_scheme}e)s|%({nowhere}i)s"
    arbiter = start("--access-logfile", "access.log", "--access-logformat", f"{atoms}|{named}")
    pid = arbiter.look("/a?x=1", Authorization="Basic YWxhZGRpbjpvcGVu", X_Token="t")["pid"]
    (line,) = _lines(tmp_path / "access.log", 1)
    method, path, query, protocol, status, sent, length, user, seconds, micros, process, *rest = (
        line.split("|")
    )
    assert (method, path, query, protocol, status) == ("GET", "/a", "x=1", "HTTP/1.1", "200")
    assert sent == length
    assert int(sent) > 10
    assert user == "aladdin"
    assert 0 <= float(seconds) < 10
    assert int(micros) < 10_000_000
    assert process == f"<{pid}>"
    assert rest == ["t", "42", "http", "-"]


def test_what_is_counted_as_sent(start: Start, tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(bytes(5000))
    log_format = "%(m)s %(U)s %(s)s %(B)s"
    arbiter = start("--access-logfile", "access.log", "--access-logformat", log_format)
    assert arbiter.ask("/stream") == (200, b"0123456789" * 3)
    assert arbiter.ask("/file?data") == (200, bytes(5000))
    assert arbiter.ask("/just-written") == (200, bytes(700))
    assert arbiter.ask("/pipe") == (200, bytes(80))
    assert arbiter.ask("/too-long") == (200, b"0123")
    assert arbiter.ask("/fail")[0] == 500
    connection = arbiter.connect()
    connection.request("HEAD", "/")
    connection.getresponse().read()
    connection.close()
    assert _lines(tmp_path / "access.log", 7) == [
        "GET /stream 200 30",
        "GET /file 200 5000",
        "GET /just-written 200 700",
        "GET /pipe 200 80",
        "GET /too-long 200 4",
        "GET /fail 500 0",
        "HEAD / 200 0",
    ]
    arbiter.wait_for("the stream is closed")


def test_an_application_that_cannot_reach_another_server_has_its_line(
    start: Start, tmp_path: Path
) -> None:
    arbiter = start("--access-logfile", "access.log", "--access-logformat", "%(U)s %(s)s")
    assert arbiter.ask("/unreachable")[0] == 500
    assert _lines(tmp_path / "access.log", 1) == ["/unreachable 500"]


def test_a_body_that_the_server_refuses_is_logged_as_it_is_answered(
    start: Start, tmp_path: Path
) -> None:
    arbiter = start("--access-logfile", "access.log", "--access-logformat", "%(U)s %(s)s %(B)s")
    paths = ["/texts", "/text", "/bytes", "/nothing", "/later-texts"]
    assert [arbiter.ask(path)[0] for path in paths] == [500] * len(paths)
    lines = _lines(tmp_path / "access.log", len(paths))
    assert lines == [f"{path} 500 0" for path in paths]


def test_usr1_reopens_the_logs(start: Start, tmp_path: Path) -> None:
    arbiter = start("-w", "2", "--access-logfile", "access.log", "--error-logfile", "error.log")
    log, errors = tmp_path / "access.log", tmp_path / "error.log"
    assert eventually(lambda: errors.exists() and errors.read_text().count("Booting") == 2)
    address = re.findall(r"Listening at: (\S+)", errors.read_text())[0]
    arbiter.known_addresses = [address]
    arbiter.ask("/before")
    _lines(log, 1)
    log.rename(tmp_path / "access.log.1")
    errors.rename(tmp_path / "error.log.1")
    arbiter.send(signal.SIGUSR1)
    assert eventually(errors.exists)
    asked = 0

    def both_reopened() -> bool:
        nonlocal asked
        asked += 1
        arbiter.ask("/after")
        arbiter.ask("/complain")
        arbiter.ask("/fail")
        return log.exists() and log.read_text().count("/after") >= 1

    assert eventually(both_reopened)
    assert "/before" not in log.read_text()
    # What the application and the server say goes there too.
    assert eventually(lambda: "a complaint to wsgi.errors" in errors.read_text())
    assert eventually(lambda: "ValueError: the application failed" in errors.read_text())


def test_wsgi_errors_are_not_written_while_the_log_is_reopened() -> None:
    """gunicorn closes and opens the file with its handler's lock held."""
    may_reopen: list[bool] = []

    def try_to_reopen() -> None:
        may_reopen.append(lock.acquire(blocking=False))
        if may_reopen[-1]:
            lock.release()

    class Log(io.StringIO):
        def write(self, text: str) -> int:
            trial = threading.Thread(target=try_to_reopen)
            trial.start()
            trial.join()
            return super().write(text)

    log = Log()
    handler = logging.StreamHandler(log)
    lock: Any = handler.lock
    logger = logging.getLogger("gunicorn.error")
    logger.addHandler(handler)
    try:
        ErrorStream().write("a complaint")
    finally:
        logger.removeHandler(handler)
    assert log.getvalue() == "a complaint"
    assert may_reopen == [False]


def test_errors_go_to_gunicorns_error_log(start: Start, tmp_path: Path) -> None:
    arbiter = start("--log-file", "error.log", "--capture-output")
    log = tmp_path / "error.log"
    assert eventually(lambda: log.exists() and "Booting" in log.read_text())
    address = re.findall(r"Listening at: (\S+)", log.read_text())[0]
    arbiter.known_addresses = [address]
    assert arbiter.ask("/fail")[0] == 500
    assert eventually(lambda: "ValueError: the application failed" in log.read_text())
    assert re.search(r"\[\d+\] \[ERROR\] .*GET /fail", log.read_text())


LOGGER = """
from gunicorn.glogging import Logger

class Mine(Logger):
    def access(self, resp, req, environ, request_time):
        self.info("mine: %s %s %s %s", req.method, req.path, resp.status_code, resp.sent)
"""


def test_a_logger_class_of_ones_own_is_asked(start: Start, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(LOGGER)
    arbiter = start("--logger-class", "mine.Mine")
    arbiter.ask("/a%20b?q")
    arbiter.wait_for(r"mine: GET /a%20b 200 \d+")


def test_statsd_hears_of_requests_and_errors(start: Start) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as statsd:
        statsd.bind(("127.0.0.1", 0))
        statsd.settimeout(TIME_LIMIT)
        port = statsd.getsockname()[1]
        arbiter = start("--statsd-host", f"127.0.0.1:{port}", "--statsd-prefix", "shop")
        arbiter.ask("/fail")
        wanted = {
            b"shop.gunicorn.request.status.500:1|c|@1.0",
            b"shop.gunicorn.requests:1|c|@1.0",
            b"shop.gunicorn.log.error:1|c|@1.0",
        }
        while wanted:
            wanted.discard(statsd.recv(1000))


HOOKS = """
import threading, time

def say(text):
    print("hook", text, flush=True)

def when_ready(server): say("when_ready")
def pre_fork(server, worker): say("pre_fork")
def post_fork(server, worker): say("post_fork")
def post_worker_init(worker): say(f"post_worker_init {worker.wsgi.__name__}")
def worker_int(worker): say("worker_int")
def worker_abort(worker): say("worker_abort")
def worker_exit(server, worker): say(f"worker_exit nr={worker.nr}")
def child_exit(server, worker): say("child_exit")
def on_exit(server): say("on_exit")
def nworkers_changed(server, new, old): say(f"nworkers_changed {old}->{new}")
def on_reload(server): say("on_reload")

def pre_request(worker, req):
    req.started = time.monotonic()
    req.headers.append(("X-ADDED", "by a hook"))
    host = dict(req.headers)["HOST"]
    say(f"pre_request {req.method} {req.path} {req.query} {req.version} {host!r}")

def post_request(worker, req, environ, resp):
    say(f"post_request {environ['PATH_INFO']} {resp.status} {resp.sent} {req.started > 0}")
"""


def _said(arbiter: Arbiter) -> list[str]:
    return re.findall(r"^hook (.*)$", arbiter.output, re.MULTILINE)


def test_hooks_are_called_in_gunicorns_order(start: Start, tmp_path: Path) -> None:
    (tmp_path / "gunicorn.conf.py").write_text(HOOKS)
    arbiter = start()
    host = arbiter.addresses()[0].removeprefix("http://")
    assert arbiter.look("/a?b")["HTTP_X_ADDED"] == "by a hook"
    arbiter.ask("/stream")
    arbiter.ask("/fail")
    arbiter.wait_for("post_request /fail")
    arbiter.send(signal.SIGTERM)
    assert arbiter.wait() == 0
    said = [text.replace(repr(host), "HOST") for text in _said(arbiter)]
    assert re.fullmatch(r"post_request /a 200 OK [1-9]\d* True", said.pop(6))
    assert said == [
        "nworkers_changed None->1",
        "when_ready",
        "pre_fork",
        "post_fork",
        "post_worker_init app",
        "pre_request GET /a b (1, 1) HOST",
        "pre_request GET /stream  (1, 1) HOST",
        "post_request /stream 200 OK 30 True",
        "pre_request GET /fail  (1, 1) HOST",
        "post_request /fail 500 Internal Server Error 0 True",
        "worker_exit nr=3",
        "child_exit",
        "on_exit",
    ]


def test_hooks_of_quick_ends_and_reloads(start: Start, tmp_path: Path) -> None:
    (tmp_path / "gunicorn.conf.py").write_text(HOOKS)
    arbiter = start("--timeout", "1")
    os.kill(arbiter.look()["pid"], signal.SIGABRT)
    arbiter.booted(2)
    arbiter.send(signal.SIGHUP)
    arbiter.wait_for("hook on_reload")
    arbiter.booted(3)
    arbiter.wait_for("hook worker_exit", 2)
    arbiter.ask()
    arbiter.send(signal.SIGQUIT)
    assert arbiter.wait() == 0
    said = _said(arbiter)
    assert said.count("worker_abort") == 1
    assert said.count("worker_int") == 1
    assert len([text for text in said if text.startswith("worker_exit")]) == 3


def test_a_hook_that_fails_costs_no_answer(start: Start, tmp_path: Path) -> None:
    (tmp_path / "gunicorn.conf.py").write_text("def post_request(worker, req): raise KeyError(1)\n")
    arbiter = start()
    assert arbiter.ask()[0] == 200
    arbiter.wait_for("Exception in post_request hook")


def test_a_child_that_comes_back_is_no_second_request(start: Start, tmp_path: Path) -> None:
    (tmp_path / "gunicorn.conf.py").write_text(
        "import os\n"  # a line at once: others write too
        'def post_request(worker, req): os.write(1, f"hook {req.path}\\n".encode())\n'
    )
    arbiter = start("--access-logfile", "-", app="gunicorn_app:forks_late")
    for target, status in (("/whole", 200), ("/stream", 200), ("/fails", 500)):
        assert arbiter.ask(target)[0] == status
        arbiter.wait_for(f"GET {target} .*: a child process that the application forked")
    arbiter.send(signal.SIGTERM)
    assert arbiter.wait() == 0
    assert _said(arbiter) == ["/whole", "/stream", "/fails"]
    assert len(re.findall('"GET /', arbiter.output)) == 3
