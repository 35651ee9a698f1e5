"""The server as it was at a commit, and as it is here, each with a build of its own.

Both are built in one way, by one compiler with the flags of a release: what lies beside the sources
may have been built otherwise. A commit's is kept below `bench/out/revisions`, under a name that has
the commit and what else the build depends on, so that it is built once; the one of this tree is
brought up to date each time. Nothing of the repository changes: a commit's sources are a clone's.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from tempfile import mkdtemp

from bench.paths import OUT, ROOT, shown

REVISIONS = OUT / "revisions"
PACKAGE = "prowingen_wsgi"
PLACE = "import sys; print(*[path for path in sys.path if path], sep='\\n')"
ABI = "import sysconfig; print(sysconfig.get_config_var('SOABI'))"
ENGINES = f"from {PACKAGE} import _native; print(_native.__file__, *sorted(_native.engines()))"
SHOWN_LINES = 12
"""Of what a build that failed said."""


class RevisionError(ValueError):
    """A commit that there is not, or that makes no server. Says which, and why."""


@dataclass(frozen=True)
class Tree:
    """A package with its native module, and the interpreter that runs it."""

    name: str
    """In results: the commit's abbreviation, or `now`."""
    commit: str
    folder: Path
    python: str

    @property
    def start(self) -> list[str]:
        """The interpreter's words before `-m`. Without `site`, which would let an editable
        installation decide where the package is."""
        return [self.python, "-S"]

    @cached_property
    def environment(self) -> dict[str, str]:
        """The applications from here, and what is installed for the interpreter."""
        installed = _said([self.python, "-c", PLACE], cwd=OUT).splitlines()
        return {"PYTHONPATH": os.pathsep.join([str(ROOT), *installed])}

    @cached_property
    def engines(self) -> list[str]:
        module, *engines = self._tells([*self.start, "-c", ENGINES]).split()
        if not module.startswith(f"{self.folder}/"):
            raise RevisionError(f"{self.name}: imports {module} and not what was built for it")
        return engines

    @cached_property
    def options(self) -> frozenset[str]:
        """That its command line knows."""
        text = self._tells([*self.start, "-m", PACKAGE, "--help"])
        return frozenset(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", text))

    def _tells(self, command: list[str]) -> str:
        try:
            return _said(command, cwd=self.folder, environment=self.environment)
        except subprocess.CalledProcessError as error:
            last = (error.stderr.strip().splitlines() or ["no word why"])[-1]
            raise RevisionError(f"{self.name}: was built, but does not start: {last}") from None


def commit_of(revision: str, option: str = "--compare") -> str:
    """The whole name of a commit."""
    asked = [
        "git",
        "rev-parse",
        "--verify",
        "--quiet",
        "--end-of-options",
        f"{revision}^{{commit}}",
    ]
    try:
        return _said(asked, cwd=ROOT)
    except FileNotFoundError:
        raise RevisionError(f"{option}: git is not installed") from None
    except subprocess.CalledProcessError:
        raise RevisionError(
            f"{option}: {revision}: no such commit in this repository; give what "
            "`git log` or `git tag` names, and fetch it first if the clone is a shallow one"
        ) from None


def at(commit: str, python: str, engines: list[str]) -> Tree:
    """The server at a commit; built, if it has not been for these engines and this interpreter."""
    name = commit[:10]
    folder = REVISIONS / f"{name}-{_terms(python, engines)}"
    if not (folder / "built.json").exists():
        REVISIONS.mkdir(parents=True, exist_ok=True)
        work = Path(mkdtemp(prefix=f"{name}-", dir=REVISIONS))
        try:
            sources = work / "sources"
            _clone(commit, sources)
            _build(name, sources, work / "site", python, engines)
            shutil.rmtree(sources)
            written = {"commit": commit, "engines": engines}
            (work / "built.json").write_text(json.dumps(written) + "\n")
            shutil.rmtree(folder, ignore_errors=True)
            work.rename(folder)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return Tree(name, commit, folder / "site", python)


def here(commit: str, python: str, engines: list[str]) -> Tree:
    """The server of this tree, with what of it is not committed."""
    site = REVISIONS / f"now-{_terms(python, engines)}" / "site"
    _build("this tree", ROOT, site, python, engines)
    return Tree("now", commit, site, python)


def configuration(python: str, engines: list[str]) -> list[str]:
    """What CMake is told of either tree: the build that users install."""
    proxygen = "ON" if "proxygen" in engines else "OFF"
    return [
        *(["-G", "Ninja"] if shutil.which("ninja") else []),
        "-DCMAKE_BUILD_TYPE=Release",
        f"-DPROWINGEN_PROXYGEN={proxygen}",
        "-DPROWINGEN_BUILD_TESTS=OFF",
        f"-DPython_EXECUTABLE={python}",
    ]


def _terms(python: str, engines: list[str]) -> str:
    """What a build depends on, beside its sources."""
    compiler = os.environ.get("CXX", "c++")
    version = _said([compiler, "--version"], cwd=ROOT) if shutil.which(compiler) else ""
    words = [
        *(_said([python, "-c", ABI], cwd=OUT), python, compiler, version.partition("\n")[0]),
        *(os.environ.get(name, "") for name in ("CXXFLAGS", "LDFLAGS", "CMAKE_PREFIX_PATH")),
        *sorted(engines),
    ]
    return sha256("\0".join(words).encode()).hexdigest()[:8]


def _clone(commit: str, folder: Path) -> None:
    """One that borrows the repository's objects, and leaves nothing behind in it."""
    clone = ["git", "clone", "--quiet", "--shared", "--no-checkout", str(ROOT), str(folder)]
    out = ["git", "-c", "advice.detachedHead=false", "checkout", "--quiet", commit]
    try:
        _said(clone, cwd=ROOT)
        _said(out, cwd=folder)
    except subprocess.CalledProcessError as error:
        raise RevisionError(f"{commit[:10]}: no clone of it: {error.stderr.strip()}") from None


def _build(name: str, sources: Path, site: Path, python: str, engines: list[str]) -> None:
    if (
        not (sources / "CMakeLists.txt").exists()
        or not (sources / PACKAGE / "__main__.py").exists()
    ):
        raise RevisionError(f"{name}: there is no server in it yet: give a later commit")
    print(f"bench: building {name}, with {', '.join(engines)}", file=sys.stderr, flush=True)
    # In either tree at the same place: ccache, which is given paths from there, knows one's objects
    # in the other.
    build = sources / "build" / f"compare-{_terms(python, engines)}"
    build.mkdir(parents=True, exist_ok=True)
    log = OUT / "logs" / f"build-{name.replace(' ', '-')}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    configure = ["cmake", "-S", str(sources), "-B", str(build), *configuration(python, engines)]
    make = ["cmake", "--build", str(build), "--target", "_native"]
    make += ["--parallel", str(os.cpu_count() or 1)]
    with log.open("wb") as output:
        for command in (configure, make):
            try:
                done = subprocess.run(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    check=False,
                    cwd=sources,
                )
            except FileNotFoundError:
                raise RevisionError(f"{name}: cmake is not installed") from None
            if done.returncode:
                raise RevisionError(_why(name, log))
    _lay_out(sources / PACKAGE, build, site)


def _why(name: str, log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    last = "\n".join(f"    {line}" for line in lines[-SHOWN_LINES:])
    return f"{name}: it does not build here; the end of {shown([str(log)])}:\n{last}"


def _lay_out(package: Path, build: Path, site: Path) -> None:
    """The package with its module, where no module of another build lies."""
    modules = list(build.glob("_native*.so"))
    if len(modules) != 1:
        raise RevisionError(f"{package.parent.name}: its build made {len(modules)} native modules")
    shutil.rmtree(site, ignore_errors=True)
    left_out = shutil.ignore_patterns("*.so", "__pycache__")
    shutil.copytree(package, site / PACKAGE, ignore=left_out)
    shutil.copy2(modules[0], site / PACKAGE)


def _said(command: list[str], *, cwd: Path, environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=True,
        cwd=cwd,
        env=os.environ | {"COLUMNS": "200"} | (environment or {}),
    )
    return done.stdout.strip()
