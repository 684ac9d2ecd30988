from tests.partners.conftest import as_partner, caller, cpo, invitation, make_partner, now, partner, registered

__all__ = ["as_partner", "caller", "cpo", "invitation", "make_partner", "now", "partner", "registered"]
