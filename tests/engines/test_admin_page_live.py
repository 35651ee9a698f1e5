"""The administrators' page of a real server, in a browser."""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING

import pytest

from harness.admin_control import TOKEN, prepared, running
from harness.apps import PLAIN
from harness.browser import open_browser, page_of
from harness.page_watching import PATIENCE, TRUSTING
from harness.scraping import admin_of
from harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser

    from harness.apps import Environ, StartResponse
    from harness.site import ServeFixture

pytestmark = [pytest.mark.alone("a browser gives up what takes long"), pytest.mark.timeout(60)]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser(TRUSTING) as browser:
        yield browser


def test_a_real_server_is_shown(browser: Browser, serve: ServeFixture, engine: str) -> None:
    from playwright.sync_api import expect

    entered, leave = threading.Event(), threading.Event()

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/waits":
            entered.set()
            leave.wait(30)
        start_response("404 Not Found" if environ["PATH_INFO"] == "/gone" else "200 OK", PLAIN)
        return [b"hello"]

    site = serve(app, threads=2, admin_bind="127.0.0.1:0", request_timeout=50)
    admin = admin_of(site)
    assert isinstance(admin, tuple)
    complaints: list[str] = []
    # Its stream is ended by the page's own end.
    with page_of(browser, losing="events", viewport={"width": 1600, "height": 1400}) as page:
        page.on("console", lambda said: complaints.append(said.text))
        page.goto(f"http://{admin[0]}:{admin[1]}/-/")
        state = page.locator("#state")
        expect(state).to_have_text("ready", timeout=PATIENCE)
        assert re.search(rf", {engine}$", page.inner_text("#version"))
        for _ in range(20):
            assert site.ask("/gone").status == 404
        with site.connect() as wire:
            wire.get("/waits?<b>")
            assert entered.wait(20)
            try:
                row = page.locator("#threads tbody tr[data-is=running]")
                request = f"GET /waits?<b> {site.protocol}"
                expect(row.locator(".request")).to_have_text(request, timeout=PATIENCE)
                expect(row.locator(".deadline")).to_contain_text("49.", timeout=PATIENCE)
                expect(page.locator("#threads-busy")).to_have_text("1 of 2", timeout=PATIENCE)
            finally:
                leave.set()
            assert wire.response().status == 200
        slow = page.locator("#slowest tbody tr").first.locator(".request")
        expect(slow).to_have_text(request, timeout=PATIENCE)
        assert eventually(lambda: page.inner_text("#p50") not in ("", "–"))
        assert page.inner_text("#heat-most") != "–"
        assert complaints == []


def test_stacks_and_orders_of_several_processes(
    browser: Browser, engine: str, tmp_path: Path
) -> None:
    from playwright.sync_api import expect

    options = ("--workers", "2", "--graceful-timeout", "2")
    with (
        running(engine, prepared(tmp_path), *options) as (server, admin),
        # A worker that is replaced ends the streams that it has.
        page_of(
            browser, losing=("events", "control"), viewport={"width": 1600, "height": 1400}
        ) as page,
        server.connect() as wire,
    ):
        assert isinstance(admin, tuple)
        page.goto(f"http://{admin[0]}:{admin[1]}/-/")
        expect(page.locator("#state")).to_have_text("ready", timeout=PATIENCE)
        expect(page.locator("#workers tbody tr")).to_have_count(2, timeout=PATIENCE)
        wire.get("/wait")
        page.locator("#threads tbody tr[data-is=running] button").click(timeout=PATIENCE)
        expect(page.locator("dialog[open]")).to_contain_text("wait_for_it", timeout=PATIENCE)
        page.keyboard.press("Escape")
        page.locator("#token").fill(TOKEN)
        page.locator("#token").press("Enter")
        answers = page.locator("#answers")
        expect(answers).to_contain_text("serving, ready", timeout=PATIENCE)
        page.locator("[data-command=reload]").click()
        expect(answers).to_contain_text("generation 2 begins", timeout=PATIENCE)
        server.wait_for_line(r"generation 2|is ready")
        expect(page.locator("#state")).to_have_text("ready", timeout=PATIENCE)
