"""What packages are made of agrees with the code: versions, options, units, and what is loaded."""

from __future__ import annotations

import os
import pty
import re
import select
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from prowingen_wsgi.command.cli import SUBCOMMANDS
from prowingen_wsgi.configuration.arguments import make_parser, parse_arguments
from prowingen_wsgi.configuration.config import OPTIONS
from prowingen_wsgi.configuration.file import read_config_file

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
PACKAGING = ROOT / "packaging"
FLAGS = sorted({flag for action in make_parser()._actions for flag in action.option_strings})


def text(*path: str) -> str:
    return ROOT.joinpath(*path).read_text(encoding="utf-8")


def made(tool: str, *arguments: str, out: Path) -> str:
    # -S: no installed packages.
    command = [sys.executable, "-S", "-B", str(ROOT / "tools" / tool), *arguments, str(out)]
    subprocess.run(command, check=True)
    return out.read_text(encoding="utf-8")


def project_version() -> str:
    found = re.search(r'^version = "(.+)"$', text("pyproject.toml"), re.MULTILINE)
    assert found
    return found[1]


# ---- versions


def test_the_packages_have_the_projects_version() -> None:
    version = project_version()
    assert text("packaging", "debian", "changelog").startswith(f"prowingen-wsgi ({version}-")
    spec = text("packaging", "rpm", "prowingen-wsgi.spec")
    assert re.search(rf"^Version:\s+{version}$", spec, re.MULTILINE)
    assert f"v{version}.tar.gz" in text("packaging", "homebrew", "prowingen-wsgi.rb")


# ---- what is generated


def test_the_manual_page_has_every_option(tmp_path: Path) -> None:
    page = made("manual_page.py", out=tmp_path / "prowingen.1")
    options = page.partition(".SH OPTIONS")[2].partition(".SH SUBCOMMANDS")[0]
    named = set(re.findall(r"\\fB(\S+?)\\fR", options))
    assert {flag.replace("-", "\\-") for flag in FLAGS} == named
    assert f"prowingen\\-wsgi {project_version()}" in page
    for command in SUBCOMMANDS:
        assert ".SS prowingen " + command.replace("-", "\\-") + "\n" in page


@pytest.mark.skipif(shutil.which("man") is None, reason="man is missing")
def test_the_manual_page_is_read_without_a_warning(tmp_path: Path) -> None:
    made("manual_page.py", out=tmp_path / "prowingen.1")
    read = subprocess.run(
        ["man", "--warnings", "--local-file", str(tmp_path / "prowingen.1")],
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "MANWIDTH": "90", "MANROFFSEQ": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert read.stderr == ""
    assert "--max-body SIZE" in read.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completions_have_every_option(shell: str, tmp_path: Path) -> None:
    script = made("completions.py", shell, out=tmp_path / shell)
    words = set(re.findall(r"(?<![\w-])--?[\w-]+", script))
    if shell == "fish":
        words = {f"--{name}" for name in re.findall(r" -l (\S+)", script)}
        words |= {f"-{name}" for name in re.findall(r" -s (\S+)", script)}
    assert set(FLAGS) <= words


BASH = """
source "$1"
shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_prowingen
printf '%s\\n' "${COMPREPLY[@]}"
"""


def completed(shell: str, script: Path, line: str) -> list[str]:
    """The words that the shell itself completes the line's last one to."""
    if shell == "bash":
        command = ["bash", "--norc", "-c", BASH, "bash", str(script), *line.split(" ")]
    else:
        command = ["fish", "--no-config", "-c"]
        command += [f"source {script}; complete --do-complete {shlex.quote(line)}"]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert run.stderr == ""
    return [each.partition("\t")[0] for each in run.stdout.split("\n") if each]


@pytest.mark.parametrize("shell", ["bash", "fish"])
def test_shells_complete(shell: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is missing")
    script = tmp_path / "prowingen"
    made("completions.py", shell, out=script)
    (tmp_path / "chain.pem").touch()
    assert completed(shell, script, "prowingen --max-rs") == ["--max-rss"]
    assert completed(shell, script, "prowingen hello:app --engine ") == [
        *("auto", "embedded", "proxygen")
    ]
    assert completed(shell, script, "prowingen dev-cert --re") == ["--renew"]
    assert completed(shell, script, "prowingen dev") == ["dev-cert"]
    path = completed(shell, script, f"prowingen --certfile {tmp_path}/ch")
    assert path == [f"{tmp_path}/chain.pem"]


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is missing")
@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("prowingen --max-rs", "--max-rss"),
        ("prowingen hello:app --engine prox", "--engine proxygen"),
        ("prowingen dev-cert --re", "--renew"),
        ("prowingen import-gunicorn --out", "--output"),
    ],
)
def test_zsh_completes(typed: str, shown: str, tmp_path: Path) -> None:
    """As at a terminal: zsh completes nowhere else."""
    made("completions.py", "zsh", out=tmp_path / "_prowingen")
    terminal, its_end = pty.openpty()
    shell = subprocess.Popen(
        ["zsh", "-f", "-i"],
        stdin=its_end,
        stdout=its_end,
        stderr=its_end,
        cwd=tmp_path,
        env={**os.environ, "TERM": "dumb", "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"},
        start_new_session=True,
    )
    os.close(its_end)
    try:
        os.write(
            terminal, b"fpath=($PWD $fpath); autoload -Uz compinit; compinit -u -D; echo up$?\n"
        )
        read_until(terminal, "up0")
        os.write(terminal, f"{typed}\t".encode())
        read_until(terminal, shown)
    finally:
        shell.kill()
        shell.wait()
        os.close(terminal)


def read_until(terminal: int, wanted: str) -> None:
    shown = ""
    while wanted not in shown:
        ready, _, _ = select.select([terminal], [], [], 20)
        assert ready, shown
        shown += os.read(terminal, 4096).decode(errors="replace").replace("\a", "")


# ---- units and the example


def test_the_units_name_options_that_there_are() -> None:
    unit = text("deploy", "prowingen@.service")
    (start,) = re.findall(r"^ExecStart=(.+)$", unit, re.MULTILINE)
    program, *words = shlex.split(start.replace("%i", "app"))
    assert program == "/usr/bin/prowingen"
    assert parse_arguments(words).config == "/etc/prowingen/app.toml"
    graceful = float(OPTIONS["graceful_timeout"].default)
    (stop,) = re.findall(r"^TimeoutStopSec=(\d+)$", unit, re.MULTILINE)
    assert float(stop) > graceful, "systemd would kill what still has time"


def test_the_example_is_a_configuration(tmp_path: Path) -> None:
    example = text("deploy", "example.toml")
    (tmp_path / "app.toml").write_text(example, encoding="utf-8")
    # Also with all that is a comment taken in.
    every = re.sub(r"^# (\w+ = )", r"\1", example, flags=re.MULTILINE)
    (tmp_path / "every.toml").write_text(every, encoding="utf-8")
    few = read_config_file(tmp_path, "app.toml")
    more = read_config_file(tmp_path, "every.toml")
    assert few.app == "hello:app"
    assert set(few.layer) < set(more.layer) <= set(OPTIONS)


def test_the_documentation_of_packages_names_options_that_there_are() -> None:
    page = text("docs", "packages.md")
    blocks = re.findall(r"^```toml\n(.+?)^```$", page, re.MULTILINE | re.DOTALL)
    keys = {key for block in blocks for key in re.findall(r"^(\w+) = ", block, re.MULTILINE)}
    assert keys
    assert keys <= {*OPTIONS, "app", "factory"}


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is missing")
def test_the_service_is_confined(tmp_path: Path) -> None:
    unit = tmp_path / "prowingen@app.service"
    shutil.copy(DEPLOY / "prowingen@.service", unit)
    # In tenths; 10.0 is a service without any confinement. Older ones cannot read files (250).
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=25", str(unit)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if "unrecognized option" in run.stderr:
        pytest.skip("this systemd-analyze reads no files")
    assert run.returncode == 0, run.stdout


# ---- an upgrade replaces files below a process that runs


def test_what_the_native_module_imports_is_loaded_when_it_serves() -> None:
    calls = 0
    wanted = set()
    for source in (ROOT / "cpp").rglob("*.cpp"):
        found = re.findall(r'PyImport_ImportModule\("([\w.]+)"\)', source.read_text("utf-8"))
        calls += len(found)
        wanted |= {name for name in found if name.startswith("prowingen_wsgi")}
    assert calls > len(wanted) > 0, "the code looks different from what this test reads"
    code = "import sys, prowingen_wsgi.command.serving; print(*sys.modules)"
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert wanted <= set(run.stdout.split())


# ---- scripts


@pytest.mark.parametrize("script", sorted((PACKAGING / "debian").glob("*.p*st*")), ids=str)
def test_maintainers_scripts_can_be_read_by_any_shell(script: Path) -> None:
    subprocess.run(["sh", "-n", str(script)], check=True)
