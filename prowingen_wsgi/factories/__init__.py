"""Server factories: which server runs an application is its user's to say.

selection   names, in PROWINGEN_SERVER or an argument, and what they lead to
wsgi        this package's server as a factory: the one called "wsgi"
mounts      an application mounted below paths
"""

from __future__ import annotations

from .selection import *  # noqa: F403 - what is public there is public here
from .selection import __all__ as __all__
