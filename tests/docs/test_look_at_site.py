"""The look at the built site sees what it is there to see."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from harness.browser import CHROMIUM

if TYPE_CHECKING:
    from pathlib import Path

SOUND = """<!doctype html><title>A page</title><meta name="viewport" content="width=device-width">
<article><p id="here">Text</p><a href="{}">on</a></article>
<ul id="search-results"><li><a href="#here">found</a></li></ul>"""
FAULTY = """<!doctype html><title>A page</title><meta name="viewport" content="width=device-width">
<article><p style="color: #ccc; background: #fff">Pale</p><div style="width: 700px">Wide</div>
<a href="gone.html">gone</a><a href="search.html#nowhere">nowhere</a></article>
<img src="http://127.0.0.1:9/picture.png"><script>console.error("it complains")</script>"""


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
def test_faults_are_seen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("playwright.sync_api")
    from look_at_site import main

    (tmp_path / "search.html").write_text(SOUND.format("search.html#here"))
    assert main(tmp_path) == 0
    assert capsys.readouterr().out == "1 pages, light and dark: nothing is wrong\n"

    (tmp_path / "faulty.html").write_text(FAULTY)
    assert main(tmp_path) == 1
    said = capsys.readouterr().out
    for fault in (
        "faulty.html: light: a contrast of 1.6",
        "faulty.html: scrolls sideways by ",
        "faulty.html: leads to gone.html, which is not there",
        "faulty.html: leads to search.html#nowhere: no such anchor",
        "faulty.html: asks for http://127.0.0.1:9/picture.png",
        "faulty.html: it complains",
    ):
        assert fault in said
    assert "search.html:" not in said
