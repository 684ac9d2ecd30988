"""The rooms by module: for commands and pages that know them all. In the order in which modules are pulled."""

from apps.billing.pull import PULL as INVOICES
from apps.charging.pull import CDRS, SESSIONS
from apps.locations.pull import PULL as LOCATIONS
from apps.partners.clients import PULL as CLIENTS
from apps.tariffs.pull import PULL as TARIFFS

PULLS = {pull.module: pull for pull in (TARIFFS, LOCATIONS, SESSIONS, CDRS, CLIENTS, INVOICES)}
INTAKES = {module: pull.intake for module, pull in PULLS.items()}
