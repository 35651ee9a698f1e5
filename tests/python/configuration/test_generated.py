"""What is generated from the options is up to date, and needs nothing but a bare Python."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from prowingen_wsgi.configuration.config import OPTIONS

ROOT = Path(__file__).resolve().parents[3]
TOOL = ROOT / "tools" / "generate_options.py"


def generate(out: Path) -> None:
    # -I -S: no environment, no installed packages.
    subprocess.run([sys.executable, "-I", "-S", str(TOOL), str(out)], check=True)


def test_the_documentation_is_up_to_date(tmp_path: Path) -> None:
    generate(tmp_path / "configuration.md")
    written = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    made = (tmp_path / "configuration.md").read_text(encoding="utf-8")
    assert written == made, "run: python tools/generate_options.py docs/configuration.md"


def test_the_documentation_names_every_flag() -> None:
    text = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    for option in OPTIONS.values():
        for flag in option.flags:
            assert f"`{flag}`" in text


def test_the_options_struct_has_a_field_for_every_native_option(tmp_path: Path) -> None:
    generate(tmp_path / "options.inc")
    lines = (tmp_path / "options.inc").read_text(encoding="utf-8").splitlines()
    fields = [
        found.groups()
        for line in lines
        if (found := re.fullmatch(r"PROWINGEN_OPTION\((.+?), (\w+), (.+)\)", line))
    ]
    assert [(cpp_type, name) for cpp_type, name, _ in fields] == [
        (option.cpp_type, name) for name, option in OPTIONS.items() if option.native
    ]
    defaults = {name: default for _, name, default in fields}
    assert defaults["threads"] == "8"
    assert defaults["max_body"] == "0"
    assert defaults["header_timeout"] == "15.0"
    assert defaults["date_header"] == "true"
    assert defaults["server_header"] == '"prowingen"'


@pytest.mark.parametrize("name", ["options.inc", "configuration.md"])
def test_a_file_that_is_up_to_date_is_left_alone(tmp_path: Path, name: str) -> None:
    out = tmp_path / "new folder" / name
    generate(out)
    before = out.stat().st_mtime_ns
    generate(out)
    assert out.stat().st_mtime_ns == before
    out.write_text("old")
    generate(out)
    assert out.read_text(encoding="utf-8") != "old"


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, str(TOOL), str(tmp_path / "options.txt")], capture_output=True, text=True
    )
    assert result.returncode == 2
    assert "usage:" in result.stderr
