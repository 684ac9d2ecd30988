from django.db import models
from django.db.models import F, Q

from apps.partners.models import Partner


class Link(models.Model):
    """An address by which somebody at a partner reads what became of its CDRs (B11), until it expires or is taken back.

    Its secret is kept nowhere, only its digest (trust S2).
    """

    partner = models.ForeignKey(Partner, models.PROTECT, related_name="links")
    holder = models.CharField("for", max_length=150, help_text="Who gets it: a name, or an address of e-mail.")
    digest = models.BinaryField(unique=True, editable=False, help_text="SHA-256 of the secret in the address.")
    created_at = models.DateTimeField("made")
    created_by = models.CharField("made by", max_length=150)
    expires_at = models.DateTimeField("good until")
    revoked_at = models.DateTimeField("taken back", null=True, blank=True)
    revoked_by = models.CharField("taken back by", max_length=150, blank=True)
    last_seen_at = models.DateTimeField("last opened", null=True, blank=True)

    class Meta:
        verbose_name = "link for a partner"
        verbose_name_plural = "links for partners"
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(condition=~Q(holder="") & ~Q(created_by=""), name="link_by_somebody_for_somebody"),
            models.CheckConstraint(condition=Q(expires_at__gt=F("created_at")), name="link_expires_later"),
            models.CheckConstraint(
                condition=Q(revoked_at=None, revoked_by="") | Q(revoked_at__isnull=False) & ~Q(revoked_by=""),
                name="link_taken_back_by_somebody",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.partner}, for {self.holder}"
