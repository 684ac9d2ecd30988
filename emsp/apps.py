from django.apps import AppConfig


class EmspConfig(AppConfig):
    """The composition root is an app of its own: its commands and its home page are doors (decision 33)."""

    name = "emsp"

    def ready(self) -> None:
        from . import celery  # noqa: F401  tasks rung from here find their broker through the app
