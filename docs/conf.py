"""The site's builder, Sphinx: docs/*.md as it is, with the API's reference from docstrings.

Warnings are errors (`nox -s site`). Nothing is loaded from elsewhere: pages work from a file and in
a closed network, search included. docs/architecture.md says why it is this builder.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from docutils import nodes
from pygments.lexers.special import TextLexer

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parent.parent
_PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

project = _PROJECT["name"]
author = _PROJECT["authors"][0]["name"]
project_copyright = author
release = version = _PROJECT["version"]

extensions = ["myst_parser", "sphinx.ext.autodoc"]
html_theme = "furo"
html_title = f"{project} {release}"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
# Excerpts are fetched from the pages, which a browser does not do for files.
html_show_search_summary = False
exclude_patterns: list[str] = []

# Links and anchors to nowhere are warnings.
nitpicky = True
myst_heading_anchors = 4
highlight_language = "text"

# Docstrings have their own plain form: see `as_markup`.
default_role = "code"
smartquotes = False
autodoc_typehints = "none"
autodoc_member_order = "bysource"

_NAMED = re.compile(r"^(?P<names>[a-z_]+(?:, [a-z_]+)*): (?P<text>.*)$")


def as_markup(
    _app: Sphinx, _what: str, _name: str, _object: object, _options: object, lines: list[str]
) -> None:
    """Lines such as `timeout: seconds until ...`, with what is indented below them, as a list."""
    found: list[str] = []
    in_list = in_code = False
    for line in lines:
        named = _NAMED.match(line)
        if named:
            if not in_list:
                found.append("")
            names = ", ".join(f"`{name}`" for name in named["names"].split(", "))
            found.append(f"- {names}: {_plain(named['text'])}")
            in_list, in_code = True, False
        elif in_list and line.startswith(" "):
            found.append(f"  {_plain(line.strip())}")
        elif line.startswith("    "):
            if not in_code:
                found += ["::", ""]
            found.append(line)
            in_code = True
        else:
            if in_list and line:
                found.append("")
            in_list = False
            in_code = in_code and not line
            found.append(_plain(line))
    lines[:] = found


def _plain(line: str) -> str:
    """Stars are stars, but between backticks."""
    parts = line.split("`")
    return "`".join(part if i % 2 else part.replace("*", "\\*") for i, part in enumerate(parts))


def name_pages(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Links that are called by their file, as on GitHub, are called by their page's title here."""
    for link in doctree.findall(nodes.reference):
        text = link.astext()
        target = urljoin(f"{page}.html", link.get("refuri", "")).partition(".html")[0]
        if text.endswith(".md") and target in app.env.titles:
            link.children = [nodes.inline("", app.env.titles[target].astext())]
            link.children[0].parent = link


def leave_out_empty_places(app: Sphinx, page: str, source: list[str]) -> None:
    """The navigation has places for pages that need not be there: Sphinx would warn of them."""
    if page == "index":
        lines = source[0].splitlines()
        here = Path(app.srcdir)
        kept = [line for line in lines if line[-1:] != "*" or any(here.glob(f"{line}.md"))]
        source[0] = "\n".join(kept)


def setup(app: Sphinx) -> None:
    app.connect("source-read", leave_out_empty_places)
    app.connect("doctree-resolved", name_pages)
    app.connect("autodoc-process-docstring", as_markup)
    app.add_lexer("haproxy", TextLexer)  # Pygments has none of its own
