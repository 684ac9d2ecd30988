"""Who sells and who buys, copied into a document as they are when it is issued (BIL-74), and what they lack for it."""

from apps.drivers.models import Account

from .models import Charge, LegalEntity, TaxRegistration

SELLER = (
    "name", "street", "postal_code", "city", "country", "organisation_no", "email", "phone", "website", "iban", "bic",
    "bankgiro", "has_f_tax",
)  # fmt: skip
BUYER = ("street", "postal_code", "city", "country", "vat_id", "organisation_no", "cost_centre", "language", "kind")
NEEDED = ("name", "street", "postal_code", "city", "country", "organisation_no", "email")


def seller_of(registration: TaxRegistration) -> dict:
    """The company, with the VAT number under which it sells here (art. 226: the one the supply was made under)."""
    company = registration.legal_entity
    return {name: getattr(company, name) for name in SELLER} | {"vat_id": registration.vat_id}


def buyer_of(account: Account) -> dict:
    return {"name": account.name_on_documents} | {name: getattr(account, name) for name in BUYER}


def missing_of_seller(company: LegalEntity) -> list[str]:
    """What the company's documents must show of it and it does not have: BIL-77, and where to pay."""
    missing = [words(company, name) for name in NEEDED if not getattr(company, name)]
    return missing if company.iban or company.bankgiro else [*missing, "IBAN or bankgiro"]


def missing_of_buyer(account: Account, vat_category: str) -> list[str]:
    """What a document to the account must show and it does not have; its VAT id where it owes the VAT (BIL-77)."""
    missing = account.missing_for_invoices()
    owes_vat = vat_category == Charge.Category.REVERSE_CHARGE
    return [*missing, words(account, "vat_id")] if owes_vat and not account.vat_id else missing


def words(row, name: str) -> str:
    return str(row._meta.get_field(name).verbose_name)
