"""What a server leaves of the process that it ran in: nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from textwrap import dedent
from typing import Any

import pytest

COMMON = dedent(
    """
    import json, os, signal, socket, sys, time
    from pathlib import Path

    import prowingen_wsgi

    def app(environ, start_response):
        start_response("200 OK", [("Content-Length", "5")])
        return [b"hello"]

    def serve():
        return prowingen_wsgi.serve(app, "127.0.0.1:0", engine=sys.argv[1], threads=2)

    def talk(server, raw):
        host, port = str(server.addresses[0]).removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as client:
            client.sendall(raw)
            received = b""
            while not received.endswith(b"hello") and (more := client.recv(4096)):
                received += more
        return received

    GET = b"GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n"
    """
)


def run(engine: str, program: str) -> tuple[Any, str]:
    """What the program printed, as JSON, and what is on its standard error."""
    done = subprocess.run(
        [sys.executable, "-c", COMMON + dedent(program), engine],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


@pytest.mark.alone("it counts what the machine has")
@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_thousand_starts_and_stops_leave_nothing_behind(engine: str) -> None:
    """Threads, descriptors, memory: the last nine hundred cycles add none of them."""
    program = """
        def state():
            pages = Path("/proc/self/statm").read_text().split()[1]
            return {
                "threads": len(os.listdir("/proc/self/task")),
                "files": len(os.listdir("/proc/self/fd")),
                "kib": int(pages) * os.sysconf("SC_PAGE_SIZE") // 1024,
            }

        states = []
        for number in range(1000):
            with serve() as server:
                assert talk(server, GET).endswith(b"hello")
            if number in (99, 999):
                deadline = time.monotonic() + 5  # a joined thread is still leaving the kernel
                while len(os.listdir("/proc/self/task")) > 1 and time.monotonic() < deadline:
                    time.sleep(0.01)
                states.append(state())
        print(json.dumps(states))
        """
    (early, late), _ = run(engine, program)
    assert late["threads"] == early["threads"]
    assert late["files"] == early["files"]
    assert late["kib"] - early["kib"] < 2048, (early, late)


def test_signals_stay_the_programs(engine: str) -> None:
    """Neither what they do nor which are blocked changes while a server runs, or afterwards."""
    program = """
        def dispositions():
            fields = dict(l.split(":") for l in Path("/proc/self/status").read_text().splitlines())
            # But for the two that the C library uses for threads.
            return [int(fields[name], 16) & ~(3 << 31) for name in ("SigBlk", "SigIgn", "SigCgt")]

        signal.signal(signal.SIGTERM, lambda *_: None)
        before = dispositions()
        with serve() as server:
            assert talk(server, GET).endswith(b"hello")
            during = dispositions()
        print(json.dumps([before, during, dispositions()]))
        """
    (before, during, after), _ = run(engine, program)
    assert during == before
    assert after == before


def test_standard_error_and_logging_stay_the_programs(engine: str) -> None:
    """Bad clients included, an engine writes nothing of its own, and sets no logging up."""
    program = """
        import logging

        with serve() as server:
            for raw in (b"rubbish\\r\\n\\r\\n", GET.replace(b"Host", b"Ghost"), GET + b"x" * 5000):
                talk(server, raw)
        loggers = sorted(logging.root.manager.loggerDict)
        print(json.dumps([len(logging.getLogger().handlers), loggers]))
        """
    (handlers, loggers), stderr = run(engine, program)
    assert stderr == ""
    assert handlers == 0
    assert all(name.startswith(("prowingen_wsgi", "concurrent", "asyncio")) for name in loggers)


def test_interpreter_ends_while_a_server_runs(engine: str) -> None:
    """Nobody stopped it: the program's end does, without a crash or a wait."""
    program = """
        server = serve()
        assert talk(server, GET).endswith(b"hello")
        idle = socket.create_connection(server.addresses[0].removeprefix("http://").split(":"))
        print(json.dumps("over"))
        """
    said, _ = run(engine, program)
    assert said == "over"
