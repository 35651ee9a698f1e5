"""What is to be served, as one reading of the configuration says."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed.wsgi import WSGIApplication

    from ..configuration.config import Config


class Program(NamedTuple):
    """load: loads the application, in the process that needs it; raises what `Target.load` does."""

    config: Config
    load: Callable[[], WSGIApplication]
