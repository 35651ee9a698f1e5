"""A wheel of the package as it is here, with the native module that is built: for this machine."""

from __future__ import annotations

import sys
import sysconfig
import zipfile
from pathlib import Path

import prowingen_wsgi
from prowingen_wsgi import _native

_VERSION = "0"
_STEM = f"prowingen_wsgi-{_VERSION}"


def tree_wheel(folder: Path) -> Path:
    tag = f"cp3{sys.version_info[1]}"
    platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    wheel = folder / f"{_STEM}-{tag}-{tag}-{platform}.whl"
    package = Path(prowingen_wsgi.__file__).parent
    native = Path(str(_native.__file__))
    files = {f"prowingen_wsgi/{native.name}": native}
    for path in package.rglob("*.py"):
        files[f"prowingen_wsgi/{path.relative_to(package)}"] = path
    about = {
        "METADATA": f"Metadata-Version: 2.1\nName: prowingen-wsgi\nVersion: {_VERSION}\n",
        "WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: {tag}-{tag}-{platform}\n",
        "entry_points.txt": "[console_scripts]\nprowingen = prowingen_wsgi.command.cli:main\n",
    }
    names = [*files, *(f"{_STEM}.dist-info/{name}" for name in about)]
    record = "".join(f"{name},,\n" for name in [*names, f"{_STEM}.dist-info/RECORD"])
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, path in files.items():
            archive.write(path, name)
        for name, text in {**about, "RECORD": record}.items():
            archive.writestr(f"{_STEM}.dist-info/{name}", text)
    return wheel
