"""Where a partner's platform departs from OCPI, and we go along because staff said so (X10).

All of them off is OCPI to the letter, and that is what a partner gets. What is forgiven everybody without a switch, and
needs none, is told in docs/onboarding.md.
"""

from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Q

from apps.ocpi.client import Habits

MOST_A_PAGE, MOST_DAYS = 10_000, 3660
HOST = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?$"


def _switch(name: str, help_text: str) -> models.BooleanField:
    return models.BooleanField(name, default=False, db_default=False, help_text=help_text)


def _number(name: str, most: int, help_text: str) -> models.PositiveSmallIntegerField:
    bounds = [MinValueValidator(1), MaxValueValidator(most)]
    return models.PositiveSmallIntegerField(name, null=True, blank=True, validators=bounds, help_text=help_text)


def _within(name: str, most: int) -> models.CheckConstraint:
    return models.CheckConstraint(
        condition=Q(**{f"{name}__isnull": True}) | Q(**{f"{name}__range": (1, most)}), name=f"partner_{name}"
    )


class Quirks(models.Model):
    """Of one partner; columns of its own row, so that whoever reads the partner knows them."""

    flat_credentials = _switch(
        "party beside the roles",
        "Our credentials name the party and its business details outside the roles too, as in 2.1.1.",
    )
    slash = _switch("slash at the end", "Every URL of theirs that we call ends in a slash, whatever they published.")
    redirects = _switch(
        "redirects", "A 307 or 308 to their own host is followed, once a call; else it is an error (TR-10)."
    )
    next_pages_at = models.CharField(
        "next pages at",
        max_length=255,
        blank=True,
        default="",
        db_default="",
        validators=[RegexValidator(HOST, "A host in small letters, or host:port.")],
        help_text="Host, or host:port, to which the Link of a list may lead, with our token; else only their own (TR-19).",
    )
    nulls = _switch("nulls", "Fields that we have nothing for are sent as null, not left out.")
    page_size = _number("page size", MOST_A_PAGE, "The limit that we ask for; else as many as they give.")
    longest_range = _number(
        "longest range",
        MOST_DAYS,
        "Days between date_from and date_to of one question; what is longer is asked in parts.",
    )
    undated_patches = _switch(
        "PATCH without date", "A PATCH without last_updated is taken since 2.2 too, as 2.1.1 allows; our date stays."
    )
    gaps = _switch(
        "objects with gaps",
        "Where fields are missing that their version requires and we can do without, the object is taken and says so.",
    )
    cdr_is_session = _switch("CDR id = session id", "A CDR that names no session is of the session of its own id.")
    no_sessions = _switch("no sessions", "It tells of none: none are pulled, and a check does not wait for one.")

    class Meta:
        abstract = True
        constraints = [
            _within("page_size", MOST_A_PAGE),
            _within("longest_range", MOST_DAYS),
            models.CheckConstraint(
                condition=Q(next_pages_at="") | Q(next_pages_at__regex=HOST), name="partner_next_pages_at"
            ),
        ]

    @property
    def habits(self) -> Habits:
        """Those that concern how it is called."""
        return Habits(self.slash, self.redirects, self.next_pages_at)


FIELDS = tuple(Quirks._meta.local_fields)
NAMES = tuple(field.name for field in FIELDS)

HEARD = ("nulls", "undated_patches", "gaps", "cdr_is_session")
"""What a request needs to know; it comes with the caller."""

PRESETS = {
    "As OCPI says": {},
    "Redirects between URLs with and without a slash": {"redirects": True},
    "Reads every field, also those that are optional": {"nulls": True},
    "Grown out of 2.1.1": {"flat_credentials": True, "undated_patches": True, "cdr_is_session": True},
    "Short questions only, a month at most": {"longest_range": 28, "page_size": 100},
    "CDRs alone, no sessions": {"no_sessions": True, "cdr_is_session": True},
}
"""By what such a platform does; one choice sets all quirks, those that are not named to what OCPI says."""


def fill(quirks: Quirks, preset: str) -> None:
    """Set all quirks as in a preset; KeyError if there is none of the name. Nothing is saved."""
    chosen = PRESETS[preset]
    for field in FIELDS:
        setattr(quirks, field.name, chosen.get(field.name, field.get_default()))


def departures(quirks: Quirks) -> list[tuple[str, str, str]]:
    """Name, value and meaning of each that is not as OCPI says, in words."""
    return [
        (field.verbose_name, _worded(value), field.help_text)
        for field in FIELDS
        if (value := getattr(quirks, field.name)) != field.get_default()
    ]


def _worded(value) -> str:
    return "yes" if value is True else str(value)
