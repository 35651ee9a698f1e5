from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from prowingen_wsgi.configuration.config import ConfigError
from prowingen_wsgi.configuration.file import read_config_file

if TYPE_CHECKING:
    from pathlib import Path


def values(folder: Path, text: str, name: str = "prowingen.toml") -> dict[str, object]:
    (folder / name).write_text(text, encoding="utf-8")
    return {key: setting.value for key, setting in read_config_file(folder).layer.items()}


def test_without_a_file_nothing_is_set(tmp_path: Path) -> None:
    assert not read_config_file(tmp_path).layer


def test_values_are_tomls_own_or_a_command_lines_texts(tmp_path: Path) -> None:
    text = """
        threads = 16
        max_body = "10MiB"
        keep_alive_timeout = 2
        header_timeout = "500ms"
        date_header = false
        bind = ["127.0.0.1:8000", "unix:/run/app.sock"]
        workers = "auto"
        umask = "007"
    """
    assert values(tmp_path, text) == {
        "threads": 16,
        "max_body": 10 * 2**20,
        "keep_alive_timeout": 2.0,
        "header_timeout": 0.5,
        "date_header": False,
        "bind": ("127.0.0.1:8000", "unix:/run/app.sock"),
        "workers": "auto",
        "umask": 0o7,
    }


def test_the_file_can_name_the_application(tmp_path: Path) -> None:
    (tmp_path / "prowingen.toml").write_text('app = "hello:make"\nfactory = true\n')
    file = read_config_file(tmp_path)
    assert (file.app, file.factory, file.name) == ("hello:make", True, "prowingen.toml")


def test_a_project_file_can_hold_it(tmp_path: Path) -> None:
    text = '[project]\nname = "x"\n\n[tool.prowingen]\nthreads = 3\n'
    assert values(tmp_path, text, "pyproject.toml") == {"threads": 3}
    assert read_config_file(tmp_path).layer["threads"].source == "pyproject.toml"
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\n')
    assert not read_config_file(tmp_path).layer


def test_the_file_of_its_own_comes_first_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.prowingen]\nthreads = 3\n")
    (tmp_path / "prowingen.toml").write_text("threads = 4\n")
    file = read_config_file(tmp_path)
    assert file.layer["threads"].value == 4
    assert file.passed_over == "[tool.prowingen] in pyproject.toml"


def test_what_is_wrong_in_a_project_file_that_is_not_needed_is_not_ours(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("x = \n")
    with pytest.raises(ConfigError, match=r"^pyproject\.toml: this is not TOML: .* line 1"):
        read_config_file(tmp_path)
    assert values(tmp_path, "threads = 4") == {"threads": 4}


def test_another_file_can_be_named(tmp_path: Path) -> None:
    (tmp_path / "prowingen.toml").write_text("threads = 4\n")
    (tmp_path / "other.toml").write_text("threads = 5\n")
    assert read_config_file(tmp_path, "other.toml").layer["threads"].value == 5
    with pytest.raises(ConfigError, match=r'^--config: "none\.toml": there is no such file'):
        read_config_file(tmp_path, "none.toml", "--config")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "pyproject.toml").write_text("[tool.other]\n")
    with pytest.raises(ConfigError, match=r"there is no table \[tool.prowingen\]"):
        read_config_file(tmp_path, "sub/pyproject.toml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('threads = "many"', 'prowingen.toml: threads: "many": must be a whole number, 1–4096'),
        ("threads = 0", 'prowingen.toml: threads: "0": must be a whole number, 1–4096'),
        ("threads = true", 'prowingen.toml: threads: "True": must be a whole number'),
        ("date_header = 1", 'prowingen.toml: date_header: "1": must be on or off'),
        ('bind = ["localhost:99999"]', 'bind: "localhost:99999": port must be 0–65535'),
        ("bind = [8000]", "prowingen.toml: bind: the items of the list must be texts"),
        ("max-body = 1", 'no option is called "max-body"; did you mean "max_body"'),
        ("thread = 4", 'no option is called "thread"; did you mean "threads"'),
        (
            "[threads]\nn = 1",
            "prowingen.toml: threads: must be no table; options stand by themselves",
        ),
        ("[server]\nthreads = 1", "prowingen.toml: server: must be no table"),
        ("[[bind]]\nport = 1", "prowingen.toml: bind: must be no table"),
        ("[tool.prowingen]\nthreads = 1", "prowingen.toml: tool: must be no table"),
        ('user = "a\\nb"', 'prowingen.toml: user: "a\\nb": must be printable ASCII'),
        ("umask = 512", 'prowingen.toml: umask: "512": must be octal digits such as 022'),
        ("header_timeout = nan", 'prowingen.toml: header_timeout: "nan": must be a duration'),
        ("threads = 1979-05-27", 'prowingen.toml: threads: "1979-05-27": must be a whole number'),
        ("app = 3", "prowingen.toml: app: must be a text such as hello:app"),
        ('factory = "yes"', "prowingen.toml: factory: must be true or false"),
        ("threads = ", "prowingen.toml: this is not TOML: "),
        ("a b", "at line 1"),
    ],
)
def test_a_mistake_is_named_with_file_and_key(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        values(tmp_path, text)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)
