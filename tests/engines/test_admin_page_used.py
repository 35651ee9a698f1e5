"""The administrators' page as it is used: by keys, with a token, in the dark, and cut off."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from harness.browser import open_browser
from harness.page_watching import TRUSTING, Watching, watching
from harness.watched import TOKEN, Watched, doing, worker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

    from harness.site import ServeFixture

pytestmark = [
    pytest.mark.alone("a browser gives up what takes long"),
    pytest.mark.no_http2("a browser speaks it over TLS alone"),
    pytest.mark.engines("embedded"),  # an application plays the server: any engine will do
    pytest.mark.timeout(60),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser(TRUSTING) as browser:
        yield browser


# ---- connections


def test_a_stream_that_ends_is_connected_again(browser: Browser, serve: ServeFixture) -> None:
    with watching(browser, serve, losing="events") as seen:
        seen.watched.figures.answer(10, 0.2)
        seen.watched.pass_time(1)
        seen.shows(requests_now="10")
        seen.watched.hang_up()
        seen.watched.figures.said["ready"] = "after the break"
        seen.watched.pass_time(0.1)
        seen.shows(state="not ready: after the break")
        seen.is_shown("#lost", False)
        assert seen.page.inner_text("#p99") == "249 ms", "it has forgotten nothing"


def test_a_server_that_ends_is_told_of_and_its_successor_found(
    browser: Browser, serve: ServeFixture
) -> None:
    with watching(browser, serve, losing="events") as seen:
        seen.watched.figures.answer(10, 0.2)
        seen.watched.pass_time(1)
        seen.shows(p99="249 ms", state="ready")
        port = seen.site.port
        seen.watched.close()
        seen.site.server.stop()
        seen.shows(state="no connection")
        assert seen.at("#lost").get_attribute("role") == "status"
        said = seen.page.inner_text("#lost-text")
        assert re.fullmatch(
            r"No connection to the server since \d+:\d\d:\d\d, what is shown is of then\. .*", said
        )
        seen.has_text("#lost-for", "(4 s)")
        assert seen.page.inner_text("#lost-text") == said, "only the seconds go on"
        assert seen.page.inner_text("#p99") == "249 ms"
        successor = Watched(version="1.3")
        serve(successor, threads=4, bind=f"127.0.0.1:{port}")
        try:
            seen.shows(state="ready", version="1.3, embedded")
            seen.is_shown("#lost", False)
            # Its sums are less than those of the one before.
            seen.shows(p99="–", requests_now="–")
            successor.figures.answer(3, 0.004)
            successor.pass_time(1)
            seen.shows(p99="4.98 ms", requests_now="3.0")
        finally:
            seen.page.goto("about:blank")
            seen.page.evaluate("window.violations = []")
            successor.close()


def test_a_watcher_too_many_tries_again(browser: Browser, serve: ServeFixture) -> None:
    with watching(browser, serve, losing="events") as seen:
        seen.watched.refuses_watchers = True
        seen.watched.hang_up()
        seen.shows(state="no connection")
        seen.watched.refuses_watchers = False
        seen.shows(state="ready")


def test_silence_is_a_loss_too(browser: Browser, serve: ServeFixture) -> None:
    with watching(browser, serve) as seen:
        seen.watched.is_silent = True
        seen.shows(state="no connection")
        seen.watched.pass_time(0.1)
        seen.shows(state="ready")


# ---- keys


def thread_requests(seen: Watching) -> list[str]:
    return seen.at("#threads .request").all_inner_texts()


def test_a_slash_leads_to_the_filter_and_escape_away(browser: Browser, serve: ServeFixture) -> None:
    slow: dict[str, Any] = {"ago": 1, "worker": 5, "status": 200, "seconds": 2.0, "queued": 0.1}
    slow["complete"] = True
    requests = [{**slow, "request": each} for each in ("GET /Cart", "GET /other")]
    with watching(browser, serve) as seen:
        rows = [doing(1, "GET /cart?a"), doing(2, "GET /b")]
        seen.watched.figures.said["workers"] = [worker(5, *rows)]
        seen.watched.send("slowest", {"requests": requests})
        seen.watched.pass_time(0.1)
        seen.shows(threads_count="2 busy")
        seen.page.keyboard.press("/")
        seen.page.keyboard.type("CART")
        seen.shows(threads_count="1 match")
        assert thread_requests(seen) == ["GET /cart?a"]
        assert seen.at("#slowest .request").all_inner_texts() == ["GET /Cart"]
        seen.page.keyboard.press("Escape")
        seen.shows(threads_count="2 busy")
        assert seen.page.evaluate("document.activeElement === document.body")


def test_p_pauses_and_nothing_is_missed(browser: Browser, serve: ServeFixture) -> None:
    with watching(browser, serve) as seen:
        seen.page.keyboard.press("p")
        assert seen.at("#pause").get_attribute("aria-pressed") == "true"
        assert seen.page.inner_text("#paused").startswith("paused at ")
        seen.watched.figures.said["ready"] = "it still says so"
        seen.watched.figures.answer(7, 0.001)
        seen.watched.pass_time(1)
        seen.shows(state="not ready: it still says so", requests_now="–")
        seen.page.keyboard.press("p")
        seen.shows(requests_now="7.0", paused="")


def test_help_and_single_keys_can_be_turned_off(browser: Browser, serve: ServeFixture) -> None:
    with watching(browser, serve, losing="events") as seen:
        seen.page.keyboard.press("?")
        seen.is_shown("#help")
        seen.page.keyboard.press("p")
        assert seen.page.inner_text("#paused") == "", "not beneath a dialog"
        seen.at("#shortcuts").uncheck()
        seen.page.keyboard.press("Escape")
        seen.is_shown("#help", False)
        seen.page.keyboard.press("p")
        assert seen.page.inner_text("#paused") == ""
        seen.page.reload()
        seen.shows(state="ready")
        seen.page.keyboard.press("p")
        assert seen.page.inner_text("#paused") == ""
        seen.at("#help-open").press("Enter")
        seen.at("#shortcuts").check()
        seen.page.keyboard.press("Escape")
        seen.page.keyboard.press("p")
        assert seen.page.inner_text("#paused") != ""


def test_all_that_can_be_pressed_is_reached_by_tab(browser: Browser, serve: ServeFixture) -> None:
    with watching(browser, serve, Watched(controls=True)) as seen:
        seen.watched.figures.said["workers"] = [worker(5, doing(1, "GET /"))]
        seen.watched.pass_time(0.1)
        seen.has_text("#threads .act button", "stack")
        reachable = """[...document.querySelectorAll('button, input, canvas[tabindex], .scroll')]
            .filter(each => each.checkVisibility()).length"""
        wanted = seen.page.evaluate(reachable)
        outlines: dict[str, str] = {}
        for _ in range(wanted + 5):
            seen.page.keyboard.press("Tab")
            key, outline = seen.page.evaluate(
                """[document.activeElement.outerHTML.slice(0, 99),
                    getComputedStyle(document.activeElement).outlineStyle]"""
            )
            outlines[key] = outline
        pressed = [
            key for key in outlines if re.match(r'<(button|input|canvas|div class="scroll)', key)
        ]
        assert len(pressed) == wanted
        assert {outlines[key] for key in pressed} == {"solid"}


# ---- looks

CONTRASTS = """() => {
  const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (rgb) => rgb.slice(0, 3).map((c) => c / 255)
    .map((c) => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = channels(getComputedStyle(e).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  return [...document.querySelectorAll("body *")]
    .filter((e) => e.checkVisibility())
    .filter((e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()))
    .map((e) => {
      const pair = [light(channels(getComputedStyle(e).color)), light(behind(e))];
      return [(Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05), e.outerHTML.slice(0, 80)];
    })
    .filter(([ratio]) => ratio < 4.5);
}"""


def background(seen: Watching) -> str:
    return str(seen.page.evaluate("getComputedStyle(document.body).backgroundColor"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark_by_system_and_by_switch(
    browser: Browser, serve: ServeFixture, scheme: str
) -> None:
    watched = Watched(controls=True)
    with watching(browser, serve, watched, losing="events", color_scheme=scheme) as seen:
        threads = [doing(1, "GET /", state="stuck"), doing(2, "GET /", deadline=1.0)]
        seen.watched.figures.said["workers"] = [worker(5, *threads, stalled=1.0)]
        seen.watched.pass_time(0.1)
        seen.has_text("#threads tbody tr:first-child .doing", "stuck")
        colours = ["rgb(244, 246, 248)", "rgb(14, 19, 24)"]
        by_system, other = colours if scheme == "light" else reversed(colours)
        assert background(seen) == by_system
        assert seen.page.evaluate(CONTRASTS) == []
        seen.page.keyboard.press("t")
        assert background(seen) == other
        assert seen.page.evaluate(CONTRASTS) == []
        seen.page.reload()
        seen.shows(state="ready")
        assert background(seen) == other, "it is remembered"


@pytest.mark.parametrize("width", [360, 1024, 3840])
def test_it_fits_and_nothing_jumps(browser: Browser, serve: ServeFixture, width: int) -> None:
    boxes = """[...document.querySelectorAll('section:not([hidden])')].map(e => {
        const {x, y, width, height} = e.getBoundingClientRect(); return [x, y, width, height] })"""
    overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    with watching(browser, serve, viewport={"width": width, "height": 900}) as seen:
        before = seen.page.evaluate(boxes)
        figures = seen.watched.figures
        figures.said["workers"] = [
            worker(10**6 + i, *[doing(k, f"GET /{'long' * 99}", 9e4) for k in range(20)])
            for i in range(9)
        ]
        figures.said["refusals"] = {str(code): 10**7 for code in range(400, 430)}
        figures.said["bytes"] = {"received": 10**11, "sent": 10**11}
        figures.answer(10**7, 61)
        seen.watched.pass_time(1)
        seen.shows(requests_now="10,000,000", p50="≥ 60 s")
        seen.has_text("#threads tbody tr:first-child .number", "25 h 0 min")
        assert seen.page.evaluate(boxes) == before
        assert seen.page.evaluate(overflow) <= 0


def test_everything_has_a_name_and_figures_are_not_announced(
    browser: Browser, serve: ServeFixture
) -> None:
    with watching(browser, serve, Watched(controls=True)) as seen:
        seen.watched.figures.said["workers"] = [worker(5, doing(1, "GET /"))]
        seen.watched.pass_time(0.1)
        seen.has_text("#threads .act button", "stack")
        tools = seen.page.context.new_cdp_session(seen.page)
        nodes = tools.send("Accessibility.getFullAXTree")["nodes"]
        named = {"button", "textbox", "searchbox", "combobox", "image", "region", "columnheader"}
        found = [each for each in nodes if not each["ignored"] and each["role"]["value"] in named]
        assert {"button", "searchbox", "textbox", "image", "region"} <= {
            each["role"]["value"] for each in found
        }
        assert [each for each in found if not each["name"]["value"]] == []
        live = "all => all.map(each => each.id)"
        assert seen.at("[role=status], [role=log], [aria-live]").evaluate_all(live) == [
            "state",
            "paused",
            "answers",
            "lost",
        ]


def test_at_ten_events_a_second_it_takes_a_twentieth_of_a_core(
    browser: Browser, serve: ServeFixture
) -> None:
    with watching(browser, serve) as seen:
        tools = seen.page.context.new_cdp_session(seen.page)
        tools.send("Performance.enable", {"timeDomain": "threadTicks"})

        def metrics() -> dict[str, float]:
            said = tools.send("Performance.getMetrics")["metrics"]
            return {each["name"]: each["value"] for each in said}

        shares = []
        for _ in range(4):
            before = metrics()
            for _ in range(15):
                pass_a_tenth(seen)
            after = metrics()
            assert after["Timestamp"] - before["Timestamp"] >= 1.4
            shares.append((after["TaskDuration"] - before["TaskDuration"]) / 1.5)
        # At first it is compiled; and the caches of this machine may be others' for a while.
        assert min(shares) < 0.05, shares


def pass_a_tenth(seen: Watching) -> None:
    """Of a second, on the clock too: 16 threads, of which each has another request."""
    figures = seen.watched.figures
    number = round(figures.at * 10)
    figures.said["workers"] = [
        worker(pid, *[doing(k, f"GET /{number}/{k} HTTP/1.1", number % 7 / 9) for k in range(8)])
        for pid in range(2)
    ]
    for k in range(40):
        figures.answer(1, 0.001 * 1.3 ** (k % 20))
    seen.watched.pass_time(0.1)
    seen.page.wait_for_timeout(100)


# ---- controls


def answers(seen: Watching) -> list[str]:
    """Without the times at which they came."""
    texts = seen.at("#answers li").all_inner_texts()
    return [re.sub(r"^\d+:\d\d:\d\d\s+", "", text) for text in texts]


def sign_in(seen: Watching, token: str = TOKEN) -> None:
    seen.at("#token").fill(token)
    seen.at("#token").press("Enter")


def test_without_controls_there_are_none(browser: Browser, serve: ServeFixture) -> None:
    with watching(browser, serve) as seen:
        seen.is_shown("#controls", False)


def test_commands_are_sent_and_their_lines_shown_as_they_come(
    browser: Browser, serve: ServeFixture
) -> None:
    with watching(browser, serve, Watched(controls=True), losing="control") as seen:
        say = seen.watched.lines.put
        seen.is_shown("#commands", False)
        sign_in(seen)
        assert seen.watched.asked.get(timeout=10) == {"v": 1, "command": "status"}
        say({"ok": True, "result": {"state": "serving", "ready": True}})
        say(None)
        seen.has_text("#answers li:nth-child(2)", re.compile("serving, ready$"))
        seen.at("[data-command=reload]").press("Enter")
        assert seen.watched.asked.get(timeout=10) == {"v": 1, "command": "reload", "wait": True}
        say({"event": {"is": "begun", "generation": 2}})
        seen.has_text("#answers li:nth-child(4)", re.compile("generation 2 begins$"))
        say({"event": {"is": "failed", "worker": 3, "pid": 47, "why": "<b>\u202eno module"}})
        failed = "worker 3 (pid 47) failed to start: <b>\\u{202e}no module"
        seen.has_text("#answers li:nth-child(5)", re.compile(re.escape(failed) + "$"))
        say({"ok": False, "error": {"code": "failed", "message": "the workers go on"}})
        say(None)
        seen.has_text("#answers li:nth-child(6)", re.compile("not done: the workers go on$"))
        assert answers(seen)[::2] == ["status", "reload", failed]
        assert seen.at("#answers b").count() == 0
        seen.watched.status = "409 Conflict"
        say({"ok": False, "error": {"code": "refused", "message": "it serves without workers"}})
        say(None)
        seen.at("[data-command=reload]").click()
        seen.watched.asked.get(timeout=10)
        why = re.compile("not done: it serves without workers$")
        seen.has_text("#answers li:nth-child(8)", why)
        asked = [("ready-off", {"command": "ready", "ready": False})]
        asked += [("ready-on", {"command": "ready", "ready": True})]
        asked += [("log-level", {"command": "log-level", "level": "debug"})]
        seen.at("#level").select_option("debug")
        for button, command in asked:
            seen.at(f"[data-command={button}]").click()
            assert seen.watched.asked.get(timeout=10) == {"v": 1, **command}
            say(None)


def test_the_server_is_stopped_only_after_a_second_thought(
    browser: Browser, serve: ServeFixture
) -> None:
    with watching(browser, serve, Watched(controls=True)) as seen:
        for _ in range(2):
            seen.watched.lines.put(None)
        sign_in(seen)
        seen.watched.asked.get(timeout=10)
        seen.at("[data-command=stop]").click()
        assert seen.page.evaluate("document.activeElement.textContent") == "Keep it"
        seen.page.keyboard.press("Enter")
        seen.is_shown("#confirm", False)
        seen.at("[data-command=stop]").click()
        seen.page.keyboard.press("Escape")
        seen.is_shown("#confirm", False)
        assert seen.watched.asked.empty()
        seen.at("[data-command=stop]").click()
        seen.at("#confirm .grave").click()
        assert seen.watched.asked.get(timeout=10) == {"v": 1, "command": "stop", "wait": True}
        assert seen.watched.asked.empty()


def test_the_token_stays_in_the_tab_and_a_wrong_one_is_forgotten(
    browser: Browser, serve: ServeFixture
) -> None:
    kept = "[Object.values(sessionStorage), Object.values(localStorage), document.cookie]"
    with watching(browser, serve, Watched(controls=True), losing="control") as seen:
        urls: list[str] = []
        seen.page.on("request", lambda asked: urls.append(asked.url))
        sign_in(seen, "wrong")
        refused = "refused (401): a token is needed, and this is not it"
        seen.has_text("#answers li:nth-child(2)", re.compile(re.escape(refused) + "$"))
        seen.is_shown("#token-form")
        assert seen.page.evaluate(kept) == [[], [], ""]
        seen.watched.lines.put(None)
        sign_in(seen)
        seen.watched.asked.get(timeout=10)
        assert seen.page.evaluate(kept) == [[TOKEN], [], ""]
        assert seen.at("#token").input_value() == ""
        seen.at("#token-forget").click()
        seen.is_shown("#commands", False)
        assert seen.page.evaluate(kept) == [[], [], ""]
        assert [url for url in urls if "token" in url or "wrong" in url] == []
