"""Keeps of a corpus what reaches the most: minimise.py PROGRAM KEPT FOLDER...

Files are taken one after another, each time the one that reaches the most code for its size that
none before it has, until MOST are there. They replace those in KEPT but for the ones whose names
begin with `fault_`: what has once broken a target stays.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

MOST = 40


def coverage(program: str, folders: list[Path]) -> dict[Path, set[int]]:
    """What of the code each file reaches, as libFuzzer writes it down for a merge."""
    with tempfile.TemporaryDirectory() as scratch:
        control, merged = Path(scratch, "control"), Path(scratch, "merged")
        merged.mkdir()
        words = ["-merge=1", "-use_counters=0", f"-merge_control_file={control}", str(merged)]
        subprocess.run([program, *words, *map(str, folders)], check=True, capture_output=True)
        lines = control.read_text().splitlines()
    count = int(lines[0])
    files = [Path(line) for line in lines[2 : 2 + count]]
    reached: dict[Path, set[int]] = {}
    for line in lines[2 + count :]:
        kind, number, *features = line.split()
        if kind == "FT":
            reached[files[int(number)]] = {int(feature) for feature in features}
    return reached


def choose(reached: dict[Path, set[int]]) -> list[Path]:
    sizes = {path: 20_000 + path.stat().st_size for path in reached}
    left: set[int] = set().union(*reached.values())
    chosen: list[Path] = []
    while left and len(chosen) < MOST:
        best = max(reached, key=lambda path: len(reached[path] & left) / sizes[path])
        chosen.append(best)
        left -= reached[best]
    return chosen


def main(program: str, kept: Path, folders: list[Path]) -> None:
    chosen = [(path.name, path.read_bytes()) for path in choose(coverage(program, folders))]
    for path in kept.iterdir():
        if not path.name.startswith("fault_"):
            path.unlink()
    for name, content in chosen:
        (kept / name).write_bytes(content)
    print(f"{kept}: {len(chosen)} files, {sum(len(content) for _, content in chosen)} bytes")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), [Path(folder) for folder in sys.argv[2:]])
