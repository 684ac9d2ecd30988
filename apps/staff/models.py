import pghistory
from django.contrib.auth.models import AbstractUser
from django.db import models


class User(AbstractUser):
    """A person of the mobility provider who works in the admin."""


@pghistory.track(pghistory.InsertEvent(), pghistory.DeleteEvent(), exclude=("secret", "last_step"))
class SecondFactor(models.Model):
    """What somebody proves besides a password: codes of an app on a telephone (see second_factor.py)."""

    user = models.OneToOneField(User, models.CASCADE, related_name="second_factor")
    secret = models.TextField(help_text="What codes are made from, sealed.")
    last_step = models.BigIntegerField(help_text="The newest code that was used, in steps of 30 s since 1970.")
    made_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"second factor of {self.user}"


class RecoveryCode(models.Model):
    """A code for the day the telephone is lost, of which only the digest is kept; the row goes with its use."""

    factor = models.ForeignKey(SecondFactor, models.CASCADE, related_name="recovery_codes", db_index=False)
    digest = models.CharField(max_length=64)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["factor", "digest"], name="recovery_code_once")]

    def __str__(self) -> str:
        return f"recovery code of {self.factor.user}"


class Tries(models.Model):
    """What was tried in vain from one network (see pauses.py)."""

    network = models.CharField(max_length=45, blank=True)
    tries = models.PositiveIntegerField(default=0)
    last_at = models.DateTimeField()
    locked_until = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True


class FailedLogin(Tries):
    """Passwords tried in vain at one account from one network (see logins.py)."""

    username = models.CharField(max_length=150)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["username", "network"], name="failed_login_once")]

    def __str__(self) -> str:
        return f"{self.username} from {self.network}"


class FailedCode(Tries):
    """Codes tried in vain by who knew the password of an account, from one network (see second_factor.py)."""

    user = models.ForeignKey(User, models.CASCADE, related_name="failed_codes", db_index=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "network"], name="failed_code_once")]

    def __str__(self) -> str:
        return f"{self.user} from {self.network}"
