"""What administrators look at: the page, and the events that it shows, on every engine."""

from __future__ import annotations

import base64
import hashlib
import re
import socket
import threading
import time
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.apps import Gate, hello
from harness.echoing import Echo, open_to
from harness.scraping import admin_of, ask_admin, scrape
from harness.waiting import eventually
from harness.watching import PATH, Watch, doing, in_request
from harness.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.apps import Environ, StartResponse
    from harness.site import ServeFixture, Site

ADMIN = {"admin_bind": "127.0.0.1:0"}
PAGE = Path(__file__).resolve().parents[2] / "docs/admin_page.md"


class App:
    """`/stuck` is, until its gate opens; `/slow` takes its time."""

    def __init__(self) -> None:
        self.gate = Gate()
        self.idents: list[int] = []

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        self.idents.append(threading.get_ident())
        path = environ["PATH_INFO"]
        if path == "/stuck":
            self.gate.pass_through(60)
        if path == "/slow":
            time.sleep(0.3)
        if path == "/read":
            environ["wsgi.input"].read()
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"hello"]


def line(site: Site, target: str, method: str = "GET") -> str:
    return f"{method} {target} {site.protocol}"


# ---- the page


def test_no_page_from_elsewhere_is_shown_it(serve: ServeFixture) -> None:
    """Neither one of another origin, nor one whose own name is made to lead here."""
    admin = admin_of(serve(hello, **ADMIN))
    for path in ("/-/", PATH):
        assert ask_admin(admin, path, "Origin: http://evil.example").status == 403
        with Wire(admin) as wire:
            wire.send(f"GET {path} HTTP/1.1\r\nHost: evil.example\r\n\r\n".encode())
            assert wire.response().status == 403
        assert ask_admin(admin, path, "Origin: http://test", method="HEAD").status == 200


def test_the_page_is_one_document_that_may_do_no_more(serve: ServeFixture) -> None:
    admin = admin_of(serve(hello, **ADMIN))
    page = ask_admin(admin, "/-/")
    assert (page.status, page.get("content-type")) == (200, "text/html; charset=utf-8")
    assert page.get("cache-control") == "no-store"
    policy = dict(
        part.split(" ", 1) for part in (page.get("content-security-policy") or "").split("; ")
    )
    assert policy["default-src"] == "'none'"
    assert policy["connect-src"] == "'self'"
    for tag in ("style", "script"):
        inline = re.findall(rf"<{tag}[^>]*>(.*?)</{tag}>", page.text, re.DOTALL)
        assert inline
        for text in inline:
            digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
            assert f"'sha256-{digest}'" in policy[f"{tag}-src"]
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", page.text), "it is self-contained"
    assert ask_admin(admin, "/-/?a=b").body == page.body
    head = ask_admin(admin, "/-/", method="HEAD")
    assert (head.status, head.body) == (200, b"")
    assert head.get("content-length") == page.get("content-length")
    posted = ask_admin(admin, "/-/", method="POST")
    assert (posted.status, posted.get("allow")) == (405, "GET, HEAD")


def test_others_are_not_shown_it(serve: ServeFixture) -> None:
    site = serve(hello, **ADMIN)
    assert site.ask("/-/").body == b"hello"
    assert site.ask(PATH).body == b"hello"


# ---- the events


def test_a_watcher_is_told_what_the_server_is_and_does(serve: ServeFixture, engine: str) -> None:
    import prowingen_wsgi

    site = serve(App(), threads=3, **ADMIN)
    with Watch(admin_of(site)) as watch:
        watch.wait_for(lambda server: server["engine"] == engine, "server")
        server = watch.latest["server"]
        assert server["version"] == prowingen_wsgi.__version__
        assert server["threads"] == 3
        assert server["bounds"]["requests"][0] == 0.001
        assert watch.head.get("cache-control") == "no-store"
        first = watch.wait_for(lambda figures: figures["workers"][0]["threads"]["idle"] == 3)
        assert (first["ready"], first["wanted"], first["requests"]["methods"]) == ("", 1, {})
        assert len(first["duration"]["counts"]) == len(server["bounds"]["requests"]) + 1
        assert len(first["gil_wait"]["counts"]) == len(server["bounds"]["waits"]) + 1
        for _ in range(3):
            site.ask("/")
        site.ask("/", method="BREW")
        now = watch.wait_for(lambda figures: sum(figures["requests"]["methods"].values()) == 4)
        assert now["requests"]["methods"] == {"GET": 3, "other": 1}
        assert now["requests"]["protocols"] == {site.protocol.removesuffix(".0"): 4}
        assert now["requests"]["statuses"] == {"2xx": 4}
        assert sum(now["duration"]["counts"]) == 4
        assert now["duration"]["sum"] > 0
        assert now["bytes"]["sent"] > 4 * len(b"hello")
        assert now["at"] > first["at"]
        assert now["workers"][0]["rss"] > 1 << 20
        site.server.set_ready(False)
        watch.wait_for(lambda figures: figures["ready"] == "the application says so")
    assert scrape(admin_of(site))("requests_total") == 4, "who watches is in no figure"


def test_the_docs_name_all_members(serve: ServeFixture) -> None:
    """Its tables, in their order: the three events, and within figures, a worker and its rows."""
    rows = [
        re.findall(r"`(\w+)`", row) for row in re.findall(r"^\| (`.*?) \|", PAGE.read_text(), re.M)
    ]
    named = [name for row in rows for name in row]
    app = App()
    site = serve(app, **ADMIN)
    site.ask("/")
    with Watch(admin_of(site)) as watch, site.connect() as wire:
        wire.get("/stuck")
        figures = watch.wait_for(doing)
        slowest = watch.wait_for(lambda told: told["requests"], "slowest")
        app.gate.opened.set()
        assert wire.response().status == 200
    worker = figures["workers"][0]
    told = [watch.latest["server"], figures, worker, worker["doing"][0], slowest["requests"][0]]
    assert sorted(named) == sorted(name for each in told for name in each)


def test_events_come_ten_times_a_second(serve: ServeFixture) -> None:
    with Watch(admin_of(serve(hello, **ADMIN))) as watch:
        watch.wait_for_more(1)
        begun = time.monotonic()
        watch.wait_for_more(20)
        took = time.monotonic() - begun
        assert took > 1.5, "and not more often"
        assert took < 8
        assert 1 <= watch.counts["slowest"] <= 1 + watch.counts["figures"] // 10 + 1
        assert watch.counts["server"] == 1


def test_how_it_is_asked_for(serve: ServeFixture) -> None:
    admin = admin_of(serve(hello, **ADMIN))
    head = ask_admin(admin, PATH, method="HEAD")
    assert (head.status, head.body) == (200, b"")
    assert head.get("content-type") == "text/event-stream; charset=utf-8"
    posted = ask_admin(admin, PATH, method="POST")
    assert (posted.status, posted.get("allow")) == (405, "GET, HEAD")
    with Watch(admin, f"{PATH}?a=b") as watch:
        watch.wait_for_more(1)


def test_who_speaks_http_1_0_is_told_until_the_end(serve: ServeFixture) -> None:
    with Wire(admin_of(serve(hello, **ADMIN))) as wire:
        wire.get(PATH, version="1.0")
        reply = wire.reply()
        assert reply.head().closes
        text = b""
        while text.count(b"event: figures") < 3:
            text += reply.data()


def test_requests_that_run_are_told_of(serve: ServeFixture) -> None:
    app = App()
    site = serve(app, request_timeout=50, **ADMIN)
    with Watch(admin_of(site)) as watch, site.connect() as wire:
        wire.get("/stuck?a=b")
        app.gate.wait_entered()
        asked = line(site, "/stuck?a=b")
        row = in_request(watch.wait_for(lambda figures: in_request(figures, asked)), asked)
        assert row["state"] == "running"
        assert row["ident"] == app.idents[0]
        assert 45 < row["deadline"] <= 50
        assert 0 <= row["seconds"] < 5
        older = watch.wait_for(
            lambda figures: in_request(figures, asked)["seconds"] > row["seconds"] + 0.25
        )
        assert in_request(older, asked)["deadline"] < row["deadline"] - 0.2
        app.gate.opened.set()
        assert wire.response().status == 200
        watch.wait_for(lambda figures: not doing(figures))


def test_one_that_waits_for_its_client_is_told_of(serve: ServeFixture) -> None:
    site = serve(App(), body_buffer=1000, **ADMIN)
    with Watch(admin_of(site)) as watch, site.connect() as wire:
        wire.get("/read", "Content-Length: 5000", method="POST")
        wire.send(b"x" * 3000)
        asked = line(site, "/read", "POST")
        figures = watch.wait_for(lambda figures: in_request(figures, asked))
        row = in_request(figures, asked)
        assert row["state"] == "waiting_for_client"
        assert row["deadline"] is None
        assert figures["workers"][0]["threads"]["waiting_for_client"] == 1
        wire.send(b"x" * 2000)
        assert wire.response("POST").status == 200


def test_one_that_was_answered_in_its_place_is_told_of(serve: ServeFixture) -> None:
    app = App()
    site = serve(app, request_timeout=0.3, **ADMIN)
    with Watch(admin_of(site)) as watch:
        assert site.ask("/stuck").status == 504
        asked = line(site, "/stuck")
        figures = watch.wait_for(lambda figures: in_request(figures, asked).get("state") == "stuck")
        assert figures["workers"][0]["threads"]["stuck"] == 1
        assert figures["rejections"]["request_timeout"] == 1
        app.gate.opened.set()
        watch.wait_for(lambda figures: not doing(figures))


def test_a_websocket_is_long_lived(serve: ServeFixture) -> None:
    site = serve(Echo("blocking"), **ADMIN)
    with Watch(admin_of(site)) as watch:
        ws = open_to(site)
        assert ws.ask("one") == "one"
        figures = watch.wait_for(
            lambda figures: any(row["state"] == "long_lived" for row in doing(figures))
        )
        assert figures["workers"][0]["connections"]["websockets"] == 1
        ws.close()


def test_what_a_client_writes_is_only_text(serve: ServeFixture) -> None:
    app = App()
    site = serve(app, **ADMIN)
    target = "/stuck?<script>'&%0a" + "x" * 500
    with Watch(admin_of(site)) as watch, site.connect() as wire:
        wire.get(target)
        app.gate.wait_entered()
        figures = watch.wait_for(doing)
        app.gate.opened.set()
        assert doing(figures)[0]["request"] == line(site, target)[:192]
        assert wire.response().status == 200


def test_slow_requests_are_told_of_in_their_order(serve: ServeFixture) -> None:
    site = serve(App(), **ADMIN)
    for _ in range(20):
        site.ask("/")
    site.ask("/slow")
    site.ask("/missing")
    with Watch(admin_of(site)) as watch:
        slowest = watch.wait_for(
            lambda told: told["requests"] and told["requests"][0]["request"] == line(site, "/slow"),
            "slowest",
        )["requests"]
        assert len(slowest) == 16
        assert [each["seconds"] for each in slowest] == sorted(
            (each["seconds"] for each in slowest), reverse=True
        )
        first = slowest[0]
        assert 0.3 <= first["seconds"] < 5
        assert (first["status"], first["complete"]) == (200, True)
        assert 0 <= first["queued"] < first["seconds"]
        assert 0 <= first["ago"] < 20


def test_connections_are_told_by_what_is_spoken(serve: ServeFixture) -> None:
    site = serve(App(), **ADMIN)
    spoken = "http2" if site.http2 else "http1"
    with Watch(admin_of(site)) as watch, ExitStack() as wires:
        for _ in range(3):
            wire = wires.enter_context(site.connect())
            assert wire.ask("/").status == 200
        figures = watch.wait_for(lambda told: told["workers"][0]["connections"]["open"] == 3)
        connections = figures["workers"][0]["connections"]
        assert connections == {
            **dict.fromkeys(("http1", "http2", "http3", "websockets"), 0),
            "open": 3,
            spoken: 3,
        }
        told = scrape(admin_of(site))
        assert told("connections_open", protocol=spoken.upper().replace("P", "P/")) == 3
        assert told("connections_open") == 3
        if site.tls is not None:
            assert figures["tls"] == {"handshakes": 3, "failed": 0}
            assert told("tls_handshakes_total", result="completed") == 3
    assert eventually(lambda: scrape(admin_of(site))("connections_open") == 0)


def test_handshakes_that_fail_are_counted(serve: ServeFixture) -> None:
    site = serve(App(), **ADMIN)
    if site.tls is None:
        pytest.skip("there is no TLS")
    with socket.create_connection(("127.0.0.1", site.port)) as probe:
        probe.sendall(b"\x16\x03\x01\x00\x05hello")
        assert eventually(
            lambda: scrape(admin_of(site))("tls_handshakes_total", result="failed") == 1
        )
    with socket.create_connection(("127.0.0.1", site.port)):
        pass  # as a load balancer looks whether anybody listens
    site.ask("/")
    told = scrape(admin_of(site))
    assert told("tls_handshakes_total", result="failed") == 1
    assert told("tls_handshakes_total", result="completed") == 1


# ---- many of them


def test_one_that_reads_nothing_costs_little_and_holds_nobody_up(
    serve: ServeFixture, tmp_path: Path
) -> None:
    """What waits for it is bounded: it is told no more, and goes on from where it reads again."""
    app = App()
    # The system keeps less for one of these than for a connection of TCP.
    site = serve(app, threads=32, admin_bind=f"unix:{tmp_path / 'admin.sock'}")
    with ExitStack() as stack:
        for _ in range(32):  # they make the events long
            stack.enter_context(site.connect()).get("/stuck?" + "x" * 150)
        deaf = stack.enter_context(Wire(admin_of(site)))
        deaf.get(PATH)
        with Watch(admin_of(site)) as watch:
            watch.wait_for(lambda figures: len(doing(figures)) == 32)
            watch.wait_for_more(50)
            latest = watch.latest["figures"]["at"]
        app.gate.opened.set()
        reply, text = deaf.reply(), b""
        while not (told := _times(text)) or told[-1] < latest:
            text += reply.data()
        assert len(told) < 40, "of more than 50"
        assert max(after - before for before, after in pairwise(told)) > 1


def _times(text: bytes) -> list[float]:
    return [float(at) for at in re.findall(rb'"at":([0-9.]+),', text)]


def test_there_is_room_for_32(serve: ServeFixture) -> None:
    admin = admin_of(serve(hello, **ADMIN))
    with ExitStack() as watches:
        all_of_them = [watches.enter_context(Watch(admin)) for _ in range(32)]
        refused = ask_admin(admin, PATH)
        assert refused.status == 503
        assert refused.get("retry-after") == "1"
        all_of_them[0].wait_for_more(2)
        for watch in all_of_them:
            assert watch.wait_for(lambda figures: figures["wanted"] == 1)
        assert ask_admin(admin, "/-/live").status == 200
        all_of_them[0].leave()

        def has_room() -> bool:
            with Wire(admin) as wire:
                wire.get(PATH)
                return wire.reply().head().status == 200

        assert eventually(has_room)


def test_a_stop_waits_for_no_watcher(serve: ServeFixture) -> None:
    site = serve(hello, **ADMIN)
    with Wire(admin_of(site), receive_buffer=4096) as deaf, Watch(admin_of(site)) as watch:
        deaf.get(PATH)
        watch.wait_for_more(3)
        begun = time.monotonic()
        site.server.stop()
        assert time.monotonic() - begun < 4
        watch.wait_for_end()
