"""One line for each request, right and harmless, to a file, standard output or a callable."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from harness.apps import PLAIN, Environ, Routes, StartResponse, answering, hello
from harness.certificates import server_files
from harness.h2wire import H2Wire
from harness.logwatch import Lines
from harness.process import run_server
from harness.site import ServeFixture, Site, start_site
from harness.wire import Truncated

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from harness.logwatch import LogWatch

OF_LINES = pytest.mark.no_http2("no line is malformed where there are none")
COMMON = re.compile(r'^(\S+) (\S+) (\S+) \[([^\]]+)\] "([^"]*)" (\d{3}) (\d+|-)$')


def test_callable_gets_one_line_for_each_request(serve: ServeFixture) -> None:
    lines = Lines()
    site = serve(hello, access_log=lines, access_log_format="common")
    with site.connect() as wire:
        for number in range(10):
            wire.ask(f"/{number}?q")
    taken = lines.wait(10)
    assert len(taken) == 10
    for number, line in enumerate(taken):
        match = COMMON.match(line)
        assert match, line
        assert match[1] == "127.0.0.1"
        assert match[5] == f"GET /{number}?q {site.protocol}"
        assert (match[6], match[7]) == ("200", "5")


def test_line_follows_its_answer_without_further_requests(serve: ServeFixture) -> None:
    lines = Lines()
    with serve(hello, access_log=lines).connect() as wire:
        wire.ask()
        assert len(lines.wait(1)) == 1


def test_file_holds_every_line_once_the_server_stopped(engine: str, tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.write_text("what was there before\n")
    options = {"access_log": str(path), "access_log_format": "common"}
    with start_site(hello, engine, **options) as site, site.connect() as wire:
        for number in range(500):
            wire.ask(f"/{number}")
    lines = path.read_text().splitlines()
    assert lines[0] == "what was there before", "a log is appended to"
    targets = [line.split('"')[1] for line in lines[1:]]
    assert targets == [f"GET /{number} HTTP/1.1" for number in range(500)]


def test_file_may_be_reopened_while_the_server_stops(engine: str, tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    for _ in range(20):
        stopped = threading.Event()
        with start_site(hello, engine, threads=1, access_log=str(path)) as site:

            def reopen(site: Site = site, stopped: threading.Event = stopped) -> None:
                while not stopped.is_set():
                    site.server.reopen_logs()

            thread = threading.Thread(target=reopen)
            thread.start()
            try:
                site.ask()
                site.server.stop()
            finally:
                stopped.set()
                thread.join()
    assert len(path.read_text().splitlines()) == 20


def test_standard_output(engine: str) -> None:
    arguments = ["--access-log", "-", "--access-log-format", "common"]
    with run_server("apps.plain:app", engine, *arguments) as server:
        with server.connect() as wire:
            wire.ask("/?to-stdout")
        server.wait_for_line(r'"GET /\?to-stdout HTTP/1.1" 200 5', timeout=10)


def test_log_that_cannot_be_opened_is_an_error_at_start(engine: str, tmp_path: Path) -> None:
    path = tmp_path / "missing" / "access.log"
    with (
        pytest.raises(OSError, match=r"access\.log"),
        start_site(hello, engine, access_log=str(path)),
    ):
        pass


def streamed(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    start_response("201 Created", PLAIN)
    yield b"x" * 1000
    yield b"y" * 234


def broken(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    start_response("200 OK", PLAIN)
    yield b"half"
    raise RuntimeError("midway")


def failing(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    raise RuntimeError("at once")


@pytest.mark.parametrize(
    ("method", "target", "expected"),
    [
        ("GET", "/hello", "200 5"),
        ("HEAD", "/hello", "200 -"),
        ("GET", "/empty", "204 -"),
        ("GET", "/streamed", "201 1234"),
        ("GET", "/missing", "404 12"),
        ("GET", "/failing", "500 "),
    ],
)
def test_status_and_body_size_are_those_sent(
    serve: ServeFixture, method: str, target: str, expected: str
) -> None:
    lines = Lines()
    app = Routes(
        hello=hello, streamed=streamed, failing=failing, empty=answering([], "204 No Content")
    )
    serve(app, access_log=lines, access_log_format="%m %U %s %b").ask(target, method=method)
    assert lines.wait(1)[0].startswith(f"{method} {target} {expected}")


def test_cut_answer_is_logged_as_incomplete(serve: ServeFixture) -> None:
    lines = Lines()
    site = serve(broken, access_log=lines, access_log_format="json")
    with site.connect() as wire, pytest.raises(Truncated):
        wire.ask()
    record = json.loads(lines.wait(1)[0])
    assert record["complete"] is False
    assert record["status"] == 200


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        pytest.param(b"rubbish\r\n\r\n", "400", marks=OF_LINES),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", "400", marks=OF_LINES),
        pytest.param(b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", "505", marks=OF_LINES),
        pytest.param(b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", "501", marks=OF_LINES),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", "414"),
    ],
)
def test_refused_request_is_logged_too(serve: ServeFixture, raw: bytes, status: str) -> None:
    lines = Lines()
    with serve(hello, access_log=lines, access_log_format="%h %s").connect() as wire:
        wire.send_leniently(raw)
        assert lines.wait(1) == [f"127.0.0.1 {status}"]


def test_json_lines_can_be_parsed_and_tell_times(serve: ServeFixture) -> None:
    lines = Lines()
    site = serve(hello, access_log=lines, access_log_format="json")
    site.ask('/p%22?q="x"'.replace('"', "%22"), 'User-Agent: "quoted" \\ \t \xe9', "Referer: r")
    record = json.loads(lines.wait(1)[0])
    assert record["status"] == 200
    assert record["method"] == "GET"
    assert record["body_bytes_sent"] == 5
    assert record["remote_address"] == "127.0.0.1"
    assert record["referer"] == "r"
    assert record["user_agent"].startswith('"quoted" \\')
    assert 0 <= record["queue_time"] < 5
    assert 0 <= record["app_time"] <= record["total_time"] < 5


def test_a_pause_of_the_client_is_no_time_of_its_next_request(serve: ServeFixture) -> None:
    lines = Lines()
    times = []
    with serve(hello, access_log=lines, access_log_format="json").connect() as wire:
        for count in range(1, 8):
            time.sleep(0.17)  # an event loop looks at the clock by itself, but not often
            assert wire.ask("/").body == b"hello"
            times.append(json.loads(lines.wait(count)[-1])["total_time"])
    assert sorted(times)[3] < 0.01, f"most are quick: {times}"


def test_line_tells_of_tls(engine: str) -> None:
    lines = Lines()
    style = "%H %{SSL_PROTOCOL}x %{SSL_CIPHER}x %{SSL_TLS_SNI}x %{H2_STREAM_ID}x"
    options = {"access_log": lines, "access_log_format": style}
    with start_site(hello, engine, **vars(server_files()), **options) as site:
        site.ask()
        with H2Wire(site) as wire:
            wire.ask("/")
            wire.ask("/")
    first, *others = lines.wait(3)
    assert re.fullmatch(r"HTTP/1\.1 (TLSv1\.\d \w+ localhost) -", first), first
    told = first.split(" ", 1)[1].rsplit(" ", 1)[0]
    assert others == [f"HTTP/2.0 {told} 1", f"HTTP/2.0 {told} 3"]


@pytest.mark.no_tls("is about a connection without")
@pytest.mark.no_http2("its streams have numbers")
def test_line_says_nothing_of_tls_without_it(serve: ServeFixture) -> None:
    lines = Lines()
    serve(hello, access_log=lines, access_log_format="json").ask()
    record = json.loads(lines.wait(1)[0])
    keys = ("stream_id", "tls_protocol", "tls_cipher", "tls_server_name")
    assert [record[key] for key in keys] == [None] * 4


HOSTILE = '\x01\x1b[31m"; DROP\\ \x7f\x9b\xff'


@pytest.mark.no_http2("no line is malformed where there are none")
@pytest.mark.parametrize("style", ["common", "combined", "json", '%h "%{User-Agent}i" "%r"'])
def test_hostile_input_stays_inside_its_field(serve: ServeFixture, style: str) -> None:
    """Quotes, escapes and terminal controls as far as the parser lets them through."""
    lines = Lines()
    site = serve(hello, access_log=lines, access_log_format=style)
    agent = HOSTILE.replace("\x01", "\t").replace("\x1b", "").replace("\x7f", "")
    site.ask("/%0d%0aforged", f"User-Agent: {agent}", f'Referer: x" 200 "{agent}')
    with site.connect() as wire:
        wire.send_leniently(f"GET /{HOSTILE} HTTP/1.1\r\nX: {HOSTILE}\r\n\r\n".encode("latin-1"))
        wire.read_to_end()
    for line in lines.wait(2):
        assert re.fullmatch(r"[\x20-\x7e]*", line), line
        if style == "json":
            json.loads(line)
        elif style == "combined":
            fields = (
                r'\S+ \S+ \S+ \[[^\]]*\] "([^"\\]|\\.)*" \d+ \S+ "([^"\\]|\\.)*" "([^"\\]|\\.)*"'
            )
            assert re.fullmatch(fields, line), line


def test_own_format_with_fields_and_cookies(serve: ServeFixture) -> None:
    lines = Lines()
    app = answering([b"x"], headers=[("X-Out", "out")])
    style = "%% %{X-In}i %{X-Out}o %{Nothing}i %q %H"
    site = serve(app, access_log=lines, access_log_format=style)
    site.ask("/a?b=c", "X-In: in")
    assert lines.wait(1) == [f"% in out - ?b=c {site.protocol}"]


def test_unknown_field_in_a_format_is_an_error_at_start(engine: str) -> None:
    options = {"access_log": lambda line: None, "access_log_format": "%h %y"}
    with pytest.raises(ValueError, match="%y"), start_site(hello, engine, **options):
        pass


@pytest.mark.parametrize("error", [RuntimeError, SystemExit])
def test_failing_callable_is_reported_and_called_again(
    serve: ServeFixture, error_log: LogWatch, error: type[BaseException]
) -> None:
    lines = Lines()

    def failing_once(line: str) -> None:
        lines(line)
        if len(lines.wait(1)) == 1:
            raise error("log is full")

    with serve(hello, access_log=failing_once).connect() as wire:
        assert wire.ask("/first").body == b"hello"
        lines.wait(1)
        assert wire.ask("/second").body == b"hello"
        assert "/second" in lines.wait(2)[1]
    error_log.wait_for("log is full")


# In a process of its own: a tracer is told of whatever Python runs in the threads that it is for,
# in that of the tests also of what other tests have left behind.
TRACED = """
import http.client, logging, queue, sys, threading
import prowingen_wsgi

late = threading.Event()

def trace(*event):
    if late.is_set():
        raise TimeoutError("a tracer's own")

def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "5")])
    return [b"hello"]

logging.basicConfig(stream=sys.stdout)
threading.settrace(trace)
lines = queue.SimpleQueue()
options = dict(bind="127.0.0.1:0", threads=1, access_log=lines.put)
with prowingen_wsgi.serve(app, engine=sys.argv[1], **options) as server:
    client = http.client.HTTPConnection(server.addresses[0].removeprefix("http://"), timeout=10)

    def ask(path):
        client.request("GET", path)
        answer = client.getresponse()
        answer.read()
        return answer.status

    print("first", ask("/first"), "/first" in lines.get(timeout=10))
    late.set()
    print("traced", ask("/traced"), "/traced" in lines.get(timeout=10))
    print("last", ask("/last"), "/last" in lines.get(timeout=10))  # having raised it traces no more
    server.stop()
    print("abandoned", server.abandoned)
"""


def test_a_tracer_that_raises_costs_no_line_and_does_not_hold_up_the_stop(engine: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", TRACED, engine],
        capture_output=True,
        text=True,
        timeout=25,
    )
    said = ran.stdout.splitlines()
    for line in ("first 200 True", "traced 500 True", "last 200 True", "abandoned []"):
        assert line in said, ran.stdout + ran.stderr
    assert "a tracer's own" in ran.stdout


def test_lines_of_many_clients_stay_whole(serve: ServeFixture) -> None:
    lines = Lines()
    site = serve(hello, access_log=lines, access_log_format="common")

    def client() -> None:
        with site.connect() as wire:
            for _ in range(50):
                wire.ask("/" + "x" * 100)

    threads = [threading.Thread(target=client) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    taken = lines.wait(400)
    assert len(taken) == 400
    assert all(COMMON.match(line) for line in taken)
