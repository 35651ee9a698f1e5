"""The application of a project whose settings name none: Django's default."""

from django.core.wsgi import get_wsgi_application

application = get_wsgi_application()
