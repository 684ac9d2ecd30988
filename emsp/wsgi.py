import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "emsp.settings")
os.environ.setdefault("STATEMENT_TIMEOUT_S", "5")

application = get_wsgi_application()
