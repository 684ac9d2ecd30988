"""What is pulled of invoices of CPOs: records that were not pushed, and those we did not take (mod_invoice_reconciliation).

They are documents, so none is taken for deleted because a list no longer has it: their CPO says so itself.
"""

from datetime import timedelta

from apps.billing.settlement import INTAKE
from apps.partners.pull import Pull

PULL = Pull(INTAKE, again_since=timedelta(days=35))
"""A month's invoice may be told, and corrected, well after the month."""
