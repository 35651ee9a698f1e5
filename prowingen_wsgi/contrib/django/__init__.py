"""A Django app, to be named in INSTALLED_APPS, with the commands `runserver` and `prowingen`."""
