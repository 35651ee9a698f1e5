"""Frameworks' own commands on the server that PROWINGEN_SERVER names.

What a framework loads to find its commands is here and imports next to nothing; what serves is
imported when a server is about to start.
"""

from __future__ import annotations

import os


def is_server_chosen() -> bool:
    """Whether the user named a server factory: else every command is the framework's own."""
    # factories.VARIABLE, whose import costs more than all of a framework's look at its commands.
    return bool(os.environ.get("PROWINGEN_SERVER"))
