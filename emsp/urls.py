"""Every URL on one page."""

from django.contrib import admin
from django.urls import include, path, register_converter

from apps.api import driving, frame, invoices
from apps.api import locations as places
from apps.billing import receiver as billing
from apps.charging import receiver as charging
from apps.locations import receiver as locations
from apps.ocpi.versions import VERSIONS, Version
from apps.partners import receiver as partners
from apps.partnerview import views as partnerview
from apps.staff import views as staff
from apps.tariffs import receiver as tariffs
from apps.tokens import receiver as tokens
from emsp import health


class VersionConverter:
    """The version a partner speaks, as the stair knows it; others are no URLs of ours."""

    regex = r"\d+\.\d+(?:\.\d+)?"

    def to_python(self, value: str) -> Version:
        if value not in VERSIONS:
            raise ValueError(value)
        return VERSIONS[value]

    def to_url(self, version: Version | str) -> str:
        return str(version)


register_converter(VersionConverter, "version")

OCPI = "ocpi/<version:version>"
PARTY = "<str:country_code>/<str:party_id>"

# The receivers of OCPI: one list for three versions. Each also answers with a slash at the end, and what is not here
# gets a 404 in an envelope (apps/partners/middleware.py).
ocpi_urls = [
    path("ocpi/versions", partners.Versions.as_view()),
    path(f"{OCPI}", partners.VersionDetails.as_view()),
    path(f"{OCPI}/credentials", partners.Credentials.as_view()),
    path(f"{OCPI}/hubclientinfo/{PARTY}", partners.Clients.as_view()),
    path(f"{OCPI}/locations/{PARTY}/<str:location_id>", locations.Locations.as_view()),
    path(f"{OCPI}/locations/{PARTY}/<str:location_id>/<str:evse_uid>", locations.Evses.as_view()),
    path(
        f"{OCPI}/locations/{PARTY}/<str:location_id>/<str:evse_uid>/<str:connector_id>", locations.Connectors.as_view()
    ),
    path(f"{OCPI}/sessions/{PARTY}/<str:session_id>", charging.Sessions.as_view()),
    path(f"{OCPI}/cdrs", charging.Cdrs.as_view()),
    path(f"{OCPI}/cdrs/<uuid:public_id>", charging.CdrDetail.as_view()),
    path(f"{OCPI}/tariffs/{PARTY}/<str:tariff_id>", tariffs.Tariffs.as_view()),
    path(f"{OCPI}/commands/<slug:kind>/<slug:reply_key>", charging.CommandResults.as_view()),
    path(f"{OCPI}/invoicereconciliation", billing.NewRecords.as_view()),
    path(f"{OCPI}/invoicereconciliation/{PARTY}/<str:record_id>", billing.Records.as_view()),
    path(f"{OCPI}/tokens", tokens.TokenList.as_view()),
    path(f"{OCPI}/tokens/<str:token_uid>/authorize", tokens.Authorize.as_view()),
    path(f"{OCPI}/tokens/{PARTY}/<str:token_uid>/authorize", tokens.Authorize.as_view()),
]

API = "api/v1"

# Our own API, for our own app and web site: docs/api.md.
api_urls = [
    path(f"{API}/schema", frame.Schema.as_view()),
    path(f"{API}/locations", places.Locations.as_view()),
    path(f"{API}/locations/<str:location_id>", places.LocationDetail.as_view()),
    path(f"{API}/contracts/<str:contract_id>", driving.Contracts.as_view()),
    path(f"{API}/drivers/<str:driver_id>/sessions", driving.DriverSessions.as_view()),
    path(f"{API}/drivers/<str:driver_id>/invoices", invoices.DriverInvoices.as_view()),
    path(f"{API}/invoices/<str:invoice_id>/pdf", invoices.InvoicePdf.as_view(), name="api-invoice-pdf"),
    path(f"{API}/sessions", driving.Sessions.as_view()),
    path(f"{API}/sessions/<str:session_id>", driving.SessionDetail.as_view()),
    path(f"{API}/sessions/<str:session_id>/stop", driving.StopSession.as_view()),
    path(f"{API}/sessions/<str:session_id>/preferences", driving.Preferences.as_view()),
    path(f"{API}/commands/<str:command_id>", driving.CommandDetail.as_view(), name="api-command"),
]

# Between the password and the back office, and from the person's own menu (apps/staff/middleware.py).
staff_urls = [
    path("admin/second-factor/", staff.mine, name="mine"),
    path("admin/second-factor/enrol/", staff.enrol, name="enrol"),
    path("admin/second-factor/prove/", staff.prove, name="prove"),
]

urlpatterns = [
    *ocpi_urls,
    *api_urls,
    path("view/<str:address>/cdrs.csv", partnerview.table, name="partnerview_table"),
    path("view/<str:address>/tests", partnerview.tests, name="partnerview_tests"),
    path("view/<path:address>", partnerview.page, name="partnerview_page"),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", health.metrics, name="metrics"),
    path("", include((staff_urls, "staff"))),
    path("admin/", admin.site.urls),
]
