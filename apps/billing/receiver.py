"""Which CDRs an invoice of a CPO is for, as it tells us (mod_invoice_reconciliation, Receiver Interface)."""

from http import HTTPStatus

from rest_framework.response import Response

from apps.ocpi.errors import UnknownObject
from apps.ocpi.versions import Version
from apps.partners.receiver import OwnedView, PartnerView
from apps.partners.taking import Outcome, Taken, take

from . import settlement


def require_offered(version: Version) -> None:
    """In versions without the module this is no URL."""
    if not version.offers(settlement.MODULE):
        raise UnknownObject(f"OCPI {version} has no {settlement.MODULE}")


class NewRecords(PartnerView):
    """POST: a record that is new."""

    module = settlement.MODULE
    in_one = True

    def post(self, request, version):
        require_offered(version)
        (taken,) = take(settlement.POSTED, self.partner, version, [self.body], self.now, context={"method": "POST"})
        return Response(status=status_of(taken.require()))


class Records(OwnedView):
    """GET, PUT and DELETE of one record."""

    module = settlement.MODULE
    is_of_whole_objects = True
    in_one = True

    def get(self, request, version, record_id, **owner):
        require_offered(version)
        record = settlement.known_record(self.party, record_id)
        return Response(version.write(settlement.KIND, settlement.canonical_record(record)))

    def put(self, request, version, record_id, **owner):
        require_offered(version)
        context = {"method": "PUT", "id": record_id}
        (taken,) = take(
            settlement.INTAKE, self.partner, version, [self.body], self.now, owner=self.party, context=context
        )
        return Response(status=status_of(taken.require()))

    def delete(self, request, version, record_id, **owner):
        require_offered(version)
        settlement.remove_record(self.party, record_id, self.now)
        return Response()


def status_of(taken: Taken) -> HTTPStatus:
    return HTTPStatus.CREATED if taken.outcome is Outcome.CREATED else HTTPStatus.OK
