"""What the administrators' page shows is what its server tells, whatever that is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import prowingen_wsgi
import pytest
from prowingen_wsgi.admin_page import admin_page

from harness.browser import open_browser
from harness.page_watching import TRUSTING, Watching, watching
from harness.watched import Watched, doing, worker

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

FOLDER = Path(prowingen_wsgi.__file__).parent / "admin_page"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser(TRUSTING) as browser:
        yield browser


# ---- the document


def test_the_document_is_whole_and_the_policy_names_what_is_in_it() -> None:
    document, policy = admin_page()
    page = document.decode()
    assert "/* script */" not in page
    assert "/* style */" not in page
    assert page.count("</script>") == page.count("</style>") == 1
    for directive in ("default-src 'none'", "script-src 'sha256-", "style-src 'sha256-"):
        assert directive in policy
    assert "unsafe" not in policy
    for piece in [*FOLDER.glob("script/*.js"), FOLDER / "style.css"]:
        assert piece.read_text() in page, f"{piece.name} is a part of it"


def test_markup_is_without_what_the_policy_refuses() -> None:
    page = (FOLDER / "page.html").read_text()
    assert not re.search(r"\s(style|on\w+)=", page)
    for piece in FOLDER.glob("script/*.js"):
        sinks = "innerHTML|outerHTML|insertAdjacentHTML|document\\.write|eval\\("
        assert not re.search(sinks, piece.read_text()), piece.name


# ---- figures


def test_what_is_shown_is_what_was_sent(browser: Browser, serve: ServeFixture) -> None:
    with watching(browser, serve) as seen:
        figures = seen.watched.figures
        figures.said["wanted"] = 3
        figures.said["workers"] = [
            worker(11, queue=3, oldest=1.5, rss=60 * 2**20),
            worker(12, doing(7, "GET /a HTTP/1.1", 0.25, deadline=0.75), stalled=12.5),
        ]
        figures.answer(20, 0.004)
        figures.answer(5, 0.004, "5xx")
        figures.observe("gil_wait", "waits", 25, 0.0002)
        figures.said["gil_wait"]["sum"] = 0.25
        figures.said["application"]["sum"] = 0.75
        figures.said["cpu"] = {"application": 0.5, "user": 0.625, "system": 0.125}
        figures.said["bytes"] = {"received": 3 * 2**10, "sent": 5 * 2**20}
        figures.said["tls"] = {"handshakes": 20, "failed": 2}
        seen.watched.pass_time(1)
        seen.shows(requests_now="25", failed_share="20.0 %", in_flight="1")
        seen.shows(gil_wait="0.25", gil_share="25.0 %", gil_p99="0.50 ms")
        seen.shows(cpu_application="0.50", cpu_user="0.63", cpu_system="0.13")
        seen.shows(bytes_received="3.0 KiB", bytes_sent="5.0 MiB")
        seen.shows(handshakes="20", handshakes_failed="2.0")
        seen.shows(queue_length="3", queue_oldest="1.50 s", queue_p99="–")
        seen.shows(open="12", http1="2", http2="4", http3="6", websockets="8")
        seen.shows(workers_here="2", workers_wanted="of 3", threads_busy="1 of 16")
        seen.shows(memory="110.0 MiB", version="1.2, embedded")
        seen.shows(rate_4xx="0.0 /s", rate_5xx="5.0 /s", rate_none="0.0 /s")
        connections = ["1", "2", "3", "4"]
        seen.has_rows(
            "workers",
            [
                ["11", "serves", "60.0 MiB", "3", "0", *connections, "8", *"00000"],
                ["12", "stuck 12.5 s", "50.0 MiB", "0", "1", *connections, "7", *"01000"],
            ],
        )
        seen.has_rows("threads", [["12", "runs", "GET /a HTTP/1.1", "250 ms", "750 ms", "stack"]])
        bar = seen.at("#threads .left span").evaluate("bar => getComputedStyle(bar).transform")
        assert bar.startswith("matrix(0.75"), "so much of its time is left"


def test_percentiles_are_interpolated_in_buckets(browser: Browser, serve: ServeFixture) -> None:
    with watching(browser, serve) as seen:
        figures = seen.watched.figures
        seen.shows(p50="–", p99="–")
        figures.answer(50, 0.2)  # in 0.1 to 0.25
        figures.answer(50, 2)  # in 1 to 2.5
        figures.observe("queue_wait", "waits", 4, 0.0001)
        seen.watched.pass_time(1, steps=10)
        seen.shows(p50="250 ms", p90="2.20 s", p99="2.47 s", queue_p99="0.10 ms")
        figures.answer(2, 61)
        seen.watched.pass_time(1, steps=10)
        seen.shows(p50="1.03 s", p99="≥ 60 s")
        seen.watched.pass_time(8.5, steps=85)
        seen.shows(p50="≥ 60 s", p99="≥ 60 s")
        seen.watched.pass_time(2, steps=20)
        seen.shows(p50="–", p99="–", queue_p99="–")


def test_the_heat_map_tells_each_cell(browser: Browser, serve: ServeFixture) -> None:
    with watching(browser, serve) as seen:
        for number in (3, 40):
            seen.watched.figures.answer(number, 0.002)
            seen.watched.pass_time(1, steps=10)
        seen.shows(heat_most="40", throughput_most="scale to 40")
        seen.at("#heat").focus()
        seen.page.keyboard.press("ArrowLeft")
        seen.shows(heat_tip="0 – 1 ms, 1 s ago: 0 requests")
        seen.page.keyboard.press("ArrowUp")
        seen.shows(heat_tip="1 ms – 2.5 ms, 1 s ago: 40 requests")
        seen.page.keyboard.press("ArrowLeft")
        seen.shows(heat_tip="1 ms – 2.5 ms, 2 s ago: 3 requests")
        label = seen.at("#heat").get_attribute("aria-label")
        assert label == "1 ms – 2.5 ms, 2 s ago: 3 requests"
        box = seen.at("#heat").bounding_box()
        assert box is not None
        seen.page.mouse.move(box["x"] + box["width"] - 2, box["y"] + 1.5 * box["height"] / 16)
        seen.shows(heat_tip="30 s – 60 s, 1 s ago: 0 requests")
        seen.page.mouse.move(0, 0)
        seen.is_shown("#heat-tip", False)


def drawn(seen: Watching, canvas: str) -> int:
    """Pixels that are."""
    script = """canvas => canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height)
        .data.filter((value, i) => i % 4 == 3 && value).length"""
    return int(seen.at(canvas).evaluate(script))


def test_errors_are_drawn_apart(browser: Browser, serve: ServeFixture) -> None:
    with watching(browser, serve) as seen:
        seen.watched.figures.answer(10, 0.001, "4xx")
        seen.watched.figures.answer(5, 0.001, "none")
        seen.watched.pass_time(0.8)
        seen.watched.pass_time(0.2)
        seen.shows(rate_4xx="10 /s")
        assert drawn(seen, "#errors-4xx") > drawn(seen, "#errors-none") > 0
        assert drawn(seen, "#errors-5xx") == 0


def test_causes_are_told_of_two_minutes_and_in_all(browser: Browser, serve: ServeFixture) -> None:
    watched = Watched()
    watched.figures.said["refusals"] = {"400": 3}
    with watching(browser, serve, watched) as seen:
        watched.figures.said["refusals"] = {"400": 5, "413": 1}
        watched.figures.said["rejections"] = {"queue_full": 2}
        watched.figures.said["cut"] = {"client_closed": 1}
        watched.figures.said["worker_ends"] = {"replaced": 4}
        watched.pass_time(1)
        causes = [["400", "2", "5"], ["413", "1", "1"], ["queue full", "2", "2"]]
        causes += [["client closed", "1", "1"], ["replaced", "4", "4"]]
        cells = seen.at("#causes tbody tr:not([data-is=group]) td")
        from playwright.sync_api import expect

        expect(cells).to_have_text([text for row in causes for text in row])


def test_the_slowest_requests(browser: Browser, serve: ServeFixture) -> None:
    slow = {"ago": 1.6, "worker": 7, "request": "GET /slow HTTP/1.1", "status": 200}
    slow |= {"seconds": 2.5, "queued": 0.5, "complete": True}
    requests = [slow, {**slow, "seconds": 0.75, "status": 502, "complete": False}]
    with watching(browser, serve) as seen:
        seen.watched.send("slowest", {"requests": requests})
        seen.has_rows(
            "slowest",
            [
                ["2.50 s", "GET /slow HTTP/1.1", "200", "2 s", "more"],
                ["750 ms", "GET /slow HTTP/1.1", "502 cut", "2 s", "more"],
            ],
        )
        seen.at("#slowest button").nth(1).click()
        seen.shows(details_request="GET /slow HTTP/1.1")
        note = (
            "answered 502; not sent whole; 500 ms of 750 ms in the queue; by worker 7, 1.60 s ago"
        )
        seen.shows(details_note=note)
        seen.is_shown("#details-frames", False)


def test_rows_of_threads_stay_while_requests_come_and_go(
    browser: Browser, serve: ServeFixture
) -> None:
    with watching(browser, serve) as seen:
        figures = seen.watched.figures
        figures.said["workers"] = [worker(5, doing(1, "GET /1"), doing(2, "GET /2"))]
        seen.watched.pass_time(0.1)
        seen.has_text("#threads tr:nth-child(2) .request", "GET /2")
        handle = seen.at("#threads tbody tr").nth(1).element_handle()
        figures.said["workers"] = [worker(5, doing(1, "GET /3"))]
        seen.watched.pass_time(0.1)
        seen.has_text("#threads tr:nth-child(2) .doing", "idle")
        assert handle.evaluate("row => row.isConnected && row.rowIndex") == 2
        seen.watched.pass_time(31)
        seen.has_rows("threads", [["5", "runs", "GET /3", "500 ms", "", "stack"]])
        figures.said["workers"] = [worker(6)]
        seen.watched.pass_time(0.1)
        seen.has_rows("threads", [])


# ---- hostile requests

HOSTILE = {
    "<script>document.title='broken'</script>": None,
    '"><img src=x onerror="document.title=\'broken\'">': None,
    "'\"`&amp;&lt;b>": None,
    "/\u202egnp.exe\u2066": "/\\u{202e}gnp.exe\\u{2066}",
    "/\x00\x1b[31m\u2028\ufeff": "/\\u{0}\\u{1b}[31m\\u{2028}\\u{feff}",
    "/" + "a" * 8190: "/" + "a" * 399 + "…",
}


def test_hostile_request_lines_stay_text(browser: Browser, serve: ServeFixture) -> None:
    with watching(browser, serve) as seen:
        seen.page.on("dialog", lambda dialog: pytest.fail(dialog.message))
        lines = list(HOSTILE)
        rows = [doing(i, line) for i, line in enumerate(lines)]
        seen.watched.figures.said["workers"] = [worker(5, *rows)]
        seen.watched.pass_time(0.1)
        shown = [HOSTILE[line] or line for line in lines]
        seen.has_rows("threads", [["5", "runs", each, "500 ms", "", "stack"] for each in shown])
        assert seen.at("#threads tbody :is(script, img, b)").count() == 0
        seen.watched.stacks = [stack_of(5, 5, lines[1], lines[0])]
        seen.at("#threads button").nth(5).click()
        seen.has_text("#details-frames li code", lines[1])
        seen.shows(details_request=lines[0])
        assert seen.at("#details :is(script, img)").count() == 0
        assert seen.page.title() == "prowingen"
        overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert seen.page.evaluate(overflow) <= 0


def test_why_it_is_not_ready_is_text_too(browser: Browser, serve: ServeFixture) -> None:
    with watching(browser, serve) as seen:
        seen.watched.figures.said["ready"] = "<b>\u202ethe database"
        seen.watched.pass_time(0.1)
        seen.shows(state="not ready: <b>\\u{202e}the database")
        assert seen.page.title() == "not ready: <b>\\u{202e}the database – prowingen"


# ---- stacks


def stack_of(pid: int, ident: int, source: str, request: str | None = None) -> dict[str, Any]:
    frame = {"file": "/app/a.py", "line": 12, "function": "view", "source": source}
    thread = {"thread": "prowingen-worker-1", "ident": ident, "request": request, "seconds": 1.0}
    thread |= {"idle": "", "frames": [frame], "is_cut": False}
    other = {**thread, "ident": ident + 1, "frames": [{**frame, "source": "another's"}]}
    return {"worker": 1, "pid": pid, "state": "ready", "note": "", "threads": [other, thread]}


def test_a_thread_s_stack_is_shown_by_keyboard_alone(browser: Browser, serve: ServeFixture) -> None:
    with watching(browser, serve) as seen:
        seen.watched.stacks = [
            stack_of(4, 139792562005696, "wrong()"),
            stack_of(5, 2**47, "time()"),
        ]
        seen.watched.figures.said["workers"] = [worker(5, doing(2**47, "GET /slow HTTP/1.1"))]
        seen.watched.pass_time(0.1)
        seen.at("#threads button").focus()
        seen.page.keyboard.press("Enter")
        seen.shows(details_title=f"Thread {2**47} of worker 5", details_note="prowingen-worker-1")
        seen.has_text("#details-frames li", "/app/a.py, line 12, in viewtime()")
        seen.watched.stacks = []
        seen.at("#details-again").press("Enter")
        seen.shows(details_note="the worker has ended")
        seen.page.keyboard.press("Escape")
        seen.is_shown("#details", False)
        assert seen.page.evaluate("document.activeElement.textContent") == "stack"
