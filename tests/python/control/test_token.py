"""The file with an administrator's token."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from prowingen_wsgi.configuration.config import ConfigError
from prowingen_wsgi.control.token import LEAST, MOST, read_token

if TYPE_CHECKING:
    from pathlib import Path

GOOD = "0123456789abcdef-._~+/=="


def written(folder: Path, content: bytes | str, mode: int = 0o600) -> str:
    path = folder / "token"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    path.chmod(mode)
    return str(path)


@pytest.mark.parametrize("content", [GOOD, f"{GOOD}\n", f" {GOOD}\r\n\n", "x" * LEAST, "x" * MOST])
def test_a_token_is_what_the_file_holds(tmp_path: Path, content: str) -> None:
    assert read_token(written(tmp_path, content)) == content.strip()


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o640, 0o660])
def test_its_group_may_read_it(tmp_path: Path, mode: int) -> None:
    assert read_token(written(tmp_path, GOOD, mode)) == GOOD


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o602])
def test_all_others_may_not(tmp_path: Path, mode: int) -> None:
    with pytest.raises(ConfigError, match=rf"admin_token_file: .*{mode:04o}.*chmod o-rw"):
        read_token(written(tmp_path, GOOD, mode))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "is empty"),
        (" \n", "is empty"),
        ("x" * (LEAST - 1), f"{LEAST} characters at least"),
        ("x" * (MOST + 1), f"{MOST} characters at most"),
        (f"{GOOD}\n{GOOD}\n", "one line"),
        ("has blanks in its middle", "one line"),
        ("=begins-with-an-equals-sign", "one line"),
        ("ümlaut-ümlaut-ümlaut", "one line"),
        (b"\xff\xfe0123456789abcdef", "one line"),
        (b"0123456789abcdef\0", "one line"),
    ],
)
def test_what_is_no_token_is_refused_and_not_shown(
    tmp_path: Path, content: bytes | str, why: str
) -> None:
    with pytest.raises(ConfigError, match=why) as raised:
        read_token(written(tmp_path, content))
    assert str(raised.value).startswith(f'admin_token_file: "{tmp_path}/token": ')
    assert GOOD not in str(raised.value)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        read_token(str(tmp_path / "none"))
    with pytest.raises(ConfigError, match="no regular file"):
        read_token(str(tmp_path))
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(ConfigError, match="no regular file"):
        read_token(str(tmp_path / "pipe"))
