"""The company that sells, its VAT registrations and its series of numbers."""

from django.contrib import admin
from django.db.models import Count
from unfold.decorators import display

from apps.billing.forms import EntityForm
from apps.billing.models import (
    LegalEntity,
    NumberSeries,
    TaxRegistration,
)
from apps.staff.office import Page, Rows, badge


class RegistrationInline(Rows):
    model = TaxRegistration
    show_change_link = True
    verbose_name_plural = "VAT registrations (their number series are on their own pages)"


@admin.register(LegalEntity)
class LegalEntityAdmin(Page):
    """Who sells. Documents that are issued keep what they said; changes show on the next ones."""

    form = EntityForm
    list_display = ["name", "organisation_no", "city", "country", "registrations"]
    fieldsets = [
        (None, {"fields": [("name", "organisation_no"), ("street", "postal_code"), ("city", "country")]}),
        ("On documents", {"fields": [("email", "phone", "website"), ("has_f_tax", "payment_days")]}),
        ("Paid to", {"fields": [("iban", "bic", "bankgiro")]}),
        ("Calendar", {"fields": ["time_zone"]}),
    ]
    inlines = [RegistrationInline]

    def get_queryset(self, request):
        return super().get_queryset(request).annotate(registered=Count("registrations"))

    @display(description="VAT registrations")
    def registrations(self, company):
        return company.registered


class SeriesInline(Rows):
    """Its first number and prefix are chosen before the first document; later they are the books'."""

    model = NumberSeries
    max_num = 2
    fields = ["kind", "prefix", "next_number", "last_issued_on"]
    readonly_fields = ["last_issued_on"]

    def has_change_permission(self, request, obj=None):
        begun = obj is not None and obj.series.filter(last_issued_on__isnull=False).exists()
        return not begun and super().has_change_permission(request, obj)


@admin.register(TaxRegistration)
class TaxRegistrationAdmin(Page):
    list_display = ["vat_id", "country", "legal_entity", "valid_from", "valid_until", "series_of"]
    list_select_related = ["legal_entity"]
    list_filter = ["country"]
    fields = [("legal_entity", "country"), ("vat_id", "valid_from", "valid_until")]
    inlines = [SeriesInline]

    def get_queryset(self, request):
        return super().get_queryset(request).prefetch_related("series")

    def get_readonly_fields(self, request, registration=None):
        """A registration that documents were issued under is only ended."""
        return ["legal_entity", "country", "vat_id", "valid_from"] if registration and used(registration) else []

    @display(description="Number series")
    def series_of(self, registration):
        series = ", ".join(f"{series.prefix} ({series.get_kind_display()})" for series in registration.series.all())
        return series or badge("none: nothing can be issued", "bad")


def used(registration: TaxRegistration) -> bool:
    return registration.charges.exists()
