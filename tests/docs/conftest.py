"""What the documentation says, done. `--docs-blocks` runs the slow blocks too."""

from __future__ import annotations

import sys
from pathlib import Path

# As tests/conftest.py does for its own.
sys.path.insert(0, str(Path(__file__).parent))
