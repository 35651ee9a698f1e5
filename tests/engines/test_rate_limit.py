"""Clients that ask too often are answered 429 natively, on every engine."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from harness.apps import Gate, hello
from harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from harness.apps import Environ, StartResponse
    from harness.logwatch import LogWatch
    from harness.site import ServeFixture, Site


def statuses(site: Site, path: str, count: int, *fields: str) -> list[int]:
    return [site.ask(path, *fields).status for _ in range(count)]


def test_whoever_asks_too_often_is_told_when_to_come_back(
    serve: ServeFixture, error_log: LogWatch
) -> None:
    site = serve(hello, rate_limit="6/h burst 3")
    assert statuses(site, "/", 3) == [200, 200, 200]
    refused = site.ask("/")
    assert refused.status == 429
    assert refused.body == (
        b"429 Too Many Requests\nrequests come faster than this client may send them (RFC 6585 4)\n"
    )
    assert 500 <= int(refused.get("retry-after") or "") <= 600
    head = site.ask("/", method="HEAD")
    assert head.status == 429
    assert head.body == b""
    assert site.post(b"x" * 100_000).status == 429
    stats = site.server.stats()
    assert stats["requests_over_rate"] == 3
    assert stats["requests_taken"] == 3, "the application hears of none of them"
    error_log.wait_for("requests came faster than rate_limit allows and were answered 429")


def test_the_connection_serves_on(serve: ServeFixture) -> None:
    site = serve(hello, rate_limit="5/s burst 1")
    with site.connect() as wire:
        assert wire.ask("/").status == 200
        assert eventually(lambda: wire.ask("/").status == 429)
        time.sleep(0.25)  # what is tested is that time passes
        assert wire.ask("/").status == 200


def test_the_longest_prefix_counts(serve: ServeFixture) -> None:
    site = serve(hello, rate_limit=["4/h", "/login=1/h", "/hooks=off"])
    assert statuses(site, "/login", 2) == [200, 429]
    assert statuses(site, "/l%6Fgin/again?next=/", 1) == [429]
    assert statuses(site, "/hooks/one", 6) == [200] * 6
    assert statuses(site, "/loginx", 5) == [200, 200, 200, 200, 429]


def test_a_stuck_application_does_not_keep_them(serve: ServeFixture) -> None:
    gate = Gate()

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        gate.pass_through(60)
        return hello(environ, start_response)

    site = serve(app, threads=1, rate_limit="1/h")
    with site.connect() as stuck:
        stuck.get("/")
        gate.wait_entered()
        assert statuses(site, "/", 3) == [429] * 3
        gate.opened.set()
        assert stuck.response().status == 200


def test_a_client_is_the_one_that_trusted_proxies_name(serve: ServeFixture) -> None:
    site = serve(hello, rate_limit="1/h", forwarded_allow_ips=["127.0.0.1"])
    one, other = "X-Forwarded-For: 192.0.2.1", "X-Forwarded-For: 192.0.2.2"
    assert statuses(site, "/", 2, one) == [200, 429]
    assert statuses(site, "/", 2, other) == [200, 429]
    near, far = "X-Forwarded-For: 2001:db8::1", "X-Forwarded-For: 2001:db8:0:1::1"
    assert statuses(site, "/", 2, near) == [200, 429]
    assert statuses(site, "/", 1, "X-Forwarded-For: 2001:db8::ffff:1") == [429], "of the same /64"
    assert statuses(site, "/", 1, far) == [200]


def test_nobody_else_names_one(serve: ServeFixture) -> None:
    site = serve(hello, rate_limit="1/h")
    assert statuses(site, "/", 1, "X-Forwarded-For: 192.0.2.1") == [200]
    assert statuses(site, "/", 1, "X-Forwarded-For: 192.0.2.2") == [429]


def test_probes_and_static_files_do_not_count(serve: ServeFixture, tmp_path: Path) -> None:
    (tmp_path / "a.css").write_text("a {}")
    site = serve(hello, rate_limit="1/h", health_path="/-", static=[f"/static={tmp_path}"])
    for path in ("/-/live", "/-/ready", "/static/a.css"):
        assert statuses(site, path, 3) == [200] * 3
    assert statuses(site, "/static/none.css", 2) == [200, 429], "the application's"


def test_refused_ones_are_in_the_access_log(serve: ServeFixture, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    site = serve(hello, rate_limit="1/h", access_log=str(log))
    assert statuses(site, "/seen", 2) == [200, 429]
    site.server.stop()
    assert [line.split('"')[2].split()[0] for line in log.read_text().splitlines()] == [
        "200",
        "429",
    ]


def test_without_the_option_nobody_is_refused(serve: ServeFixture) -> None:
    site = serve(hello)
    with site.connect() as wire:
        assert {wire.ask("/").status for _ in range(300)} == {200}
    assert site.server.stats()["requests_over_rate"] == 0


@pytest.mark.parametrize(
    "text",
    ["", "often", "1", "1/d", "0/s", "1/s burst 0", "/login", "login=1/s", "/a//b=1/s", "/a?b=1/s"],
)
def test_what_is_no_rate_is_refused_and_quoted(text: str) -> None:
    from prowingen_wsgi import Config, ConfigError

    with pytest.raises(ConfigError, match=r'^rate_limit: ".*": (must|its prefix)'):
        Config(rate_limit=(text,))
