"""What a wheel holds, and what it needs of the machine."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import platform
import re
import subprocess
import zipfile
from email.parser import HeaderParser
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from harness.installed import Installed

MIB = 1024 * 1024
# Words of each licence, by the files whose presence calls for it; "" is compiled into every wheel.
LICENSES = {
    "libssl": ("openssl", "Apache License"),
    "libcrypto": ("openssl", "Apache License"),
    "libnghttp2": ("nghttp2", "Permission is hereby granted"),
    "libz": ("zlib", "freely"),
    "libbrotlienc": ("brotli", "Permission is hereby granted"),
    "libbrotlicommon": ("brotli", "Permission is hereby granted"),
    "libzstd": ("libzstd", "Redistribution and use in source and binary forms"),
    "libdeflate": ("libdeflate", "Permission is hereby granted"),
    "": ("boost", "Boost Software License - Version 1.0"),
    " ": ("pybind11", "Redistribution and use in source and binary forms"),
}
linux = pytest.mark.skipif(platform.system() != "Linux", reason="reads what Linux has")


def read(wheel: Path, pattern: str) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {
            name: archive.read(name)
            for name in archive.namelist()
            if re.search(pattern, name) and not name.endswith("/")
        }


def libraries(wheel: Path) -> set[str]:
    names = read(wheel, r"(prowingen_wsgi\.libs|\.dylibs)/")
    return {name.rpartition("/")[2] for name in names}


def test_it_is_small(wheel: Path) -> None:
    assert wheel.stat().st_size < 8 * MIB


@linux
def test_its_name_says_which_systems_it_runs_on(wheel: Path) -> None:
    assert re.search(r"-(manylinux_2_\d+_\w+)(\.manylinux\w+)*\.whl$", wheel.name)


def test_every_file_is_as_recorded(wheel: Path) -> None:
    files = read(wheel, ".")
    (record,) = (name for name in files if name.endswith(".dist-info/RECORD"))
    rows = list(csv.reader(io.StringIO(files.pop(record).decode())))
    recorded = {name: digest for name, digest, _ in rows if name != record}
    assert recorded == {
        name: "sha256="
        + base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        for name, content in files.items()
    }


def test_what_it_is_linked_with_travels_inside(wheel: Path) -> None:
    names = libraries(wheel)
    for library in ("libssl", "libcrypto", "libnghttp2", "libbrotlienc", "libzstd"):
        assert any(name.startswith(library) for name in names), names


def test_the_licence_of_all_that_is_in_it_is_too(wheel: Path) -> None:
    ((_, metadata),) = read(wheel, r"\.dist-info/METADATA$").items()
    fields = HeaderParser().parsestr(metadata.decode())
    named = set(fields.get_all("License-File", []))
    files = {
        name.partition("/licenses/")[2]: content.decode()
        for name, content in read(wheel, r"\.dist-info/licenses/").items()
    }
    assert named == set(files)
    assert "LICENSE" in files
    needed = {""} | {" "} | {re.split(r"[-.]", name)[0] for name in libraries(wheel)}
    for library in needed:
        assert library in LICENSES, f"{library}: which licence does it need?"
        project, words = LICENSES[library]
        texts = [text for name, text in files.items() if name.startswith(f"bundled/{project}/")]
        assert any(words in text for text in texts), f"{project}: {sorted(files)}"
    assert fields["License-Expression"].startswith("BSD-3-Clause AND Apache-2.0")


@linux
def test_the_native_module_shows_nothing_but_its_initialisation(installed: Installed) -> None:
    (module,) = installed.package.glob("_native*.so")
    shown = subprocess.run(
        ["nm", "--dynamic", "--defined-only", "--format=just-symbols", module],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert shown == ["PyInit__native"]


@linux
def test_nothing_but_the_c_libraries_and_zlib_is_taken_from_the_system(
    installed: Installed,
) -> None:
    (module,) = installed.package.glob("_native*.so")
    loaded = subprocess.run(["ldd", module], capture_output=True, text=True, check=True).stdout
    of_the_system = {
        line.split()[0].rpartition("/")[2]
        for line in loaded.splitlines()
        if "/prowingen_wsgi.libs/" not in line
    }
    kept = re.compile(r"linux-vdso|ld-linux|lib(c|m|z|pthread|dl|stdc\+\+|gcc_s)\.so")
    assert {name for name in of_the_system if not kept.match(name)} == set()
