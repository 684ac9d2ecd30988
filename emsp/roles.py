"""Who may do what: ready groups, every permission named (trust S47). Applied by a migration, then staff's to change.

An act that is no row of Django's four needs the permission of what it makes: an invitation is a partner added, a card
attached is a card added, a verdict released a finding changed, a run issued a run added, paid is a payment added, a
session started or stopped is a command added.
Nobody but a superuser manages people and groups.
"""

from collections.abc import Iterator

DRIVERS = ("drivers.account", "drivers.driver", "drivers.contract", "tokens.token")
CHARGING = (
    "charging.cdr",
    "charging.finding",
    "billing.held",
    "locations.location",
    "locations.evse",
    "tariffs.tariff",
)
HEALTH = ("emsp.invariant",)
TRAIL = ("tokens.authorization", "charging.session", "charging.sessionperiod", "charging.command")
KEYS = ("api.apikey",)
AGREEMENTS = ("partners.agreement", "tokens.shownaccount")
PARTNERS = (
    "partners.partner", "partners.party", "partners.feed", "partners.endpoint", "partners.exchange", "partners.quarantined",
    "partners.alarm", "partners.client", *AGREEMENTS,
    "partners.credentialstoken", "tokens.tokendelivery", "onboarding.report", "onboarding.clearance",
    "partnerview.link",
)  # fmt: skip
DOCUMENTS = ("billing.invoice", "billing.invoiceline", "billing.taxsubtotal", "billing.payment", "billing.document")
SALES = ("billing.plan", "billing.planprice", "billing.subscription", "billing.charge")
BOOKS = ("billing.payable", "billing.billedtous", "billing.invoicerun", "billing.vatrate", "billing.legalentity",
         "billing.taxregistration", "billing.numberseries")  # fmt: skip

ROLES: dict[str, dict[str, tuple[str, ...]]] = {
    "support": {
        "view": (*DRIVERS, *TRAIL, *CHARGING, *DOCUMENTS, "billing.plan", "billing.subscription"),
        "add": ("drivers.driver", "tokens.token", "charging.command"),
        "change": ("drivers.account", "drivers.driver", "drivers.contract", "tokens.token"),
    },
    "operations": {
        "view": (*DRIVERS, *TRAIL, *CHARGING, *PARTNERS, *KEYS, "tariffs.tariffrevision", "billing.payable",
                 "billing.billedtous", *HEALTH),
        "add": ("partners.partner", *AGREEMENTS, "tokens.token", "charging.command", "onboarding.report",
                "onboarding.clearance", "partnerview.link", *KEYS),
        "change": ("partners.partner", *AGREEMENTS, "partners.party", "partners.feed", "partners.quarantined",
                   "partners.alarm", "charging.finding", "onboarding.clearance", "partnerview.link", *KEYS),
    },
    "finance": {
        "view": (*DRIVERS, *CHARGING, *DOCUMENTS, *SALES, *BOOKS, *HEALTH, *AGREEMENTS),
        "add": ("billing.invoicerun", "billing.payment", "billing.plan", "billing.planprice", "billing.vatrate",
                "billing.legalentity", "billing.taxregistration", "billing.numberseries"),
        "change": ("drivers.account", "drivers.contract", "charging.finding", "billing.plan", "billing.planprice",
                   "billing.vatrate", "billing.legalentity", "billing.taxregistration", "billing.numberseries"),
    },
    "auditor": {
        "view": (*DRIVERS, *TRAIL, *CHARGING, *PARTNERS, *KEYS, *DOCUMENTS, *SALES, *BOOKS, *HEALTH,
                 "tariffs.tariffrevision", "staff.user", "auth.group", "admin.logentry"),
    },
}  # fmt: skip
"""Finance sees no sessions and no authorisations: where somebody drove is on the CDR as far as the bill needs it."""


def permissions_of(role: str) -> Iterator[tuple[str, str, str]]:
    """App, model and act of every permission of a role."""
    for act, models in ROLES[role].items():
        for model in models:
            app, name = model.split(".")
            yield app, name, act


def grant(apps, roles=tuple(ROLES)) -> None:
    """Make the groups with their permissions; `apps` are the models of the moment.

    A permission that Django has not made yet, because it does so after all migrations, is made here. What a model that
    comes later needs is added by a migration of its own, with `extend`.
    """
    for role in roles:
        group, _ = apps.get_model("auth", "Group").objects.get_or_create(name=role)
        group.permissions.set([_permission(apps, *named) for named in permissions_of(role) if _is_there(apps, *named)])


def extend(apps, app: str, model: str) -> None:
    """Give the ready groups what they may do with one more model; what staff made of them stays."""
    for group in apps.get_model("auth", "Group").objects.filter(name__in=ROLES):
        named = [one for one in permissions_of(group.name) if one[:2] == (app, model)]
        group.permissions.add(*[_permission(apps, *one) for one in named])


def _is_there(apps, app: str, model: str, act: str) -> bool:
    return model in apps.all_models[app]


def _permission(apps, app: str, model: str, act: str):
    kind, _ = apps.get_model("contenttypes", "ContentType").objects.get_or_create(app_label=app, model=model)
    called = apps.get_model(app, model)._meta.verbose_name
    permissions = apps.get_model("auth", "Permission").objects
    return permissions.get_or_create(
        content_type=kind, codename=f"{act}_{model}", defaults={"name": f"Can {act} {called}"}
    )[0]
