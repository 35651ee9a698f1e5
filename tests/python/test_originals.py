"""The modules that nobody else has, and that the package uses no others."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

import prowingen_wsgi
from prowingen_wsgi import originals

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(prowingen_wsgi.__file__).parent
SOURCES = sorted(PACKAGE.rglob("*.py"))

# What applications, gevent and eventlet patch, and the server waits by, writes to or ends with.
PATCHED = {
    *("_thread", "concurrent", "multiprocessing", "os", "posix", "queue", "sched", "select"),
    *("selectors", "signal", "socket", "socketserver", "ssl", "subprocess", "threading", "time"),
}
# Who may use them as they are.
EXCEPTIONS = {
    "originals.py": PATCHED,
    "threads.py": {"threading"},  # enters the server's threads there, for the application
    "upgraded.py": {"socket"},  # what it makes is the application's
    # Before anything is served, and each a cost to a command of a framework's that serves nothing.
    "contrib/__init__.py": {"os"},
    "configuration/arguments.py": {"os"},
    "contrib/django/management/commands/prowingen.py": {"os"},
}


def imports(tree: ast.AST) -> Iterator[str]:
    """The modules that are imported at run time, at the top or in a function."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            yield from (each.name.partition(".")[0] for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.partition(".")[0]
        else:
            yield from imports(node)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_what_can_be_patched_is_taken_from_the_originals(path: Path) -> None:
    used = PATCHED & set(imports(ast.parse(path.read_text())))
    assert used <= EXCEPTIONS.get(str(path.relative_to(PACKAGE)), set()), (
        "take it from .originals or .threads: an application may have patched this one"
    )


def test_imports_in_functions_are_found_and_those_for_types_are_not() -> None:
    source = """
        if TYPE_CHECKING:
            import socket
        def serve():
            try:
                from os import fork
            finally:
                import time, signal as signals
    """
    assert set(imports(ast.parse(dedent(source)))) == {"os", "time", "signal"}


def test_the_originals_work(tmp_path: Path) -> None:
    file = tmp_path / "file"
    descriptor = originals.os.open(file, originals.os.O_CREAT | originals.os.O_WRONLY)
    originals.os.write(descriptor, b"written")
    originals.os.close(descriptor)
    assert file.read_bytes() == b"written"
    began = originals.time.monotonic()
    originals.time.sleep(0.001)
    assert originals.time.monotonic() > began
    reader, writer = originals.socket.socketpair()
    writer.sendall(b"x")
    with originals.selectors.DefaultSelector() as selector:
        selector.register(reader, originals.selectors.EVENT_READ)
        assert [key.fileobj for key, _ in selector.select(5)] == [reader]
    assert originals.select.select([reader], [], [], 5)[0] == [reader]
    reader.close()
    writer.close()
    with originals.socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
    assert sock.fileno() == -1
    number = originals.signal.SIGUSR2
    before = originals.signal.signal(number, originals.signal.SIG_IGN)
    originals.signal.raise_signal(number)
    assert originals.signal.signal(number, before) == originals.signal.SIG_IGN
    assert originals.signal.SIGTERM.name == "SIGTERM"


def test_they_are_nobody_elses() -> None:
    for name in ("os", "select", "selectors", "signal", "socket", "time"):
        assert getattr(originals, name) is not sys.modules[name]
    assert originals.thread is not sys.modules["_thread"]
    # What is the whole process's state is one all the same.
    assert originals.os.environ is sys.modules["os"].environ


def test_their_import_leaves_the_modules_as_they_are() -> None:
    program = """
        import _thread, os, select, selectors, signal, socket, sys, threading, time
        modules = [_thread, os, select, selectors, signal, socket, threading, time]
        handler = lambda *_: None
        signal.signal(signal.SIGUSR1, handler)
        before = [dict(vars(module)) for module in modules]
        import prowingen_wsgi.originals, prowingen_wsgi.threads
        assert before == [vars(module) for module in modules]
        assert all(sys.modules[module.__name__] is module for module in modules)
        assert signal.getsignal(signal.SIGUSR1) is handler
    """
    subprocess.run([sys.executable, "-c", dedent(program)], check=True)
