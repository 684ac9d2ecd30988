"""A second factor besides the password: codes of six digits by time, and recovery codes (TOTP, RFC 6238; trust S46).

The secret is sealed for its person, of recovery codes only digests are kept, and whatever opened once opens never again.
Wrong codes are counted by person and network. Whoever gets to try them knows the password: so many in a day, from wherever,
are a reason to take recovery codes alone, which nobody can guess and no pause therefore keeps out.
"""

import hashlib
import logging
import secrets
from base64 import b32decode, b32encode
from datetime import datetime, timedelta

import segno
from cryptography.hazmat.primitives import constant_time
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from django.db import transaction
from django.db.models import Sum

from apps import sealing
from apps.pace import network_of

from . import pauses
from .models import FailedCode, RecoveryCode, SecondFactor, User

log = logging.getLogger(__name__)

STEP_S, DIGITS = 30, 6
"""What every app can do; most can do nothing else."""
DRIFT = 1
"""Steps by which the clock of a telephone may be wrong."""
SECRET_BYTES = 20
RECOVERY_CODES = 10
RECOVERY_BYTES = 10
MOST_IN_A_DAY = 100
"""Wrong codes for one person: one in three hundred thousand is right by chance."""


class WrongCode(Exception):
    """Neither a code of this moment nor a recovery code that is left, or one that was used."""


class NotTaken(Exception):
    """A code was not even looked at; says why, and what helps."""


def of(user: User) -> SecondFactor | None:
    return getattr(user, "second_factor", None)


def place_of_secret(user: User) -> str:
    """What the sealed secret is bound to (trust S3)."""
    return sealing.place(user, "second_factor")


def draft(user: User) -> str:
    """A new secret, sealed; nothing is asked of anybody before `confirm`."""
    return sealing.seal(b32encode(secrets.token_bytes(SECRET_BYTES)).decode(), place_of_secret(user))


def spell(user: User, sealed: str) -> str:
    """The secret as people type it into an app: groups of four letters and digits."""
    return _grouped(sealing.unseal(sealed, place_of_secret(user)), " ")


def address(user: User, sealed: str, issuer: str) -> str:
    """The secret as apps take it (otpauth://)."""
    return _totp(user, sealed).get_provisioning_uri(user.get_username(), issuer)


def picture(user: User, sealed: str, issuer: str) -> str:
    """The same as a QR code, black on white whatever the page's colours: an SVG as a data URI."""
    return segno.make(address(user, sealed, issuer)).svg_data_uri(scale=4, light="#fff")


@transaction.atomic
def confirm(user: User, sealed: str, code: str, now: datetime) -> tuple[SecondFactor, list[str]]:
    """Make a draft the person's factor, in place of any before, once its app shows the right code; and ten recovery codes,
    which cannot be read again. WrongCode if the code is another."""
    User.objects.select_for_update().get(pk=user.pk)
    step = _step_of(user, sealed, code, now)
    if step is None:
        raise WrongCode
    SecondFactor.objects.filter(user=user).delete()
    factor = SecondFactor.objects.create(user=user, secret=sealed, last_step=step, made_at=now)
    log.info("user %s has a new second factor", user.pk)
    return factor, renew_recovery_codes(factor)


@transaction.atomic
def renew_recovery_codes(factor: SecondFactor) -> list[str]:
    """Ten new ones; those before are dead."""
    codes = [b32encode(secrets.token_bytes(RECOVERY_BYTES)).decode() for _ in range(RECOVERY_CODES)]
    factor.recovery_codes.all().delete()
    RecoveryCode.objects.bulk_create(RecoveryCode(factor=factor, digest=_digest(code)) for code in codes)
    return [_grouped(code, "-") for code in codes]


def prove(factor: SecondFactor, code: str, origin: str, now: datetime) -> None:
    """Take a code of the app or a recovery code. WrongCode, or NotTaken where it is not even looked at."""
    if _spend(factor, code):
        log.warning("user %s used a recovery code", factor.user_id)
        return
    key = {"user": factor.user, "network": network_of(origin)}
    if wait := pauses.admit(FailedCode, now, **key):
        raise NotTaken(pauses.in_words(wait))
    if _tried_today(factor, now) > MOST_IN_A_DAY:
        log.error("user %s: codes are guessed, so the password is known to others", factor.user_id)
        raise NotTaken("Too many wrong codes today: somebody knows your password. Use a recovery code, and change it.")
    try:
        is_right = _use(factor, code, now)
    except sealing.Unreadable as error:
        log.error("user %s: %s", factor.user_id, error)  # noqa: TRY400  there is nothing in a traceback
        raise NotTaken("Codes of the app cannot be checked here any more. Use a recovery code.") from error
    if not is_right:
        raise WrongCode
    FailedCode.objects.filter(**key).delete()


@transaction.atomic
def take_away(user: User) -> bool:
    """Leave the person with a password alone, and their sessions ended; whether there was a factor."""
    FailedCode.objects.filter(user=user).delete()
    count, _ = SecondFactor.objects.filter(user=user).delete()
    log.warning("the second factor of user %s was taken away", user.pk)
    return bool(count)


def _tried_today(factor: SecondFactor, now: datetime) -> int:
    today = FailedCode.objects.filter(user_id=factor.user_id, last_at__gt=now - timedelta(days=1))
    return today.aggregate(tries=Sum("tries", default=0))["tries"]


def _spend(factor: SecondFactor, code: str) -> bool:
    return bool(factor.recovery_codes.filter(digest=_digest(code)).delete()[0])


@transaction.atomic
def _use(factor: SecondFactor, code: str, now: datetime) -> bool:
    """One of two who show the same code at once gets in."""
    locked = SecondFactor.objects.select_for_update().filter(pk=factor.pk).first()
    step = locked and _step_of(factor.user, locked.secret, code, now, after=locked.last_step)
    if step:
        SecondFactor.objects.filter(pk=factor.pk).update(last_step=step)
    return bool(step)


def _step_of(user: User, sealed: str, code: str, now: datetime, after: int = 0) -> int | None:
    """The step whose code this is, if it is near now and not used."""
    totp, current = _totp(user, sealed), int(now.timestamp()) // STEP_S
    near = range(max(after + 1, current - DRIFT), current + DRIFT + 1)
    shown = _plain(code).encode()
    return next((step for step in near if constant_time.bytes_eq(totp.generate(step * STEP_S), shown)), None)


def _totp(user: User, sealed: str) -> TOTP:
    key = b32decode(sealing.unseal(sealed, place_of_secret(user)))
    return TOTP(key, DIGITS, SHA1(), STEP_S)  # noqa: S303  what apps know; a keyed digest is no worse for collisions


def _digest(code: str) -> str:
    """Of eighty bits of chance: nobody tries them all, so no salt and no slow hash are needed."""
    return hashlib.sha256(_plain(code).encode()).hexdigest()


def _plain(code: str) -> str:
    """As it is compared, however it was typed."""
    return "".join(filter(str.isalnum, code)).upper()


def _grouped(text: str, between: str) -> str:
    return between.join(text[start : start + 4] for start in range(0, len(text), 4))
