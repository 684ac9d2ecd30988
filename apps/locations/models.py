from django.db import models
from django.db.models.functions import Upper

from apps.partners.models import Party

COORDINATE = {"max_digits": 18, "decimal_places": 15}
"""Degrees with all the places a peer may send (LOC-13)."""


class Location(models.Model):
    """Where one can charge, as its CPO last told. `details` is the canonical object without its EVSEs, to be shown."""

    party = models.ForeignKey(Party, models.PROTECT, related_name="locations", db_index=False)
    ocpi_id = models.CharField("id", max_length=255)
    name = models.TextField(blank=True)
    address = models.TextField()
    city = models.TextField()
    postal_code = models.TextField(blank=True)
    country = models.CharField(max_length=3, help_text="ISO 3166-1 alpha-3, as sent.")
    latitude = models.DecimalField(**COORDINATE, null=True, blank=True)
    longitude = models.DecimalField(**COORDINATE, null=True, blank=True)
    time_zone = models.CharField(max_length=255, blank=True)
    publish = models.BooleanField(null=True, help_text="Empty: the sender's version cannot say.")
    details = models.JSONField(default=dict)
    warnings = models.JSONField(default=list, blank=True, help_text="What we forgave, by path.")
    body = models.BinaryField(help_text="The object's own bytes, as last PUT or pulled.")
    version = models.CharField("OCPI version of the body", max_length=10)
    content_hash = models.BinaryField()
    last_updated = models.DateTimeField()
    received_at = models.DateTimeField()
    vanished_at = models.DateTimeField(
        null=True, blank=True, help_text="Since when a complete pull no longer has it; the CPO's status stays."
    )

    class Meta:
        constraints = [models.UniqueConstraint("party", Upper("ocpi_id"), name="location_identity")]
        indexes = [
            models.Index(fields=["latitude", "longitude"], name="location_at", condition=models.Q(vanished_at=None))
        ]

    def __str__(self) -> str:
        return self.name or self.ocpi_id


class Evse(models.Model):
    """A charge point's part that serves one vehicle at a time."""

    location = models.ForeignKey(Location, models.CASCADE, related_name="evses", db_index=False)
    uid = models.CharField(max_length=255)
    evse_id = models.TextField("EVSE ID", blank=True)
    status = models.CharField(max_length=255)
    removed_by_us = models.BooleanField(
        default=False, help_text="A PUT of its location no longer had it (decision 20); the CPO never said REMOVED."
    )
    details = models.JSONField(default=dict)
    last_updated = models.DateTimeField()
    same_as = models.ForeignKey(
        "self",
        models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="others",
        db_index=False,
        help_text="The same EVSE by the route that is preferred; empty where it is shown itself (routes.py).",
    )

    class Meta:
        verbose_name = "EVSE"
        constraints = [models.UniqueConstraint("location", Upper("uid"), name="evse_identity")]
        indexes = [
            models.Index(fields=["same_as"], name="evse_same_as", condition=~models.Q(same_as=None)),
            models.Index(fields=["location"], name="evse_shown_as_another", condition=~models.Q(same_as=None)),
        ]

    def __str__(self) -> str:
        return self.evse_id or self.uid

    @property
    def shown(self) -> "Evse":
        """As which it is shown, and started."""
        return self.same_as or self


class Connector(models.Model):
    """A socket or cable of an EVSE. Volt, ampere and watt as on the wire; ids of tariffs in `tariff_ids`."""

    evse = models.ForeignKey(Evse, models.CASCADE, related_name="connectors", db_index=False)
    ocpi_id = models.CharField("id", max_length=255)
    standard = models.CharField(max_length=255)
    format = models.CharField(max_length=255)
    power_type = models.CharField(max_length=255)
    max_voltage = models.IntegerField("maximum voltage, V", null=True, blank=True)
    max_amperage = models.IntegerField("maximum current, A", null=True, blank=True)
    max_electric_power = models.IntegerField("maximum power, W", null=True, blank=True)
    tariff_ids = models.JSONField(default=list, blank=True)
    details = models.JSONField(default=dict)
    last_updated = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint("evse", Upper("ocpi_id"), name="connector_identity")]

    def __str__(self) -> str:
        return f"{self.ocpi_id} {self.standard}"
