"""Why the native module is not found, and what to do about it."""

from __future__ import annotations

import sysconfig
from importlib import import_module
from pathlib import Path

_NAME = "prowingen_wsgi._native"


def why_missing() -> str:
    """One line on what keeps the native module from being imported; empty if nothing does."""
    try:
        import_module(_NAME)
    except ImportError as error:
        return f"the native module cannot be loaded: {_reason(error)}"
    return ""


def _reason(error: ImportError) -> str:
    package = Path(__file__).parent
    root = package.parent
    if error.name != _NAME or not isinstance(error, ModuleNotFoundError):
        return str(error)
    built = sorted(path.name for path in package.glob("_native*.so"))
    if built:
        suffix = sysconfig.get_config_var("EXT_SUFFIX")
        return (
            f"what is in {package} is built for another Python: {', '.join(built)}, where this one "
            f"needs _native{suffix}; install the package with this interpreter's pip"
        )
    if (root / "bootstrap.sh").exists():
        return (
            f"it is not built in the source tree {root}, which the package is run from; start with "
            "./bootstrap.sh serve, or build with ./bootstrap.sh build and use .venv/bin/python; a "
            "package that is installed for this interpreter is found from any other directory"
        )
    return f"there is none in {package}; install the package with pip"
