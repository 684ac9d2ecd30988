"""Who may open what and do what: one table of acts, tried as every group."""

import pytest
from django.contrib import admin as django_admin
from django.contrib.auth.models import Group
from django.urls import reverse

from apps.api.models import ApiKey
from apps.billing.models import Invoice, InvoiceRun, Payment, VatRate
from apps.charging.models import Cdr, Command, Session
from apps.drivers.models import Contract, Driver
from apps.locations.models import Evse, Location
from apps.onboarding.models import Report
from apps.partners.models import Alarm, Partner, Party, Quarantined
from apps.partnerview.models import Link
from apps.staff.models import User
from apps.staff.office import Record, url_of
from apps.tokens.models import Token
from emsp.roles import ROLES, permissions_of
from tests.admin.furnished import furnish

pytestmark = pytest.mark.django_db
EVERYBODY = [*ROLES, "nobody"]
"""Nobody works here, and is in no group."""

ACTS = {
    # address: (row, who may)
    "api_apikey_add": (None, {"operations"}),
    "api_apikey_revoke": (ApiKey, {"operations"}),
    "drivers_driver_block": (Driver, {"support"}),
    "drivers_driver_unblock": (Driver, {"support"}),
    "drivers_driver_add_card": (Driver, {"support", "operations"}),
    "drivers_driver_import_file": (None, {"support"}),
    "drivers_driver_add": (None, {"support"}),
    "drivers_driver_template": (None, {"support"}),
    "drivers_contract_change_plan": (Contract, {"support", "finance"}),
    "drivers_contract_add_card": (Contract, {"support", "operations"}),
    "tokens_token_block": (Token, {"support"}),
    "tokens_token_unblock": (Token, {"support"}),
    "locations_location_map": (None, {"support", "operations", "finance", "auditor"}),
    "locations_location_fetch": (Location, {"operations"}),
    "partners_partner_add": (None, {"operations"}),
    "partners_partner_connect": (None, {"operations"}),
    "partners_partner_invite_again": (Partner, {"operations"}),
    "partners_partner_pull_now": (Partner, {"operations"}),
    "partners_partner_fill_quirks": (Partner, {"operations"}),
    "partners_partner_reset_cards": (Partner, {"support", "operations"}),
    "partners_partner_push_now": (Partner, {"operations"}),
    "partners_partner_check_readiness": (Partner, {"operations"}),
    "partners_partner_go_live": (Partner, {"operations"}),
    "partners_partner_end_live": (Partner, {"operations"}),
    "partners_partner_share": (Partner, {"operations"}),
    "partnerview_link_take_back": (Link, {"operations"}),
    "onboarding_report_html": (Report, {"operations", "auditor"}),
    "onboarding_report_pdf": (Report, {"operations", "auditor"}),
    "partners_partner_renew": (Partner, {"operations"}),
    "partners_partner_disconnect": (Partner, {"operations"}),
    "partners_party_approve": (Party, {"operations"}),
    "partners_party_reject": (Party, {"operations"}),
    "partners_alarm_settle": (Alarm, {"operations"}),
    "partners_quarantined_mend": (Quarantined, {"operations"}),
    "partners_quarantined_rehearse": (Quarantined, {"operations"}),
    "partners_quarantined_retry": (Quarantined, {"operations"}),
    "partners_quarantined_dismiss": (Quarantined, {"operations"}),
    "locations_evse_start": (Evse, {"support", "operations"}),
    "locations_evse_reserve": (Evse, {"support", "operations"}),
    "locations_evse_unlock": (Evse, {"support", "operations"}),
    "charging_session_stop": (Session, {"support", "operations"}),
    "charging_session_prefer": (Session, {"support", "operations"}),
    "charging_command_cancel": (Command, {"support", "operations"}),
    "charging_cdr_attach": (Cdr, {"support", "operations"}),
    "charging_cdr_attach_alone": (Cdr, {"support", "operations"}),
    "charging_cdr_release": (Cdr, {"operations", "finance"}),
    "billing_invoice_pdf": (Invoice, {"support", "finance", "auditor"}),
    "billing_invoice_pay": (Invoice, {"finance"}),
    "billing_invoice_export": (None, {"finance", "auditor"}),
    "billing_invoicerun_add": (None, {"finance"}),
    "billing_vatrate_confirm": (VatRate, {"finance"}),
    "staff_user_take_second_factor_away": (User, set()),
}


def custom_addresses():
    """Every page of ours that is no list, row or history of Django's own."""
    ours = set()
    for model, model_admin in django_admin.site._registry.items():
        if not hasattr(model_admin, "get_tables"):
            continue
        usual = {"changelist", "add", "history", "delete", "change", None}
        prefix = f"{model._meta.app_label}_{model._meta.model_name}_"
        names = {pattern.name for pattern in model_admin.get_urls() if getattr(pattern, "name", None)}
        ours |= {name for name in names if name.removeprefix(prefix) not in usual}
    return ours


def test_the_table_names_every_act():
    assert custom_addresses() <= set(ACTS)


@pytest.mark.parametrize("role", EVERYBODY)
def test_a_group_does_what_is_its_to_do(as_role, role):
    furnish(1)
    client = as_role(role)
    for name, (model, allowed) in ACTS.items():
        url = reverse(f"admin:{name}", args=[model.objects.order_by("pk").first().pk] if model else [])
        assert client.get(url).status_code == (200 if role in allowed else 403), (role, name)


@pytest.mark.parametrize("role", EVERYBODY)
def test_a_group_posts_nothing_that_is_not_its_to_do(as_role, role):
    furnish(1)
    client = as_role(role)
    before = (Invoice.objects.count(), InvoiceRun.objects.count(), Payment.objects.count(), Token.objects.count())
    for name, (model, allowed) in ACTS.items():
        if role not in allowed:
            url = reverse(f"admin:{name}", args=[model.objects.order_by("pk").first().pk] if model else [])
            values = {"_form_submitted": "on", "period": "2026-10", "issue": "1", "paid_on": "2026-11-20"}
            assert client.post(url, values).status_code == 403, (role, name)
    after = (Invoice.objects.count(), InvoiceRun.objects.count(), Payment.objects.count(), Token.objects.count())
    assert after == before
    assert not Driver.objects.filter(blocked_at__isnull=False).exists()


def granted(role, act):
    return {(app, model) for app, model, its in permissions_of(role) if its == act} if role in ROLES else set()


@pytest.mark.parametrize("role", EVERYBODY)
def test_a_group_opens_what_it_may_see(as_role, role):
    furnish(1)
    client = as_role(role)
    may = granted(role, "view")
    for model in django_admin.site._registry:
        known = (model._meta.app_label, model._meta.model_name) in may
        row = model.objects.order_by("pk").first()
        for url in (url_of(model), url_of(row)):
            assert client.get(url).status_code == (200 if known else 403), (role, url)
    home = client.get(reverse("admin:index"))
    assert home.status_code == 200
    shown = [item["link"] for section in home.context["sidebar_navigation"] for item in section["items"]]
    for url in shown:
        assert client.get(url).status_code == 200, (role, url)


USUAL = {"change": "change", "delete": None, "add": "add"}
"""What Django's own pages do to rows, and the permission it takes; rows are deleted by nobody."""
ADDED_ELSEWHERE = {("tokens", "token")}
"""Cards come with their driver or contract."""


@pytest.mark.parametrize("role", EVERYBODY)
def test_a_group_changes_what_is_its_to_change(as_role, role):
    """Every registered model, by its own pages: 403 without the permission, and without a room for it even with it."""
    furnish(1)
    client, wrong = as_role(role), []
    for model, model_admin in django_admin.site._registry.items():
        kind, row = (model._meta.app_label, model._meta.model_name), model.objects.order_by("pk").first()
        for page, act in USUAL.items():
            url = reverse(f"admin:{kind[0]}_{kind[1]}_{page}", args=[] if page == "add" else [row.pk])
            is_act = f"{kind[0]}_{kind[1]}_{page}" in ACTS
            is_closed = (isinstance(model_admin, Record) and not is_act) or (page == "add" and kind in ADDED_ELSEWHERE)
            allowed = act is not None and kind in granted(role, act) and not is_closed
            status = client.post(url, {}).status_code
            wrong += [f"{url}: {status}"] if (status == 403) is allowed else []
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("role", EVERYBODY)
def test_a_group_reads_the_history_of_what_it_may_see(as_role, role):
    furnish(1)
    client = as_role(role)
    for model in django_admin.site._registry:
        kind, row = (model._meta.app_label, model._meta.model_name), model.objects.order_by("pk").first()
        answer = client.get(reverse(f"admin:{kind[0]}_{kind[1]}_history", args=[row.pk]))
        assert answer.status_code == (200 if kind in granted(role, "view") else 403), (role, kind)


@pytest.mark.parametrize("role", EVERYBODY)
def test_the_search_finds_only_what_a_group_may_see(as_role, role):
    furnish(1)
    found = as_role(role).get(reverse("admin:search"), {"s": "SE", "extended": 1}).content.decode()
    for model in (Driver, Invoice, Cdr):
        kind = (model._meta.app_label, model._meta.model_name)
        assert url_of(model) not in found or kind in granted(role, "view"), (role, kind)


def test_finance_sees_no_trail_and_support_no_books(as_role):
    furnish(1)
    driver = Driver.objects.get()
    finance = as_role("finance").get(url_of(driver)).content.decode()
    assert "Authorisations" not in finance
    support = as_role("support").get(url_of(driver)).content.decode()
    assert "Authorisations" in support


def test_groups_are_there_from_the_start():
    assert set(Group.objects.values_list("name", flat=True)) >= set(ROLES)
    for role in ROLES:
        named = {f"{app}.{act}_{model}" for app, model, act in permissions_of(role)}
        given = Group.objects.get(name=role).permissions.values_list("content_type__app_label", "codename")
        assert {f"{app}.{codename}" for app, codename in given} == named


@pytest.mark.control("S48")
def test_nobody_is_given_what_changes_evidence():
    """Partners' data, charges and documents are added or changed by rooms alone."""
    sealed = {
        "cdr",
        "session",
        "authorization",
        "location",
        "tariff",
        "charge",
        "invoice",
        "invoiceline",
        "payable",
        "exchange",
    }
    for role in ROLES:
        assert not [model for _, model, act in permissions_of(role) if model in sealed and act != "view"]
        assert not [act for *_, act in permissions_of(role) if act == "delete"]
