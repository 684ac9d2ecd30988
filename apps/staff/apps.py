from django.apps import AppConfig
from django.contrib.auth.signals import user_logged_in
from django.core import checks
from django.utils import timezone


class StaffConfig(AppConfig):
    name = "apps.staff"
    label = "staff"

    def ready(self) -> None:
        from .checks import second_factor_is_required

        checks.register(second_factor_is_required, checks.Tags.security, deploy=True)
        user_logged_in.connect(begin_session, dispatch_uid="staff")


def begin_session(request, **_signal) -> None:
    from . import sessions  # knows models, which are there once all apps are

    sessions.begin(request.session, timezone.now())
