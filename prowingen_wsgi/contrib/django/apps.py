"""The app's configuration."""

from __future__ import annotations

from django.apps import AppConfig
from django.core.management import get_commands

from prowingen_wsgi.contrib import is_server_chosen


class ProwingenConfig(AppConfig):  # type: ignore[misc]
    name = "prowingen_wsgi.contrib.django"
    label = "prowingen_wsgi"
    verbose_name = "prowingen-wsgi"

    def ready(self) -> None:
        """Puts this app's `runserver` before staticfiles', wherever INSTALLED_APPS names the two.

        The first app that has a command provides it; this one's serves static files just as well.
        A `runserver` of any other app that comes first was put there with intent, and stays.
        """
        commands = get_commands()  # one dictionary for the whole process
        if is_server_chosen() and commands["runserver"] == "django.contrib.staticfiles":
            commands["runserver"] = self.name
