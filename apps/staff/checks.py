"""What `check --deploy` says of how people sign in."""

from django.conf import settings
from django.core.checks import Warning  # noqa: A004  Django's name for it

WITHOUT_SECOND_FACTOR = Warning(
    "SECOND_FACTOR_REQUIRED is off: whoever knows a password is in the back office.",
    hint="Leave it on, unless nobody outside a closed network reaches /admin/.",
    id="staff.W001",
)


def second_factor_is_required(app_configs, **_options) -> list[Warning]:
    return [] if settings.SECOND_FACTOR_REQUIRED else [WITHOUT_SECOND_FACTOR]
