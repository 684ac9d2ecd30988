from django.contrib.auth.backends import ModelBackend

from .models import User


class Backend(ModelBackend):
    """Django's own; the second factor comes along with its person, since every page of the back office asks for it."""

    def get_user(self, user_id):
        user = User.objects.select_related("second_factor").filter(pk=user_id).first()
        return user if user is not None and self.user_can_authenticate(user) else None
