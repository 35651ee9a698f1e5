"""The examples of WebSockets and of event streams in a browser, and what it opens them on."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from prowingen_wsgi import websocket

from harness.browser import open_page
from harness.certificates import server_files
from harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from harness.apps import Environ, StartResponse
    from harness.site import ServeFixture, Site

pytestmark = [
    pytest.mark.alone("a browser gives up what takes long"),
    pytest.mark.no_http2("a browser speaks it over TLS alone"),
    pytest.mark.timeout(90),
]

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
TRUSTING = "--ignore-certificate-errors"


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Imports one of the examples anew."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    loaded: list[str] = []

    def load(name: str) -> Any:
        sys.modules.pop(name, None)
        loaded.append(name)
        return importlib.import_module(name)

    yield load
    for name in loaded:
        sys.modules.pop(name, None)


def lines(page: Any) -> list[str]:
    return list(page.eval_on_selector_all("#lines li", "all => all.map(l => l.textContent)"))


def is_connected(page: Any) -> None:
    page.wait_for_function("document.querySelector('#state').textContent == 'connected'")


def url(site: Site) -> str:
    return f"{'http' if site.tls is None else 'https'}://127.0.0.1:{site.port}/"


def test_chat(serve: ServeFixture, example: Any) -> None:
    site = serve(example("chat").app, threads=2)
    with open_page(TRUSTING) as page:
        page.goto(url(site))
        is_connected(page)
        browser: Any = page.context.browser
        other = browser.new_page(ignore_https_errors=True)
        other.goto(url(site))
        is_connected(other)
        page.fill("input", "a line with <b>marks</b>")
        page.keyboard.press("Enter")
        for each in (page, other):
            each.wait_for_function("document.querySelectorAll('#lines li').length > 1")
            each.wait_for_function(
                "document.querySelector('#lines li').textContent == 'a line with <b>marks</b>'"
            )
        assert lines(page)[1:] == ["2 here", "1 here"]
        other.close()
        page.wait_for_function("document.querySelector('#lines li').textContent == '1 here'")
        assert site.server.stats()["workers_away"] == 0


def test_chat_comes_back(serve: ServeFixture, example: Any) -> None:
    app = example("chat").app
    site = serve(app, threads=2)
    with open_page(TRUSTING) as page:
        page.goto(url(site))
        is_connected(page)
        port = site.port
        site.server.stop()
        page.wait_for_function("document.querySelector('#state').textContent != 'connected'")
        serve(app, threads=2, bind=f"127.0.0.1:{port}")
        is_connected(page)


def test_events(serve: ServeFixture, example: Any) -> None:
    site = serve(example("sse").app, threads=1)
    with open_page(TRUSTING) as page:
        page.goto(url(site))
        page.wait_for_function("document.querySelector('#time').title == 'event 1'")
        assert ":" in str(page.text_content("#time"))


PROTOCOLS = """async () => {
  const socket = new WebSocket(location.href.replace(/^http/, "ws") + "socket");
  const heard = await new Promise((resolve, reject) => {
    socket.onmessage = (event) => resolve(event.data);
    socket.onclose = (event) => reject(`closed: ${event.code}`);
    setTimeout(() => reject("it is silent"), 10000);
  });
  socket.onclose = null;
  socket.close();
  return [performance.getEntriesByType("navigation")[0].nextHopProtocol, heard];
}"""


@pytest.mark.parametrize("http", ["auto", "1.1"])
def test_a_websocket_is_a_stream_of_the_pages_connection(serve: ServeFixture, http: str) -> None:
    """RFC 8441: where the page came by HTTP/2, which a browser speaks over TLS."""

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if websocket.is_websocket(environ):
            with websocket.accept(environ) as ws:
                ws.send(f"{environ['SERVER_PROTOCOL']} {environ['REMOTE_PORT']}")
                ws.receive()
        start_response("200 OK", [("Content-Type", "text/html")])
        ports.append(environ["REMOTE_PORT"])
        return [b"<!doctype html><link rel=icon href='data:,'>"]

    ports: list[str] = []
    lines: list[str] = []
    log = {"access_log": lines.append, "access_log_format": "%(s)s %(r)s"}
    site = serve(app, http=http, **vars(server_files()), **log)
    with open_page(TRUSTING) as page:
        page.goto(f"https://127.0.0.1:{site.port}/")
        spoken, heard = page.evaluate(PROTOCOLS)
        protocol, port = heard.split()
        if http == "auto":
            assert (spoken, protocol) == ("h2", "HTTP/2.0")
            assert port == ports[0], "it is the page's connection"
            expected = "200 GET /socket HTTP/2.0"
        else:
            assert (spoken, protocol) == ("http/1.1", "HTTP/1.1")
            assert port != ports[0]
            expected = "101 GET /socket HTTP/1.1"
        assert eventually(lambda: expected in lines), lines
