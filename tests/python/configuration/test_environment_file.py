from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from prowingen_wsgi.configuration.config import ConfigError
from prowingen_wsgi.configuration.environment_file import read_env_file

if TYPE_CHECKING:
    from pathlib import Path


def variables(folder: Path, content: str | bytes, **environ: str) -> dict[str, str]:
    data = content.encode() if isinstance(content, str) else content
    (folder / ".env").write_bytes(data)
    return read_env_file(folder / ".env", ".env", environ)


def test_the_usual_forms_are_read(tmp_path: Path) -> None:
    text = """
        # a comment
        PLAIN=value # and why
        export QUOTED='a b'
        LINES="one
two"
        EMPTY=
        ALONE
    """
    assert variables(tmp_path, text) == {
        "PLAIN": "value",
        "QUOTED": "a b",
        "LINES": "one\ntwo",
        "EMPTY": "",
    }


def test_what_the_environment_has_stays(tmp_path: Path) -> None:
    assert variables(tmp_path, "A=file\nB=file\n", A="environment") == {"B": "file"}


def test_values_refer_to_variables_that_are_in_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OF_THE_PROCESS", "seen")
    text = "A=file\nNAME=x\nB=${A} ${NAME} ${NONE:-else}${NONE}${OF_THE_PROCESS}\n"
    found = variables(tmp_path, text, A="environment")
    assert found == {"NAME": "x", "B": "environment x else"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("A=1\n\nthis is nothing\n", 'env_file: ".env": line 3: must be NAME=value'),
        ("= 1\n", 'env_file: ".env": line 1: must be NAME=value'),
        ("A='unclosed\n", 'env_file: ".env": line 1: must be NAME=value'),
        ("A=x\0y\n", 'env_file: ".env": line 1: must be NAME=value'),
        ("PROWINGEN_CONFIG=x\n", "line 1: PROWINGEN_CONFIG has no effect here"),
        ("PROWINGEN_ENV_FILE=x\n", "line 1: PROWINGEN_ENV_FILE has no effect here"),
        (b"A=\xe9\n", 'env_file: ".env": it cannot be read: '),
    ],
)
def test_a_mistake_is_named_with_its_line(
    tmp_path: Path, content: str | bytes, message: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        variables(tmp_path, content)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r'env_file: "x\.env": there is no such file'):
        read_env_file(tmp_path / "x.env", "x.env", {})
    with pytest.raises(ConfigError, match=r'env_file: "folder": it cannot be read: Is a dir'):
        read_env_file(tmp_path, "folder", {})


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("dotenv", "dotenv.parser"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigError, match=r"pip install 'prowingen-wsgi\[env-file\]'"):
        variables(tmp_path, "A=1\n")
