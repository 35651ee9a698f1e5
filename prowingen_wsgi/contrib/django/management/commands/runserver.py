"""`manage.py runserver`: Django's own, unless PROWINGEN_SERVER names a server.

Django asks the module for `Command` each time it needs one.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.core.management import find_commands

from prowingen_wsgi.contrib import is_server_chosen

if TYPE_CHECKING:
    from collections.abc import Iterator

_COMMANDS = "management.commands.runserver"
_THIS = "prowingen_wsgi.contrib.django"


def __getattr__(name: str) -> Any:
    if name != "Command":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if is_server_chosen():
        from prowingen_wsgi.contrib.django.serving import Command

        return Command
    return import_module(f"{next(_other_providers())}.{_COMMANDS}").Command


def _other_providers() -> Iterator[str]:
    """Apps with a `runserver`, in the order in which Django prefers them, without this one."""
    for config in apps.get_app_configs():
        if config.name != _THIS and "runserver" in find_commands(f"{config.path}/management"):
            yield config.name
    yield "django.core"
