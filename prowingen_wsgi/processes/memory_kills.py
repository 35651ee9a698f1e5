"""Whether the kernel has killed processes because memory ran out, which an exit status alone does
not tell from anybody's SIGKILL."""

from __future__ import annotations

import re
from pathlib import Path

_VMSTAT = Path("/proc/vmstat")


class MemoryKills:
    """Compares the kernel's count of such kills with what it was the last time; Linux has one."""

    def __init__(self) -> None:
        self._seen = _count()

    def have_grown(self) -> bool:
        seen, self._seen = self._seen, _count()
        return self._seen > seen


def _count() -> int:
    try:
        found = re.search(r"^oom_kill (\d+)$", _VMSTAT.read_text(encoding="ascii"), re.MULTILINE)
    except OSError:
        return 0
    return int(found[1]) if found else 0
