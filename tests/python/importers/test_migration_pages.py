"""The pages about coming from other servers say what the importers do."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from prowingen_wsgi.configuration.config import OPTIONS
from prowingen_wsgi.importers.granian.settings import SETTINGS
from prowingen_wsgi.importers.uwsgi import addresses, application
from prowingen_wsgi.importers.uwsgi.equivalents import BECOMES, DONE
from prowingen_wsgi.importers.uwsgi.lacking import LACKING

if TYPE_CHECKING:
    from types import ModuleType

ROOT = Path(__file__).resolve().parents[3]
DOCS = ROOT / "docs"
PAGES = ("from_uwsgi.md", "from_granian.md", "from_waitress.md", "from_mod_wsgi.md")


@pytest.fixture
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "generate_migrations", ROOT / "tools" / "generate_migrations.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", ["from_uwsgi.md", "from_granian.md"])
def test_the_tables_are_the_importers(tool: ModuleType, page: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    assert text == tool.made(page, text), "run: python tools/generate_migrations.py"
    before, begin, rest = text.partition("<!-- tables:begin -->\n")
    end = rest.index("\n<!-- tables:end -->")
    assert tool.made(page, before + begin + rest[end:]) == text


def test_every_setting_is_on_its_page() -> None:
    uwsgi = (DOCS / "from_uwsgi.md").read_text(encoding="utf-8")
    for name in (*BECOMES, *DONE, *LACKING, *addresses.NAMES, *application.NAMES):
        assert f"`{name}`" in uwsgi
    granian = (DOCS / "from_granian.md").read_text(encoding="utf-8")
    for setting in SETTINGS.values():
        assert f"`{setting.flag}`" in granian


@pytest.mark.parametrize("page", PAGES)
def test_pages_name_what_there_is(page: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(((?!https?:)[^)#]+)", text):
        assert (DOCS / target).exists(), target
    for row in re.findall(r"^\| .* \| (.*) \|$", text, re.MULTILINE):
        for name in re.findall(r"`([a-z]+_[a-z_]+)(?: = [^`]*)?`", row):
            assert name in OPTIONS, name
