"""Each figure moves as what it counts is done, on every engine; and nothing else makes it move."""

from __future__ import annotations

import ctypes
import re
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.apps import Gate, hello
from harness.echoing import Echo, open_to
from harness.pages import KEPT, Pages
from harness.scraping import OPEN_METRICS, admin_of, ask_admin, read, scrape
from harness.site import address_of
from harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.apps import Environ, StartResponse
    from harness.scraping import Figures
    from harness.site import ServeFixture, Site

ADMIN = {"admin_bind": "127.0.0.1:0"}
PAGE = Path(__file__).resolve().parents[2] / "docs/metrics.md"
CODES = {"/created": "201 Created", "/missing": "404 Not Found", "/broken": "500 Internal"}


class App:
    """`/stuck` is, until its gate opens; `/slow` takes its time; others say how they went."""

    def __init__(self) -> None:
        self.gate = Gate()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/stuck":
            self.gate.pass_through(60)
        if path == "/slow":
            time.sleep(0.06)
        if path == "/busy":
            end = time.thread_time() + 0.3
            while time.thread_time() < end:
                pass
        if path == "/raises":
            raise ValueError("as it was asked to")
        if path == "/cut":
            return self.cut(start_response)
        environ["wsgi.input"].read()
        start_response(CODES.get(path, "200 OK"), [("Content-Type", "text/plain")])
        return [b"hello"]

    def cut(self, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Length", "1000")])
        yield b"a part"
        raise ValueError("as it was asked to")


def figures(site: Site) -> Figures:
    return scrape(admin_of(site))


def settled(site: Site, requests: int) -> Figures:
    """An answer is counted when it has been sent, which its client may know before."""
    assert eventually(lambda: figures(site)("requests_total") >= requests)
    return figures(site)


# ---- what is there


def test_what_there_is(serve: ServeFixture, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    site = serve(hello, access_log=str(log), **ADMIN)
    admin = admin_of(site)
    assert ask_admin(admin, "/-/live").body == b"alive\n"
    assert ask_admin(admin, "/-/ready").body == b"ready\n"
    for path in ("/", "/-/x", "/-/metrics/", "/metrics"):
        other = ask_admin(admin, path)
        assert other.status == 404
        assert "/-/live" in other.text
        assert "/-/ready" in other.text
        assert "/-/metrics" in other.text
    told = ask_admin(admin)
    head = ask_admin(admin, method="HEAD")
    assert told.status == head.status == 200
    assert head.body == b""
    assert told.get("cache-control") == "no-store"
    posted = ask_admin(admin, method="POST")
    assert posted.status == 405
    assert posted.get("allow") == "GET, HEAD"
    assert ask_admin(admin, "/-/metrics?a=b").status == 200
    assert site.server.stats()["requests_taken"] == 0
    assert site.ask("/-/metrics").body == b"hello", "elsewhere it is the application's"
    assert site.ask("/seen").body == b"hello"
    assert eventually(lambda: "/seen" in log.read_text())
    assert "/-/live" not in log.read_text()
    assert settled(site, 2)("requests_total") == 2, "who asks for figures is in none"
    assert figures(site)("connections_accepted_total") == 2


def test_without_the_option_there_is_none(serve: ServeFixture) -> None:
    assert serve(hello).server.admins == []


def test_it_listens_on_a_unix_socket_too(serve: ServeFixture, tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    site = serve(hello, admin_bind=f"unix:{path}")
    site.ask("/")
    assert settled(site, 1)("requests_total") == 1
    site.server.stop()
    assert not path.exists()


def test_ready_says_what_probes_are_told(serve: ServeFixture) -> None:
    site = serve(hello, **ADMIN)
    site.server.set_ready(False)
    answer = ask_admin(admin_of(site), "/-/ready")
    assert (answer.status, answer.body) == (503, b"not ready: the application says so\n")


def test_one_address_cannot_be_both() -> None:
    from prowingen_wsgi import Config, Server
    from prowingen_wsgi.listeners import ListenError

    with socket.create_server(("127.0.0.1", 0)) as probe:
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    with pytest.raises(ListenError, match=f"cannot listen on {address}"):
        Server(hello, Config.from_values({"bind": address, "admin_bind": address}))


# ---- the forms


@pytest.mark.parametrize(
    ("accept", "is_open"),
    [
        (None, False),
        ("*/*", False),
        ("text/plain", False),
        (OPEN_METRICS, True),
        ("application/openmetrics-text", True),
        ("application/openmetrics-text; version=2.0.0", False),
        ("application/openmetrics-text;q=0", False),
        ("application/openmetrics-text;q=0.3, text/plain;q=0.7", False),
        # What Prometheus 2.42 and 3.5 send.
        (
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;"
            "version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            True,
        ),
        (
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
            "application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;q=0.3,"
            "text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
            True,
        ),
    ],
)
def test_the_form_is_what_is_accepted(
    serve: ServeFixture, accept: str | None, is_open: bool
) -> None:
    site = serve(hello, **ADMIN)
    fields = [] if accept is None else [f"Accept: {accept}"]
    answer = ask_admin(admin_of(site), "/-/metrics", *fields)
    name = "application/openmetrics-text; version=1.0.0" if is_open else "text/plain; version=0.0.4"
    assert answer.get("content-type") == f"{name}; charset=utf-8"
    assert answer.text.endswith("# EOF\n") is is_open
    assert read(answer.text, open_metrics=is_open)("workers") == 1


def test_both_forms_say_the_same(serve: ServeFixture) -> None:
    site = serve(App(), **ADMIN)
    for path in ("/", "/missing", "/slow"):
        site.ask(path)
    settled(site, 3)
    plain, opened = (scrape(admin_of(site), open_metrics=each) for each in (False, True))
    assert plain.samples.keys() == opened.samples.keys()
    still = [name for name in plain.samples if "cpu" not in name and "resident" not in name]
    for name in still:
        assert plain.samples[name].keys() == opened.samples[name].keys(), name
    assert plain.samples["prowingen_requests_total"] == opened.samples["prowingen_requests_total"]


def test_the_page_in_the_docs_has_them_all(serve: ServeFixture) -> None:
    """Its tables say what is served, in the same words."""
    rows = re.findall(
        r"^\| `(prowingen_\w+)` \| (\w+) \| ([^|]*) \| (.*) \|$", PAGE.read_text(), re.M
    )
    site = serve(hello, **ADMIN)
    told = ask_admin(admin_of(site)).text
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", told, re.M))
    helps = dict(re.findall(r"^# HELP (\S+) (.*)$", told, re.M))
    assert [row[0] for row in rows] == list(kinds)
    for name, kind, labels, meaning in rows:
        assert kind == kinds[name], name
        assert meaning == helps[name], name
        named = set(re.findall(r"`(\w+)`", labels))
        used = set(re.findall(rf"^{name}(?:_bucket)?\{{(.*)\}}", told, re.M))
        for each in used:
            assert set(re.findall(r'(\w+)="', each)) - {"le"} == named, name


# ---- requests


def test_requests_are_counted_by_what_they_were(serve: ServeFixture) -> None:
    site = serve(App(), **ADMIN)
    protocol = site.protocol.removesuffix(".0")
    asked = ["GET", "GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"]
    for method in asked:
        site.ask("/", method=method)
    site.post(b"x" * 1000)
    for path in ("/created", "/missing", "/missing", "/broken", "/raises"):
        site.ask(path)
    now = settled(site, 14)
    assert now("requests_total") == now("requests_total", protocol=protocol) == 14
    for method, count in (("GET", 7), ("HEAD", 1), ("POST", 1), ("PATCH", 1), ("other", 1)):
        assert now("requests_total", method=method) == count, method
    assert now("requests_total", method="GET", status="4xx") == 2
    for status, count in (("2xx", 10), ("4xx", 2), ("5xx", 2), ("none", 0)):
        assert now("requests_total", status=status) == count, status
    for code, count in (("200", 9), ("201", 1), ("404", 2), ("500", 2), ("302", 0)):
        assert now("responses_total", code=code) == count, code
    assert now("refusals_total") == 0
    assert now("received_bytes_total") > 1000
    assert now("sent_bytes_total") > 13 * len(b"hello")


def test_refusals_are_answers_that_the_server_gave(serve: ServeFixture) -> None:
    site = serve(App(), max_body=10, max_request_line=256, **ADMIN)
    assert site.post(b"x" * 100).status == 413
    assert site.ask("/" + "a" * 500).status in (414, 431)
    site.ask("/missing")
    now = settled(site, 3)
    assert now("refusals_total") == 2
    assert now("refusals_total", code="413") == 1
    assert now("responses_total", code="404") == 1
    assert now("request_duration_seconds_count") == 3
    assert now("request_duration_seconds_sum") < 5, "what was refused early took no time"
    assert now("application_duration_seconds_count") == 1


def test_answers_that_are_not_sent_whole_have_a_cause(serve: ServeFixture) -> None:
    app = App()
    site = serve(app, **ADMIN)
    with site.connect() as wire:
        wire.get("/stuck")
        app.gate.wait_entered()
        wire.reset()
        assert eventually(lambda: figures(site)("requests_cut_total", cause="client_closed") == 1)
        app.gate.opened.set()
    with site.connect() as wire:
        wire.get("/cut")
        assert eventually(lambda: figures(site)("requests_cut_total", cause="aborted") == 1)
    assert figures(site)("requests_cut_total") == 2


def test_times_are_in_their_buckets(serve: ServeFixture) -> None:
    site = serve(App(), **ADMIN)
    for _ in range(5):
        site.ask("/slow")
    now = settled(site, 5)
    for name in ("request_duration_seconds", "application_duration_seconds"):
        assert now(f"{name}_count") == now(f"{name}_bucket", le="+Inf") == 5
        assert now(f"{name}_bucket", le="0.05") == 0
        assert now(f"{name}_bucket", le="10.0") == 5
        assert 0.3 <= now(f"{name}_sum") < 10
    assert now("queue_wait_seconds_count") == 5


def test_who_waits_for_a_worker_is_counted(serve: ServeFixture) -> None:
    app = App()
    site = serve(app, threads=1, **ADMIN)
    with site.connect() as stuck, site.connect() as waiting:
        stuck.get("/stuck")
        app.gate.wait_entered()
        now = figures(site)
        assert now("requests_in_flight") == now("threads", state="running") == 1
        assert now("threads", state="idle") == now("queue_length") == 0
        waiting.get("/")
        assert eventually(lambda: figures(site)("queue_oldest_seconds") > 0.2)
        now = figures(site)
        assert now("queue_length") == 1
        assert now("requests_in_flight") == 2
        assert now("stalled_seconds") >= 0.2
        assert now("connections_open") == 2
        app.gate.opened.set()
        stuck.response()
        waiting.response()
    now = settled(site, 2)
    assert now("queue_wait_seconds_sum") > 0.2
    assert now("queue_wait_seconds_bucket", le="0.1") == 1
    assert now("requests_in_flight") == now("queue_length") == now("stalled_seconds") == 0
    assert now("threads", state="idle") == 1
    assert eventually(lambda: figures(site)("connections_open") == 0)


def test_a_thread_that_waits_for_its_client_is_seen(serve: ServeFixture) -> None:
    site = serve(App(), threads=2, body_buffer=1000, **ADMIN)
    with site.connect() as wire:
        wire.get("/", "Content-Length: 5000", method="POST")
        wire.send(b"x" * 3000)
        assert eventually(lambda: figures(site)("threads", state="waiting_for_client") == 1)
        before = figures(site)
        assert before("requests_in_flight") == 1
        wire.send(b"x" * 2000)
        assert wire.response("POST").status == 200
    now = settled(site, 1)
    assert now("threads", state="waiting_for_client") == 0
    assert now("gil_wait_seconds_count") > before("gil_wait_seconds_count"), "when it went on"


def test_503s_have_a_cause(serve: ServeFixture) -> None:
    app = App()
    site = serve(app, threads=1, queue_size=1, queue_timeout=0.3, **ADMIN)
    with site.connect() as stuck, site.connect() as waiting:
        stuck.get("/stuck")
        app.gate.wait_entered()
        waiting.get("/")
        assert eventually(lambda: figures(site)("queue_length") == 1)
        assert site.ask("/").status == 503
        assert waiting.response().status == 503
        app.gate.opened.set()
        stuck.response()
    now = settled(site, 3)
    assert now("queue_rejections_total", cause="queue_full") == 1
    assert now("queue_rejections_total", cause="queue_timeout") == 1
    assert now("responses_total", code="503") == 2
    assert now("application_duration_seconds_count") == 1


def test_cpu_time_of_the_application_is_its_threads(serve: ServeFixture) -> None:
    site = serve(App(), **ADMIN)
    before = figures(site)
    site.ask("/busy")
    now = settled(site, 1)
    spent = now("application_cpu_seconds_total") - before("application_cpu_seconds_total")
    assert 0.3 <= spent < 2
    assert now("cpu_seconds_total") - before("cpu_seconds_total") >= 0.3
    assert now("cpu_seconds_total", mode="system") >= 0


def test_what_a_worker_waits_for_the_gil_is_counted(serve: ServeFixture) -> None:
    """This very thread has it, in a call that keeps it, when the request comes in."""
    site = serve(hello, threads=2, **ADMIN)
    keep = ctypes.PyDLL(None).usleep

    def was_seen() -> bool:
        with site.connect() as wire:
            wire.get("/")
            keep(200_000)
            wire.response()
        return figures(site)("gil_wait_seconds_sum") > 0.1

    assert eventually(was_seen), "a worker may have been as quick as that, but not each time"
    now = figures(site)
    assert now("gil_wait_seconds_bucket", le="0.1") < now("gil_wait_seconds_count")


# ---- what is answered without the application


def test_static_files_and_what_is_kept_are_counted(serve: ServeFixture, tmp_path: Path) -> None:
    (tmp_path / "a.css").write_text("a {}")
    site = serve(
        Pages(KEPT), static=f"/static={tmp_path}", response_cache="1MiB", health_path="/h", **ADMIN
    )
    for path in ("/static/a.css", "/static/a.css", "/page", "/page", "/page", "/h/live"):
        assert site.ask(path).status == 200
    now = settled(site, 5)
    assert now("requests_total") == 5, "probes are no requests"
    assert now("static_files_total") == 2
    assert now("response_cache_lookups_total", result="hit") == 2
    assert now("response_cache_lookups_total", result="miss") == 1
    assert now("response_cache_stored_total") == now("response_cache_entries") == 1
    assert now("response_cache_bytes") > 0
    assert now("request_duration_seconds_count") == 5
    assert now("application_duration_seconds_count") == now("queue_wait_seconds_count") == 1


def test_websockets_are_counted_and_are_no_slow_requests(serve: ServeFixture) -> None:
    site = serve(Echo("evented"), **ADMIN)
    ws = open_to(site)
    for text in ("one", "two", "three"):
        assert ws.ask(text) == text
    now = figures(site)
    assert now("websockets_open") == now("websockets_accepted_total") == 1
    assert now("websocket_messages_total", direction="received") == 3
    assert now("websocket_messages_total", direction="sent") == 3
    ws.close()
    ws.closed()
    now = settled(site, 1)
    assert eventually(lambda: figures(site)("websockets_open") == 0)
    assert now("requests_total") == 1
    assert now("request_duration_seconds_count") == 0


@pytest.mark.no_http2("chunks are of HTTP/1")
@pytest.mark.timeout(60)
def test_large_bodies_are_seen_where_they_are(serve: ServeFixture) -> None:
    site = serve(App(), body_buffer="64KiB", **ADMIN)
    with site.connect() as wire:
        wire.get("/", "Transfer-Encoding: chunked", method="POST")
        for _ in range(32):
            wire.send(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
        assert eventually(lambda: figures(site)("spooled_bytes") > 0)
        assert figures(site)("bodies_spooled_total") == 1
        wire.send(b"0\r\n\r\n")
        assert wire.response("POST").status == 200
    now = settled(site, 1)
    assert now("memory_budget_bytes") > 0
    assert now("resident_memory_bytes") > 1 << 20
    assert now("received_bytes_total") > 32 << 16


def test_an_admin_address_has_no_tls_and_no_proxy_header(serve: ServeFixture) -> None:
    site = serve(hello, proxy_protocol=True, proxy_allow_ips="*", **ADMIN)
    assert site.server.admins[0].startswith("http://")
    assert ask_admin(address_of(site.server.admins[0]), "/-/live").status == 200
