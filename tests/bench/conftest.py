"""The pure parts of the benchmark: no server, no network."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
if str(HERE) not in sys.path:
    sys.path.insert(0, str(HERE))
# At the end: the repository's root must not hide an installed prowingen_wsgi.
if str(ROOT) not in sys.path:
    sys.path.append(str(ROOT))
