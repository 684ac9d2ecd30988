from .charges import Charge, Held, Netting, Payable
from .invoices import Document, Invoice, InvoiceLine, InvoiceRun, Payment, TaxSubtotal
from .plans import Plan, PlanPrice, Subscription
from .seller import LegalEntity, LostNumbers, NumberSeries, TaxRegistration
from .settlements import BilledToUs
from .vat import VatRate

__all__ = [
    "BilledToUs",
    "Charge",
    "Document",
    "Held",
    "Invoice",
    "InvoiceLine",
    "InvoiceRun",
    "LegalEntity",
    "LostNumbers",
    "Netting",
    "NumberSeries",
    "Payable",
    "Payment",
    "Plan",
    "PlanPrice",
    "Subscription",
    "TaxRegistration",
    "TaxSubtotal",
    "VatRate",
]
