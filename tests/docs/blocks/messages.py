"""What the server and its command can say, collected from the sources: docs/errors.md explains it.

    refusals      the table of cpp/http/refusal.cpp, and the constants wherever they are
    C++           log lines of warning and error, and what is thrown to Python as a wrong option
    Python        log lines of warning and error, and the errors that the command prints

A message is a template: what is put in at run time is `…`. One that is put together wholly at run
time has its words elsewhere, and is left out.
"""

from __future__ import annotations

import ast
import re
from functools import cache
from typing import TYPE_CHECKING

from .pages import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GAP = "…"
_LITERAL = re.compile(r'"((?:[^"\\]|\\.)*)"')
_REFUSAL = re.compile(r"constexpr Refusal \w+\{\s*(\d{3}),\s*\"[^\"]*\",\s*((?:\"[^\"]*\"\s*)+),")
_FORMAT = re.compile(r"%[-.\d]*[a-zA-Z]")
_REST = r'(?P<rest>(?:"(?:[^"\\]|\\.)*"|[^;"])*);'
_CPP_STATEMENTS = {
    "": r"(?:throw std::(?:\w+_argument|(?:runtime|system)_error)|Severity::(?:warning|error),)",
    "cpp/tls": r"\brefuse\(\w+, [^,]+,",
    "cpp/wsgi": r"(?:complaint_ =|\bcomplaint = )",
    "cpp/core/complaints.h": r"std::string_view \w+ =",
    "cpp/core/memory_budget.cpp": r"return (?=\"memory_budget)",
    "cpp/core/served_exchange.cpp": r"return std::string\(exchange",
}
"""What says something, by where it is."""
_WSGI_STATEMENT = re.compile(r"(?:PyErr_(?:Format|SetString)\(\s*|return fail\()PyExc_\w+," + _REST)
_WSGI_FILES = ("application", "coded_body", "responder", "start_response", "field_list")
"""Where an application is told what PEP 3333 has it do."""
_ERRORS = {
    "AcmeError", "AppFailedError", "AppNotFoundError", "BadValueError", "CannotReadError",
    "ChallengeError", "CommandError", "ConfigError", "ControlSocketError", "FactoryNotFoundError",
    "HostError", "ListenError", "MalformedError", "NoServerError", "NotDone", "PidFileError",
    "SilentError", "SpawnError", "StartError", "TargetError", "TemplateLostError", "UsageError",
    "_StartError", "_fail",
}  # fmt: skip
_LEVELS = {"warning", "error", "critical", "exception"}
_SMALLEST = 7
"""Letters of its own that a message has at least."""


@cache
def messages() -> dict[str, str]:
    """Each with the file that has it."""
    found: dict[str, str] = {}
    for path, text in [*refusals(), *cpp_messages(), *python_messages()]:
        template = normalized(text)
        if len(re.sub(r"[^a-z]", "", template.lower())) >= _SMALLEST:
            found.setdefault(template, str(path.relative_to(ROOT)))
    return found


def normalized(text: str) -> str:
    text = _FORMAT.sub(GAP, text.replace("%%", "%"))
    text = re.sub(r"\s+", " ", text)
    return re.sub(rf"{GAP}(?:{GAP})+", GAP, text).strip()


def refusals() -> Iterator[tuple[Path, str]]:
    path = ROOT / "cpp/http/refusal.cpp"
    rows = re.findall(r"Row\((\w+), (\d{3}),\s*((?:\"[^\"]*\"\s*)+),", path.read_text())
    for _, status, detail in rows:
        yield path, f"{status}: {_joined(detail)}"
    for path in cpp_files():
        for status, detail in _REFUSAL.findall(path.read_text()):
            yield path, f"{status}: {_joined(detail)}"


def cpp_files() -> list[Path]:
    return [each for each in sorted((ROOT / "cpp").rglob("*.*")) if each.suffix in (".cpp", ".h")]


def cpp_messages() -> Iterator[tuple[Path, str]]:
    for path in cpp_files():
        text = path.read_text()
        for place, begins in _CPP_STATEMENTS.items():
            if str(path.relative_to(ROOT)).startswith(place):
                for statement in re.finditer(begins + _REST, text):
                    yield path, _joined(statement["rest"])
        if path.parent.name == "wsgi" and path.stem in _WSGI_FILES:
            for statement in _WSGI_STATEMENT.finditer(text):
                formatted = statement[0].startswith("PyErr_Format")
                yield path, _joined(statement["rest"], formatted=formatted)


def _joined(text: str, *, formatted: bool = False) -> str:
    """String literals as they are put together: what stands between them is a gap.

    formatted: what follows them is put into their own gaps.
    """
    text = text.replace("'\"'", '"\\""')
    whole, end = "", 0
    for literal in _LITERAL.finditer(text):
        between = re.sub(
            r"std::string\(|std::string_view\(|joined\(\{|^\(|'\"'", "", text[end : literal.start()]
        )
        between = re.sub(r"std::generic_category\(\)|errno|last_error\(\)", "", between)
        if re.search(r"\w", between):
            whole += GAP
        whole += literal[1].replace('\\"', '"').replace("\\\\", "\\")
        end = literal.end()
    if whole and not formatted and re.search(r"\w", text[end:]):
        whole += GAP
    return whole


def python_messages() -> Iterator[tuple[Path, str]]:
    for path in sorted((ROOT / "prowingen_wsgi").rglob("*.py")):
        tree = ast.parse(path.read_text())
        named = _named_texts(tree)
        for node in ast.walk(tree):
            for said in _said(node, path):
                texts = named.get(said.id, []) if isinstance(said, ast.Name) else [_text(said)]
                yield from ((path, text) for text in texts if text is not None)


def _named_texts(tree: ast.AST) -> dict[str, list[str]]:
    """What variables of a file are set to: messages are often put together before they are said."""
    found: dict[str, list[str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            sides = [node.value]
            if isinstance(node.value, ast.IfExp):
                sides = [node.value.body, node.value.orelse]
            texts = [text for side in sides if (text := _text(side)) is not None]
            found.setdefault(node.targets[0].id, []).extend(texts)
    return found


def _said(node: ast.AST, path: Path) -> Iterator[ast.expr]:
    """The expressions in a node that are messages."""
    if isinstance(node, ast.Call):
        called = node.func
        name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
        checks = name == "ValueError" and path.parent.name == "configuration"
        if name in _ERRORS or name in _LEVELS or checks:
            yield from node.args[:2]
    # Options that do not go together are told in pairs: which, and why.
    elif isinstance(node, ast.Yield) and isinstance(node.value, ast.Tuple):
        if path.name == "conflicts.py":
            yield node.value.elts[1]
    elif isinstance(node, ast.Return) and node.value is not None and path.name == "listeners.py":
        yield node.value


def _text(node: ast.expr) -> str | None:
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        parts = [_text(part) if isinstance(part, ast.Constant) else GAP for part in node.values]
        return "".join(part or "" for part in parts)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        sides = [_text(node.left), _text(node.right)]
        return None if sides == [None, None] else "".join(side or GAP for side in sides)
    return None
