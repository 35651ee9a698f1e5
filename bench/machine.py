"""What a result was measured on, so that two results can be told apart."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from bench import h2load, wrk
from bench.paths import ROOT


def about(command: str) -> dict[str, Any]:
    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "command": command,
        "commit": _commit(),
        "cpu": _field(Path("/proc/cpuinfo"), "model name") or platform.processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(_memory_gib(), 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "wrk": wrk.version(),
        "h2load": h2load.version(),
        "load_before": list(os.getloadavg()),
    }


def _field(path: Path, name: str) -> str:
    """The first value of a `name : value` line, or an empty string."""
    if path.exists():
        for line in path.read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() == name:
                return value.strip()
    return ""


def _memory_gib() -> float:
    words = _field(Path("/proc/meminfo"), "MemTotal").split()
    return int(words[0]) / (1 << 20) if words else 0.0


def _commit() -> str:
    """The commit measured, marked where files differ from it."""
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    return done.stdout.strip() or "none"
