"""The pure parts of the benchmark: no server, no network."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
# At the end: the repository's root must not hide an installed prowingen_wsgi.
if str(ROOT) not in sys.path:
    sys.path.append(str(ROOT))
