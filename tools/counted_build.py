"""What a count of instructions depends on, beside the sources: the interpreter, the libraries, and
how the native module was built.

A module does not say how it was built, but has an identifier, which the linker has given it and
which stays when it is stripped. The build folder that has a module with the same one was its own.
"""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from generate_options import ROOT

BUILDS = ("build/python/*", "build/*")
"""Below the root: of bootstrap.sh; and by hand, or of `python -m bench --compare`."""
BUILD_ID = re.compile(rb"\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0(.{20})", re.DOTALL)
TELL = """
import importlib.metadata, json, platform, sys, sysconfig
from prowingen_wsgi import _native
def version(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""
configured = sysconfig.get_config_var("CONFIG_ARGS") or ""
told = [w for w in ("enable-optimizations", "with-lto", "with-pydebug") if w in configured]
print(json.dumps({
    "module": _native.__file__,
    "engines": sorted(_native.engines()),
    "python": "{} {}.{}".format(platform.python_implementation(), *sys.version_info),
    "patch": platform.python_version(),
    "threading": "free" if sysconfig.get_config_var("Py_GIL_DISABLED") else "GIL",
    "interpreter": ", ".join([platform.python_compiler(), *told]),
    "machine": platform.machine(),
    "libc": " ".join(platform.libc_ver()),
    "packages": {name: version(name) for name in sys.argv[1:]},
}))
"""


class NotCounted(Exception):  # noqa: N818 -- no error: there is nothing to compare with here
    """Why what is here cannot be compared."""


@dataclass(frozen=True)
class Build:
    kind: str
    """CMake's build type."""
    compiler: str
    """By CMake's name, with the major version."""
    flags: str
    """All of it, for whoever reads the file."""


@dataclass(frozen=True)
class Here:
    """An interpreter with its module."""

    told: dict[str, Any]
    build: Build

    @property
    def engines(self) -> list[str]:
        return list(self.told["engines"])

    def terms(self, needs: tuple[str, ...]) -> dict[str, str]:
        """What has to be equal, so that two figures are of the same."""
        packages = {name: self.told["packages"].get(name, "") for name in needs}
        return {
            **{name: self.told[name] for name in ("python", "threading", "interpreter")},
            **{name: self.told[name] for name in ("machine", "libc")},
            "compiler": self.build.compiler,
            "build": self.build.kind,
            "engines": ", ".join(self.engines),
            **packages,
        }


def here(python: str, packages: tuple[str, ...]) -> Here:
    done = subprocess.run(
        [python, "-c", TELL, *packages], capture_output=True, text=True, check=False, cwd="/"
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no word why"])[-1]
        raise NotCounted(f"{python} has no prowingen_wsgi: {last}")
    told: dict[str, Any] = json.loads(done.stdout)
    return Here(told, build_of(Path(told["module"])))


def build_of(module: Path, root: Path = ROOT) -> Build:
    identifier = build_id(module)
    for pattern in BUILDS:
        for folder in sorted(root.glob(pattern)):
            if identifier and any(
                build_id(one) == identifier for one in folder.glob("_native*.so")
            ):
                return _told_by(folder)
    raise NotCounted(
        f"it is not known how {module.name} was built: none of this tree's build folders has it. "
        "`./bootstrap.sh build` makes the one that is counted"
    )


def build_id(module: Path) -> bytes:
    """Empty where the linker gave none."""
    found = BUILD_ID.search(module.read_bytes())
    return found[1] if found else b""


def _told_by(folder: Path) -> Build:
    cache = (folder / "CMakeCache.txt").read_text()

    def value(name: str) -> str:
        found = re.search(rf"^{name}:\w+=(.*)$", cache, re.MULTILINE)
        return found[1] if found else ""

    kind = value("CMAKE_BUILD_TYPE")
    flags = [value("CMAKE_CXX_FLAGS"), value(f"CMAKE_CXX_FLAGS_{kind.upper()}")]
    flags += ["with LTO"] if value("PROWINGEN_LTO") == "ON" else []
    if sanitizer := value("PROWINGEN_SANITIZE"):
        kind = f"{kind}, sanitized for {sanitizer}"
    compiler = version = ""
    for path in folder.glob("CMakeFiles/*/CMakeCXXCompiler.cmake"):
        text = path.read_text()
        compiler = _set(text, "CMAKE_CXX_COMPILER_ID")
        version = _set(text, "CMAKE_CXX_COMPILER_VERSION")
    words = " ".join(one for one in flags if one)
    return Build(
        kind, f"{compiler} {version.partition('.')[0]}", f"{kind}, {compiler} {version}, {words}"
    )


def _set(text: str, name: str) -> str:
    found = re.search(rf'^set\({name} "(.*)"\)$', text, re.MULTILINE)
    return found[1] if found else ""
