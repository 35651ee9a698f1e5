"""One command per job: see the README's table, or `nox --list`.

Each is the same script that bootstrap.sh and CI run, in the same .venv, so that no job passes in
one place and fails in another. bootstrap.sh makes what is missing and skips what is there.
"""

from __future__ import annotations

from pathlib import Path

import nox

nox.needs_version = ">=2024.4"
nox.options.default_venv_backend = "none"
nox.options.sessions = ["lint", "cpp", "tests"]

PYTHON = ".venv/bin/python"


def set_up(session: nox.Session) -> None:
    session.run("./bootstrap.sh", "build", "--dev", external=True)


@nox.session
def lint(session: nox.Session) -> None:
    """Reads the code: ruff, mypy, stubtest, clang-format, clang-tidy. `-- --fix` repairs first."""
    set_up(session)
    session.run("scripts/lint.sh", *session.posargs, external=True)


@nox.session
def tests(session: nox.Session) -> None:
    """The Python tests; what follows `--` goes to pytest."""
    set_up(session)
    session.run(PYTHON, "-m", "pytest", *session.posargs, external=True)


@nox.session
def cpp(session: nox.Session) -> None:
    """The C++ unit tests; `-- release` builds them with that preset."""
    set_up(session)
    session.run("scripts/cpp_tests.sh", *session.posargs, external=True)


@nox.session
def interpreters(session: nox.Session) -> None:
    """Installs and smoke-tests the package on every other Python on this machine."""
    set_up(session)
    session.run("scripts/interpreters.sh", external=True)


@nox.session
def wheels(session: nox.Session) -> None:
    """The source distribution and wheels, in dist/, and their tests; `-- 3.13` for one Python."""
    set_up(session)
    session.run("scripts/wheels.sh", *session.posargs, external=True)
    session.run(PYTHON, "-m", "pytest", "--wheels", "dist", "tests/wheels", external=True)


@nox.session
def wheels_in_debian(session: nox.Session) -> None:
    """Tries dist/ in fresh Debian systems; as root. `-- trixie` for one release."""
    set_up(session)
    session.run("scripts/wheels_in_debian.sh", *session.posargs, external=True)


@nox.session
def asan(session: nox.Session) -> None:
    """All tests under AddressSanitizer and UndefinedBehaviorSanitizer."""
    set_up(session)
    session.run("scripts/sanitized.sh", "asan", *session.posargs, external=True)


@nox.session
def tsan(session: nox.Session) -> None:
    """All tests under ThreadSanitizer."""
    set_up(session)
    session.run("scripts/sanitized.sh", "tsan", *session.posargs, external=True)


@nox.session
def fuzz(session: nox.Session) -> None:
    """libFuzzer against what strangers send; `-- --seconds 600` for each target."""
    set_up(session)
    session.run("scripts/fuzz.sh", *session.posargs, external=True)


@nox.session
def reloads(session: nox.Session) -> None:
    """Counts what bursts of reloads lose, for some 20 minutes; `-- --bursts 5` for fewer."""
    set_up(session)
    session.run(PYTHON, "tests/reloads.py", *session.posargs, external=True)


@nox.session
def floods(session: nox.Session) -> None:
    """What floods of HTTP/2 cost other clients and the server's memory; needs wrk."""
    set_up(session)
    session.run(PYTHON, "tests/floods.py", *session.posargs, external=True)


@nox.session
def http3(session: nox.Session) -> None:
    """Moves 100 MiB each way over HTTP/3, also where datagrams are lost: some minutes."""
    set_up(session)
    session.run(PYTHON, "tests/http3_transfers.py", *session.posargs, external=True)


@nox.session
def fleet(session: nox.Session) -> None:
    """Three hosts behind HAProxy that come and go, and what is in deploy/; as root."""
    set_up(session)
    project = nox.project.load_toml("pyproject.toml")["project"]
    needed = project["optional-dependencies"]["fleet"]
    session.run(PYTHON, "-m", "pip", "install", "--quiet", *needed, external=True)
    session.run(PYTHON, "-m", "pytest", "--fleet", "tests/fleet", *session.posargs, external=True)


@nox.session
def statsd(session: nox.Session) -> None:
    """Daemons of statsd that others have written read what is pushed; needs node and npm."""
    set_up(session)
    daemons = Path("build/statsd").resolve()
    session.run(
        *("npm", "install", "--prefix", str(daemons), "--omit=optional", "statsd@0.9.0"),
        external=True,
    )
    target = str(daemons / "python")
    session.run(
        *(PYTHON, "-m", "pip", "install", "--quiet", "--no-deps", "--target", target),
        *("netuitive-statsd==0.4.0", "netuitive", "configobj"),
        external=True,
    )
    session.run(
        *(PYTHON, "-m", "pytest", "tests/engines/test_statsd_daemons.py", *session.posargs),
        env={"PROWINGEN_STATSD_DAEMONS": str(daemons)},
        external=True,
    )


@nox.session
def debs(session: nox.Session) -> None:
    """Builds the Debian packages into dist/debs; on Debian."""
    session.run("scripts/debs.sh", *session.posargs, external=True)


@nox.session(name="debs-test")
def debs_test(session: nox.Session) -> None:
    """Installs and upgrades the packages in a Debian of their own; as root, in some 10 minutes."""
    set_up(session)
    session.run("scripts/debs.sh", "--next", "dist/debs", external=True)
    session.run(PYTHON, "tests/packages.py", "dist/debs", *session.posargs, external=True)


@nox.session
def rpm(session: nox.Session) -> None:
    """Builds the RPMs into dist/rpm."""
    session.run("scripts/rpm.sh", *session.posargs, external=True)


@nox.session(name="for-macos")
def for_macos(session: nox.Session) -> None:
    """Reads the sources as a compiler for macOS does, on any system; what follows `--` alone."""
    set_up(session)
    session.run("scripts/for_macos.sh", *session.posargs, external=True)


@nox.session
def workflows(session: nox.Session) -> None:
    """Holds the workflows to their schema, and cibuildwheel's configuration to cibuildwheel."""
    set_up(session)
    tools = Path("build/workflows")
    session.run(PYTHON, "-m", "venv", str(tools), external=True)
    python = str(tools / "bin/python")
    needed = ["check-jsonschema", "cibuildwheel"]
    session.run(python, "-m", "pip", "install", "--quiet", *needed, external=True)
    files = sorted(map(str, Path(".github/workflows").glob("*.yml")))
    schema = ["--builtin-schema", "vendor.github-workflows"]
    session.run(python, "-m", "check_jsonschema", *schema, *files, external=True)
    for platform in ("linux", "macos"):
        identify = ["--print-build-identifiers", "--platform", platform]
        session.run(python, "-m", "cibuildwheel", *identify, external=True)


@nox.session
def bench(session: nox.Session) -> None:
    """This server and its peers side by side; what follows `--` goes to `python -m bench`."""
    set_up(session)
    session.run(PYTHON, "-m", "bench", *session.posargs, external=True)


@nox.session
def instructions(session: nox.Session) -> None:
    """What operations' features cost a request, in instructions; needs valgrind, some minutes."""
    set_up(session)
    session.run(PYTHON, "tools/instructions.py", *session.posargs, external=True)


@nox.session(name="instructions-check")
def instructions_check(session: nox.Session) -> None:
    """Fails if a request costs over 3 % more instructions than is kept; a part of `test`."""
    set_up(session)
    session.run(PYTHON, "tools/instructions.py", "--check", *session.posargs, external=True)


@nox.session
def compare(session: nox.Session) -> None:
    """Builds HEAD twice and compares it with itself, of which nothing may come; needs wrk."""
    set_up(session)
    session.run(
        *(PYTHON, "-m", "pytest", "tests/bench/test_bench_compare_head.py", *session.posargs),
        env={"PROWINGEN_COMPARE_HEAD": "1"},
        external=True,
    )


@nox.session
def docs(session: nox.Session) -> None:
    """Writes the pages that are made from the code."""
    set_up(session)
    session.run(PYTHON, "tools/generate_options.py", "docs/configuration.md", external=True)
    session.run(PYTHON, "tools/generate_migrations.py", external=True)
    session.run(PYTHON, "tools/state_diagrams.py", "docs", external=True)


@nox.session
def site(session: nox.Session) -> None:
    """Builds the documentation's site into build/site, checks its words, and looks at its pages."""
    set_up(session)
    project = nox.project.load_toml("pyproject.toml")["project"]
    needed = project["optional-dependencies"]["docs"]
    session.run(PYTHON, "-m", "pip", "install", "--quiet", *needed, external=True)
    pages = ["README.md", "bench/README.md", "docs"]
    words = ["--ignore-words", "docs/words.txt", "--skip", "*.svg,*.png"]
    session.run(PYTHON, "-m", "codespell_lib", *words, *pages, external=True)
    strictly = ["--fail-on-warning", "--keep-going", "--fresh-env", "--quiet"]
    session.run(PYTHON, "-m", "sphinx", *strictly, "docs", "build/site", external=True)
    session.run(PYTHON, "tools/look_at_site.py", "build/site", external=True)


@nox.session(name="docs-blocks")
def docs_blocks(session: nox.Session) -> None:
    """Runs every block of the documentation, the slow ones too."""
    set_up(session)
    # A slow block builds the server: no traceback is wanted of who waits for that.
    patience = ["-o", "faulthandler_timeout=4000"]
    arguments = ["--docs-blocks", *patience, "tests/docs", *session.posargs]
    session.run(PYTHON, "-m", "pytest", *arguments, external=True)
