"""What is pushed to statsd is what clients have had, by every way that there is."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from harness.apps import hello
from harness.scraping import admin_of, scrape
from harness.statsd_daemon import daemon
from harness.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from harness.site import ServeFixture

SOON = "0.1s"
LARGEST = {"udp": 1432, "udp6": 1432, "unix": 8192}


@pytest.mark.parametrize("where", ["udp", "udp6", "unix"])
def test_counters_add_up_to_what_clients_had(
    serve: ServeFixture, tmp_path: Path, where: str
) -> None:
    with daemon(where, tmp_path) as statsd:
        site = serve(hello, statsd=statsd.address, statsd_interval=SOON)
        protocol = {"HTTP/1.1": "HTTP_1_1", "HTTP/2.0": "HTTP_2"}.get(site.protocol, "HTTP_3")
        name = f"prowingen.requests.GET.{protocol}.2xx"
        so_far = 0
        for more in (3, 5):
            for _ in range(more):
                assert site.ask("/").body == b"hello"
            so_far += more
            statsd.wait_for(lambda now, all_of=so_far: now.counters[name] == all_of)  # type: ignore[misc]
        statsd.wait_for(lambda now: now.gauge("prowingen.requests_in_flight") == 0)
        site.ask("/")
        site.server.stop()
        pushed = statsd.so_far()
    assert pushed.counters[name] == pushed.sum("prowingen.requests.") == 9
    assert pushed.counters["prowingen.responses.200"] == 9
    assert pushed.counters["prowingen.request_duration_milliseconds.count"] == 9
    assert pushed.counters["prowingen.request_duration_milliseconds.sum"] > 0
    assert pushed.counters["prowingen.connections_accepted"] == 9
    assert pushed.counters["prowingen.sent_bytes"] > 9 * len(b"hello")
    assert pushed.counters["prowingen.cpu_milliseconds.user"] > 0
    low, high = (
        pushed.gauge(f"prowingen.request_duration_milliseconds.{each}") for each in ("p50", "p99")
    )
    assert low is not None
    assert high is not None
    assert 0 < low <= high <= 60_000
    assert pushed.gauge("prowingen.threads.idle") is not None
    assert pushed.gauge("prowingen.workers_wanted") == 1
    assert max(map(len, pushed.datagrams)) <= LARGEST[where]
    assert not [each for each in pushed.datagrams if b"|#" in each]


def test_labels_are_tags_of_dogstatsd(serve: ServeFixture, tmp_path: Path) -> None:
    with daemon("udp", tmp_path) as statsd:
        site = serve(
            hello,
            statsd=statsd.address,
            statsd_interval=SOON,
            statsd_prefix="shop.web",
            statsd_tags="env:prod,service:shop",
        )
        site.ask("/")
        site.server.stop()
        pushed = statsd.so_far()
    own = {"env:prod", "service:shop"}
    assert pushed.counters["shop.web.requests"] == 1
    ((_, tags),) = [key for key in pushed.tagged if key[0] == "shop.web.requests"]
    assert own < tags
    assert {"method:GET", "status:2xx"} < tags
    assert pushed.tagged["shop.web.sent_bytes", frozenset(own)] > 0
    workers = {
        tag
        for name, tags in pushed.gauges
        for tag in tags
        if name == "shop.web.threads" and tag.startswith("worker:")
    }
    assert len(workers) == 1
    assert all(own <= tags for _, tags in pushed.gauges)
    assert all(name.startswith("shop.web.") for name in pushed.counters)


def test_the_form_can_be_had_without_tags_of_ones_own(serve: ServeFixture, tmp_path: Path) -> None:
    with daemon("unix", tmp_path) as statsd:
        options = {"statsd_format": "dogstatsd", "statsd_prefix": ""}
        site = serve(hello, statsd=statsd.address, statsd_interval=SOON, **options)
        site.ask("/")
        site.server.stop()
        pushed = statsd.so_far()
    assert pushed.counters["requests"] == 1
    assert pushed.tagged["responses", frozenset({"code:200"})] == 1


def test_the_page_of_metrics_tells_the_same(serve: ServeFixture, tmp_path: Path) -> None:
    """One takes nothing from the other."""
    with daemon("unix", tmp_path) as statsd:
        site = serve(hello, statsd=statsd.address, statsd_interval=SOON, admin_bind="127.0.0.1:0")
        for _ in range(5):
            site.ask("/")
        assert eventually(lambda: scrape(admin_of(site))("requests_total") == 5)
        statsd.wait_for(lambda now: now.sum("prowingen.requests.") == 5)
        site.ask("/")
        assert eventually(lambda: scrape(admin_of(site))("requests_total") == 6)
        sent = scrape(admin_of(site))("sent_bytes_total")
        statsd.wait_for(lambda now: now.counters["prowingen.sent_bytes"] == sent)


def test_the_last_difference_is_pushed_at_the_end(serve: ServeFixture, tmp_path: Path) -> None:
    with daemon("unix", tmp_path) as statsd:
        site = serve(hello, statsd=statsd.address, statsd_interval="1h")
        for _ in range(4):
            site.ask("/")
        assert statsd.so_far().datagrams == [b"mark:1|g"]
        site.server.stop()
        assert statsd.so_far().sum("prowingen.requests.") == 4


def complaints(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if record.getMessage().startswith("statsd: ") and record.levelname == "WARNING"
    ]


def fill(address: str) -> int:
    """Has the queue of a Unix socket be as long as it can be."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as filler:
        filler.setblocking(False)
        for filled in range(100_000):
            try:
                filler.sendto(b"x:0|g", address.removeprefix("unix:"))
            except BlockingIOError:
                return filled
    raise AssertionError("it takes all")


def test_who_reads_too_slowly_keeps_nobody_and_misses_nothing(
    serve: ServeFixture, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    with daemon("unix", tmp_path, reads=False) as statsd:
        assert fill(statsd.address) > 0
        site = serve(hello, statsd=statsd.address, statsd_interval=SOON)
        for _ in range(20):
            assert site.ask("/").body == b"hello"
        assert eventually(lambda: complaints(caplog))
        assert "temporarily unavailable; times that it was tried in vain: " in complaints(caplog)[0]
        statsd.start()
        assert eventually(lambda: "takes figures again" in caplog.text)
        statsd.wait_for(lambda now: now.sum("prowingen.requests.") == 20)
        site.server.stop()
        assert statsd.so_far().sum("prowingen.requests.") == 20, "nothing comes twice"
    assert len(complaints(caplog)) == 1, "it is not said each time"


def test_a_daemon_that_is_restarted_misses_nothing(
    serve: ServeFixture, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    with daemon("unix", tmp_path) as first:
        site = serve(hello, statsd=first.address, statsd_interval=SOON)
        site.ask("/")
        first.wait_for(lambda now: now.sum("prowingen.requests.") == 1)
    for _ in range(3):
        site.ask("/")
    assert eventually(lambda: complaints(caplog))
    assert "Connection refused" in complaints(caplog)[0]
    with daemon("unix", tmp_path) as second:
        for _ in range(3):
            site.ask("/")
        second.wait_for(lambda now: now.sum("prowingen.requests.") == 6)


def test_of_udp_a_daemon_that_comes_later_is_found(serve: ServeFixture, tmp_path: Path) -> None:
    """What was sent before is lost, as UDP has it."""
    with daemon("udp", tmp_path) as gone:
        address = gone.address
    site = serve(hello, statsd=address, statsd_interval=SOON)
    site.ask("/")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as late:
        host, _, port = address.rpartition(":")
        late.bind((host, int(port)))
        late.settimeout(20)
        assert late.recv(1 << 16).startswith(b"prowingen.")


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("no-such-host.invalid:8125", ""),
        ("unix:/nowhere/at/all.sock", "No such file or directory"),
    ],
)
def test_an_address_where_nobody_is_keeps_nobody(
    serve: ServeFixture, caplog: pytest.LogCaptureFixture, address: str, why: str
) -> None:
    caplog.set_level("INFO")
    site = serve(hello, statsd=address, statsd_interval=SOON)
    assert site.ask("/").body == b"hello"
    assert eventually(lambda: complaints(caplog))
    assert complaints(caplog)[0].startswith(f'statsd: "{address}": {why}')
    site.server.stop()
    assert eventually(lambda: "the last figures could not be pushed" in caplog.text)
