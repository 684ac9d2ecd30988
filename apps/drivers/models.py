import pghistory
from django.db import models
from django.db.models import Q
from django.db.models.functions import Upper


@pghistory.track()
class Account(models.Model):
    """Who pays: a person or a company. Its documents need a name and an address (BIL-77)."""

    class Kind(models.TextChoices):
        PRIVATE = "private", "private person"
        COMPANY = "company", "company"

    name = models.CharField(max_length=200)
    legal_name = models.CharField(
        max_length=200, blank=True, help_text="As its documents must show it; empty: the name above."
    )
    kind = models.CharField(max_length=7, choices=Kind.choices)
    street = models.CharField(max_length=200, blank=True)
    postal_code = models.CharField(max_length=20, blank=True)
    city = models.CharField(max_length=100, blank=True)
    country = models.CharField(max_length=2, help_text="ISO 3166-1 alpha-2.")
    currency = models.CharField(max_length=3, help_text="ISO 4217; invoices are made out in it.")
    language = models.CharField(max_length=2, default="en", help_text="ISO 639-1; language of the documents.")
    vat_id = models.CharField("VAT id", max_length=20, blank=True)
    organisation_no = models.CharField("organisation number", max_length=30, blank=True)
    cost_centre = models.CharField(max_length=100, blank=True)
    email = models.EmailField(blank=True, help_text="Where documents go.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint("name", name="account_name"),
            models.CheckConstraint(condition=Q(country__regex=r"^[A-Z]{2}$"), name="account_country_is_iso_alpha_2"),
            models.CheckConstraint(condition=Q(currency__regex=r"^[A-Z]{3}$"), name="account_currency_is_iso_4217"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def name_on_documents(self) -> str:
        return self.legal_name or self.name

    @staticmethod
    def incomplete() -> Q:
        """Accounts of which `missing_for_invoices` names something."""
        address = Q(street="") | Q(postal_code="") | Q(city="")
        return address | Q(kind=Account.Kind.COMPANY, organisation_no="")

    def missing_for_invoices(self) -> list[str]:
        """What its invoices must show and it does not have (BIL-77)."""
        needed = ["street", "postal_code", "city", *(["organisation_no"] if self.kind == self.Kind.COMPANY else [])]
        return [str(self._meta.get_field(name).verbose_name) for name in needed if not getattr(self, name)]


@pghistory.track()
class Driver(models.Model):
    """Who drives."""

    account = models.ForeignKey(Account, models.PROTECT, related_name="drivers")
    name = models.CharField(max_length=200)
    email = models.EmailField(blank=True)
    blocked_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint("account", Upper("email"), name="driver_email_in_account", condition=~Q(email="")),
            models.UniqueConstraint("account", "name", name="driver_name_in_account", condition=Q(email="")),
        ]

    def __str__(self) -> str:
        return self.name


def contract_key(contract_id: str) -> str:
    """How contract ids compare: upper case, without `-`, `*` and blanks (decision 17).

    >>> contract_key("se-emp-C00000012-3")
    'SEEMPC000000123'
    """
    return "".join(character for character in contract_id.upper() if character not in "-* ")


@pghistory.track()
class Contract(models.Model):
    """The agreement a driver charges under: an eMA ID (ISO 15118, eMI3). Its plan is billing's to know."""

    driver = models.ForeignKey(Driver, models.PROTECT, related_name="contracts")
    contract_id = models.CharField("contract id (eMA ID)", max_length=36)
    key = models.CharField(max_length=36, unique=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["contract_id"]

    def __str__(self) -> str:
        return self.contract_id

    def save(self, *args, **kwargs):
        self.key = contract_key(self.contract_id)
        super().save(*args, **kwargs)
