"""What a wheel has for all that the server can do: libraries, files, and little weight."""

from __future__ import annotations

import gzip
import os
import re
import subprocess
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import brotli
import pytest
import zstandard
from harness.commands import ask, run_command

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.installed import Installed

ROOT = Path(__file__).parents[2]
IMPORT_LIMIT = 0.010
HELP_LIMIT = 0.120
DECODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.decompress,
    "br": brotli.decompress,
    "zstd": lambda coded: zstandard.ZstdDecompressor().decompressobj().decompress(coded),
}
PAGE = b"<p>A line that comes again and again</p>\n" * 2000
APP = f"""
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/html")])
    body = {PAGE!r}
    return [body] if environ["PATH_INFO"] == "/whole" else iter([body[:999], body[999:]])
"""


def test_all_of_the_package_is_in_it(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if name.startswith("prowingen_wsgi/")}
    (native,) = {name for name in inside if "/_native." in name and name.endswith(".so")}
    sources = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "prowingen_wsgi").rglob("*")
        if path.is_file() and path.suffix not in (".so", ".pyc")
    }
    assert inside - {native} == sources


def test_every_feature_that_needs_a_library_or_a_file_works(installed: Installed) -> None:
    """As where release wheels are built: scripts/smoke.py."""
    assert "smoke test passed" in installed.run("-I", str(ROOT / "scripts/smoke.py"))


@pytest.mark.parametrize("path", ["/whole", "/in-pieces"])
def test_answers_are_coded_as_other_libraries_read_them(
    installed: Installed, path: str, tmp_path: Path
) -> None:
    (tmp_path / "coded.py").write_text(APP)
    command = [installed.command, "coded:app", "--bind", "127.0.0.1:0", "--compress"]
    with run_command(command, tmp_path, **installed.variables) as server:
        for coding, decode in DECODERS.items():
            answer = ask(server, path, f"Accept-Encoding: {coding}")
            assert answer.get("content-encoding") == coding
            assert decode(answer.body) == PAGE


def test_an_import_takes_few_milliseconds(
    installed: Installed, capsys: pytest.CaptureFixture[str]
) -> None:
    """The quickest of some: other work on the machine is not what is asked about."""
    seconds = min(import_time(installed) for _ in range(10))
    with capsys.disabled():
        print(f"\n{installed.folder.parent.name}: imported in {seconds * 1000:.1f} ms", end=" ")
    assert seconds < IMPORT_LIMIT


def import_time(installed: Installed) -> float:
    code = "import time; began = time.perf_counter(); import prowingen_wsgi; "
    return float(installed.run("-I", "-c", code + "print(time.perf_counter() - began)"))


def test_the_help_comes_at_once(installed: Installed, capsys: pytest.CaptureFixture[str]) -> None:
    """By the processor time that it takes, which is most of what one waits for."""
    seconds = min(help_time(installed) for _ in range(10))
    with capsys.disabled():
        print(f"\n{installed.folder.parent.name}: --help took {seconds * 1000:.0f} ms", end=" ")
    assert seconds < HELP_LIMIT


def help_time(installed: Installed) -> float:
    process = subprocess.Popen(
        [installed.command, "--help"],
        env=installed.variables,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert re.match(r"usage: prowingen ", process.stdout.read())
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stdout.close()
    assert process.returncode == 0
    return used.ru_utime + used.ru_stime
