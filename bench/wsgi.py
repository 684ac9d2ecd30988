"""The platform as it is served, and beside it a view that does nothing."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "emsp.settings")

from django.conf import settings

settings.ROOT_URLCONF = "bench.urls"

from emsp.wsgi import application  # noqa: E402, F401
