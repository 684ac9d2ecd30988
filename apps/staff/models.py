from django.contrib.auth.models import AbstractUser


class User(AbstractUser):
    """A person of the mobility provider who works in the admin."""
