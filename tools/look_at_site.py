"""Looks at every page of the built site in a browser, as a reader would: `look_at_site.py FOLDER`.

The pages are opened from their files, so whatever they want from elsewhere is a fault. Each has to
open without a complaint on the console, lead to pages and anchors that are there, fit a telephone
of 360 pixels, and have text that can be read in light and in dark. The search has to find
something.
"""

from __future__ import annotations

import shutil
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, ConsoleMessage, Error, Page

NARROW, WIDE = {"width": 360, "height": 740}, {"width": 1280, "height": 800}
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
LEAST_CONTRAST = 4.5
"""Of text, by WCAG 2.2, level AA."""

LINKS = "[...document.querySelectorAll('a[href]')].map(a => a.href)"
IDS = "[...document.querySelectorAll('[id], a[name]')].map(e => e.id || e.name)"
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
CONTRAST = """() => {
  const channels = colour => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(c => c / 255)
    .map(c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = element => {
    for (let e = element; e; e = e.parentElement) {
      const colour = channels(getComputedStyle(e).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const TEXTS = ['p', 'li', 'td', 'code', 'pre span'].map(e => `article ${e}`).join(', ');
  let least = [99, ''];
  for (const e of document.querySelectorAll(TEXTS)) {
    if (!e.textContent.trim()) continue;
    const pair = [light(channels(getComputedStyle(e).color)), light(behind(e))];
    const ratio = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
    if (ratio < least[0]) least = [ratio, `${e.tagName}: ${e.textContent.slice(0, 40)}`];
  }
  return least;
}"""


class Look:
    """One pass over all pages; what is wrong gathers in `faults`."""

    def __init__(self, browser: Browser, folder: Path) -> None:
        self.faults: list[str] = []
        self._browser = browser
        self._pages = sorted(folder.rglob("*.html"))
        self._ids: dict[Path, set[str]] = {}
        self._links: dict[Path, set[str]] = {}

    def all(self) -> int:
        for scheme in ("light", "dark"):
            for path in self._pages:
                with self._open(path, scheme) as page:
                    self._look(path, page, scheme)
        self._follow()
        self._search()
        return len(self._pages)

    @contextmanager
    def _open(self, path: Path, scheme: str, query: str = "") -> Iterator[Page]:
        page = self._browser.new_page(color_scheme=scheme, viewport=WIDE)  # type: ignore[arg-type]
        page.on("console", lambda said: self._said(path, said))
        page.on("pageerror", lambda error: self._failed(path, error))
        page.on("request", lambda asked: self._elsewhere(path, asked.url))
        page.goto(f"{path.as_uri()}{query}")
        yield page
        page.close()

    def _said(self, path: Path, said: ConsoleMessage) -> None:
        if said.type in ("error", "warning"):
            self._add(path, said.text)

    def _failed(self, path: Path, error: Error) -> None:
        self._add(path, f"script: {error}")

    def _elsewhere(self, path: Path, url: str) -> None:
        if urlsplit(url).scheme not in ("file", "data"):
            self._add(path, f"asks for {url}")

    def _add(self, path: Path, fault: str) -> None:
        self.faults.append(f"{path.name}: {fault}")

    def _look(self, path: Path, page: Page, scheme: str) -> None:
        self._ids[path] = set(page.evaluate(IDS))
        self._links[path] = set(page.evaluate(LINKS))
        ratio, where = page.evaluate(CONTRAST)
        if ratio < LEAST_CONTRAST:
            self._add(path, f"{scheme}: a contrast of {ratio:.1f}: {where}")
        page.set_viewport_size(NARROW)  # type: ignore[arg-type]
        if (over := page.evaluate(OVERFLOW)) > 0:
            self._add(path, f"scrolls sideways by {over} of 360 pixels")

    def _follow(self) -> None:
        for path, links in self._links.items():
            for link in links:
                parts = urlsplit(link)
                if parts.scheme != "file":
                    continue
                target = Path(unquote(parts.path))
                if not target.exists():
                    self._add(path, f"leads to {target.name}, which is not there")
                elif parts.fragment and not self._has(target, unquote(parts.fragment)):
                    self._add(path, f"leads to {target.name}#{parts.fragment}: no such anchor")

    def _has(self, target: Path, anchor: str) -> bool:
        return target not in self._ids or anchor in self._ids[target] | {"top"}

    def _search(self) -> None:
        path = next(path for path in self._pages if path.name == "search.html")
        with self._open(path, "light", "?q=websocket") as page:
            page.wait_for_selector("#search-results li a", timeout=10_000)


def main(folder: Path) -> int:
    program = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if program is None:
        print("look_at_site: no Chromium is installed (cmake/system-packages.txt)", file=sys.stderr)
        return 2
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        look = Look(browser, folder.resolve())
        count = look.all()
        browser.close()
    print("\n".join(look.faults) or f"{count} pages, light and dark: nothing is wrong")
    return 1 if look.faults or not count else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
