from django.apps import AppConfig
from django.db.models.signals import post_migrate


class EmspConfig(AppConfig):
    """The composition root is an app of its own: its commands and its home page are doors (decision 33)."""

    name = "emsp"

    def ready(self) -> None:
        from . import celery  # noqa: F401  tasks rung from here find their broker through the app
        from .audit import tables  # not at the top: it looks at models

        post_migrate.connect(tables.guard, sender=self)
