"""Headless Chromium, driven by Playwright."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page, Request

# The system's own, as Playwright's would have to be downloaded.
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
_ARGUMENTS = [
    "--no-sandbox",  # which root cannot have
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # it asks its makers for news
]


@contextmanager
def open_page(*arguments: str) -> Iterator[Page]:
    """A page of a new browser, given further arguments. What goes wrong in it fails the test."""
    with open_browser(*arguments) as browser, page_of(browser) as page:
        yield page


@contextmanager
def open_browser(*arguments: str) -> Iterator[Browser]:
    """A new browser, given further arguments; for tests that share it, as it takes a second."""
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=[*_ARGUMENTS, *arguments])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def page_of(browser: Browser, losing: str | tuple[str, ...] = (), **options: Any) -> Iterator[Page]:
    """A page that shares nothing with others. What goes wrong in it fails the test.

    losing: what the URLs end with that may fail, in a test of what the page does then.
    options: of the page, as Playwright has them.
    """
    page = browser.new_page(**options)
    troubles: list[str] = []

    def failed(request: Request) -> None:
        if not request.url.endswith(losing):
            troubles.append(f"failed: {request.url}")

    page.on("pageerror", lambda error: troubles.append(f"script: {error}"))
    page.on("requestfailed", failed)
    try:
        yield page
        assert troubles == []
    finally:
        page.close()


def style_of(page: Page, selector: str, name: str) -> str:
    """A CSS property as it applies."""
    script = "([selector, name]) => getComputedStyle(document.querySelector(selector))[name]"
    return str(page.evaluate(script, [selector, name]))
