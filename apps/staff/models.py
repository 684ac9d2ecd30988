from django.contrib.auth.models import AbstractUser
from django.db import models


class User(AbstractUser):
    """A person of the mobility provider who works in the admin."""


class FailedLogin(models.Model):
    """Passwords tried in vain at one account from one network (see logins.py)."""

    username = models.CharField(max_length=150)
    network = models.CharField(max_length=45, blank=True)
    tries = models.PositiveIntegerField(default=0)
    last_at = models.DateTimeField()
    locked_until = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["username", "network"], name="failed_login_once")]

    def __str__(self) -> str:
        return f"{self.username} from {self.network}"
