from django.apps import AppConfig
from django.contrib.auth.signals import user_logged_in
from django.core.checks import Tags, register


class StaffConfig(AppConfig):
    name = "apps.staff"
    label = "staff"

    def ready(self) -> None:
        from .checks import second_factor_is_required
        from .middleware import begin_session  # knows models, which are there once all apps are

        register(second_factor_is_required, Tags.security, deploy=True)
        user_logged_in.connect(begin_session, dispatch_uid="staff")
