"""The administrators' page in a browser, beside the application that plays its server."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from harness.browser import page_of
from harness.watched import Watched

if TYPE_CHECKING:
    import re
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Locator, Page

    from harness.site import ServeFixture, Site

TRUSTING = "--ignore-certificate-errors"
PATIENCE = 10_000
"""Milliseconds until what is expected has to be there."""
_VIOLATIONS = """
  window.violations = [];
  document.addEventListener("securitypolicyviolation", (event) => {
    if (!event.sourceFile.includes("playwright") && event.blockedURI !== "eval")
      window.violations.push(`${event.violatedDirective}: ${event.blockedURI}`);
  });
"""


class Watching:
    """page: it is open, and has its first figures; `watched`: what it is told by."""

    def __init__(self, page: Page, watched: Watched, site: Site) -> None:
        self.page = page
        self.watched = watched
        self.site = site
        self.complaints: list[str] = []
        """Of the browser's console."""

    def at(self, selector: str) -> Locator:
        return self.page.locator(selector)

    def shows(self, **texts: str) -> None:
        """Soon these are the texts of elements, by their ids; `_` for each `-`."""
        for name, text in texts.items():
            self.has_text(f"#{name.replace('_', '-')}", text)

    def has_text(self, selector: str, text: str | re.Pattern[str]) -> None:
        from playwright.sync_api import expect

        expect(self.at(selector)).to_have_text(text, timeout=PATIENCE)

    def has_rows(self, table: str, rows: list[list[str]]) -> None:
        """Soon these are the texts of a table's cells."""
        from playwright.sync_api import expect

        expect(self.at(f"#{table} tbody tr")).to_have_count(len(rows), timeout=PATIENCE)
        cells = [text for row in rows for text in row]
        expect(self.at(f"#{table} tbody td")).to_have_text(cells, timeout=PATIENCE)

    def is_shown(self, selector: str, shown: bool = True) -> None:
        from playwright.sync_api import expect

        expect(self.at(selector)).to_be_visible(visible=shown, timeout=PATIENCE)


def page_url(site: Site) -> str:
    return f"{'http' if site.tls is None else 'https'}://127.0.0.1:{site.port}/-/"


@contextmanager
def watching(
    browser: Browser,
    serve: ServeFixture,
    watched: Watched | None = None,
    losing: str | tuple[str, ...] = (),
    **options: Any,
) -> Iterator[Watching]:
    """options: of the browser's page.

    losing: what is lost, as `page_of` has it; the console may then tell of that.
    """
    watched = watched or Watched()
    site = serve(watched, threads=4)
    options = {"viewport": {"width": 1600, "height": 1800}, **options}
    try:
        with page_of(browser, losing, **options) as page:
            seen = Watching(page, watched, site)
            page.on("console", lambda said: seen.complaints.append(f"{said.type}: {said.text}"))
            page.add_init_script(_VIOLATIONS)
            page.goto(page_url(site))
            seen.shows(state="ready")
            yield seen
            assert page.evaluate("violations") == []
            assert losing or seen.complaints == []
    finally:
        watched.close()
