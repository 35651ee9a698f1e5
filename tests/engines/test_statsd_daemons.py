"""Daemons that others have written take what is pushed: `nox -s statsd` installs them.

statsd             of Etsy, the first one, by npm: plain statsd
netuitive-statsd   by PyPI, of which the parser is taken: DogStatsD
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.apps import hello
from harness.statsd_daemon import daemon
from harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.site import ServeFixture

INSTALLED = Path(os.environ.get("PROWINGEN_STATSD_DAEMONS", "/nowhere"))
ETSY = INSTALLED / "node_modules/statsd/stats.js"
NETUITIVE = INSTALLED / "python"
OPTIONS = {"statsd_interval": "0.1s"}


def free_ports() -> tuple[int, int]:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        socket.create_server(("127.0.0.1", 0)) as tcp,
    ):
        udp.bind(("127.0.0.1", 0))
        return udp.getsockname()[1], tcp.getsockname()[1]


class Etsy:
    def __init__(self, port: int, management: int) -> None:
        self.address = f"127.0.0.1:{port}"
        self._management = management

    def ask(self, what: str) -> str:
        with socket.create_connection(("127.0.0.1", self._management), 20) as connection:
            connection.sendall(f"{what}\n".encode())
            answer = b""
            while not answer.endswith(b"END\n\n"):
                piece = connection.recv(1 << 16)
                assert piece, answer
                answer += piece
        return answer.decode()

    def numbers(self, what: str) -> dict[str, float]:
        found = re.findall(r"'?([\w.-]+)'?: (-?[\d.e+-]+)", self.ask(what))
        return {name: float(value) for name, value in found}

    def is_up(self) -> bool:
        try:
            return "uptime" in self.ask("stats")
        except OSError:
            return False


@contextmanager
def etsy(folder: Path) -> Iterator[Etsy]:
    port, management = free_ports()
    config = folder / "etsy.js"
    config.write_text(
        json.dumps(
            {
                "address": "127.0.0.1",
                "port": port,
                "mgmt_address": "127.0.0.1",
                "mgmt_port": management,
                "flushInterval": 3_600_000,
                "backends": ["./backends/console"],
            }
        )
    )
    with subprocess.Popen(["node", str(ETSY), str(config)], stdout=subprocess.DEVNULL) as process:
        try:
            running = Etsy(port, management)
            assert eventually(running.is_up)
            yield running
        finally:
            process.kill()


@pytest.mark.skipif(
    not ETSY.exists() or shutil.which("node") is None,
    reason="Etsy's statsd is not there: nox -s statsd",
)
def test_etsys_statsd_adds_up_the_same(serve: ServeFixture, tmp_path: Path) -> None:
    with etsy(tmp_path) as statsd:
        site = serve(hello, statsd=statsd.address, **OPTIONS)
        for _ in range(25):
            site.ask("/")
        site.server.stop()

        def all_of(begin: str) -> float:
            told = statsd.numbers("counters")
            return sum(value for name, value in told.items() if name.startswith(begin))

        assert eventually(lambda: all_of("prowingen.requests.GET.") == 25), statsd.ask("counters")
        counters = statsd.numbers("counters")
        assert counters["prowingen.responses.200"] == 25
        assert counters["prowingen.request_duration_milliseconds.count"] == 25
        assert counters["prowingen.request_duration_milliseconds.sum"] > 0
        assert "statsd.bad_lines_seen" not in counters or counters["statsd.bad_lines_seen"] == 0
        assert "bad_lines_seen: 0" in statsd.ask("stats")
        gauges = statsd.numbers("gauges")
        assert gauges["prowingen.workers_wanted"] == 1
        assert gauges["prowingen.request_duration_milliseconds.p99"] > 0


PARSE = """
import json, sys
from libs.statsd.parser import parse_message

json.dump([parse_message(each) for each in json.load(sys.stdin)], sys.stdout)
"""


@pytest.mark.skipif(not NETUITIVE.exists(), reason="netuitive-statsd is not there: nox -s statsd")
def test_netuitives_parser_reads_every_line_and_tag(serve: ServeFixture, tmp_path: Path) -> None:
    with daemon("udp", tmp_path) as statsd:
        site = serve(hello, statsd=statsd.address, statsd_tags="env:prod,service:shop", **OPTIONS)
        for _ in range(25):
            site.ask("/")
        site.server.stop()
        pushed = statsd.so_far()
    datagrams = [each.decode() for each in pushed.datagrams if b"mark:" not in each]
    run = subprocess.run(
        [sys.executable, "-c", PARSE],
        env={**os.environ, "PYTHONPATH": str(NETUITIVE)},
        input=json.dumps(datagrams),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    metrics = [each for parsed in json.loads(run.stdout) for each in parsed["metrics"]]
    assert len(metrics) == sum(len(each.split("\n")) for each in datagrams)
    assert all({"env": "prod"} in each["tags"] for each in metrics)
    assert all({"service": "shop"} in each["tags"] for each in metrics)
    requests = [each for each in metrics if each["name"] == "prowingen.requests"]
    assert sum(float(each["value"]) for each in requests) == 25
    assert all({"method": "GET"} in each["tags"] for each in requests)
    assert {each["type"] for each in requests} == {"c"}
