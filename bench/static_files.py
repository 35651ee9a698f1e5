"""The files that the rows of static files ask for."""

from __future__ import annotations

import random

from bench.paths import OUT

FOLDER = OUT / "static"
PREFIX = "/static"
CONTENTS = {
    "10k.bin": random.Random(10).randbytes(10 << 10),
    "10m.bin": random.Random(11).randbytes(10 << 20),
}
"""Of no coding that would make them smaller."""


def make() -> None:
    """Writes those that are not there."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, content in CONTENTS.items():
        path = FOLDER / name
        if not path.exists() or path.read_bytes() != content:
            path.write_bytes(content)
