"""Who may open what and do what: one table of acts, tried as every group."""

import pytest
from django.contrib import admin as django_admin
from django.contrib.auth.models import Group
from django.urls import reverse

from apps.billing.models import Invoice, InvoiceRun, Payment, VatRate
from apps.charging.models import Cdr
from apps.drivers.models import Contract, Driver
from apps.partners.models import Partner, Quarantined
from apps.staff.office import url_of
from apps.tokens.models import Token
from emsp.roles import ROLES, permissions_of
from tests.admin.furnished import furnish

pytestmark = pytest.mark.django_db

ACTS = {
    # address: (row, who may)
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
    "partners_partner_add": (None, {"operations"}),
    "partners_partner_connect": (None, {"operations"}),
    "partners_partner_invite_again": (Partner, {"operations"}),
    "partners_partner_pull_now": (Partner, {"operations"}),
    "partners_partner_push_now": (Partner, {"operations"}),
    "partners_partner_renew": (Partner, {"operations"}),
    "partners_partner_disconnect": (Partner, {"operations"}),
    "partners_quarantined_mend": (Quarantined, {"operations"}),
    "partners_quarantined_retry": (Quarantined, {"operations"}),
    "partners_quarantined_dismiss": (Quarantined, {"operations"}),
    "charging_cdr_attach": (Cdr, {"support", "operations"}),
    "charging_cdr_attach_alone": (Cdr, {"support", "operations"}),
    "charging_cdr_release": (Cdr, {"operations", "finance"}),
    "billing_invoice_pdf": (Invoice, {"support", "finance", "auditor"}),
    "billing_invoice_pay": (Invoice, {"finance"}),
    "billing_invoice_export": (None, {"finance", "auditor"}),
    "billing_invoicerun_add": (None, {"finance"}),
    "billing_vatrate_confirm": (VatRate, {"finance"}),
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


@pytest.mark.parametrize("role", ROLES)
def test_a_group_does_what_is_its_to_do(as_role, role):
    furnish(1)
    client = as_role(role)
    for name, (model, allowed) in ACTS.items():
        url = reverse(f"admin:{name}", args=[model.objects.order_by("pk").first().pk] if model else [])
        assert client.get(url).status_code == (200 if role in allowed else 403), (role, name)


@pytest.mark.parametrize("role", ROLES)
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


@pytest.mark.parametrize("role", ROLES)
def test_a_group_opens_what_it_may_see(as_role, role):
    furnish(1)
    client = as_role(role)
    may = {(app, model) for app, model, act in permissions_of(role) if act == "view"}
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
