"""Which CDRs an invoice of a CPO is for, as it tells us (mod_invoice_reconciliation, Receiver Interface)."""

from rest_framework.response import Response

from apps.partners.receiver import OwnedView, PartnerView, status_of
from apps.partners.taking import take

from . import settlement


class NewRecords(PartnerView):
    """POST: a record that is new."""

    module = settlement.MODULE
    in_one = True

    def post(self, request, version):
        (taken,) = take(settlement.POSTED, self.partner, version, [self.body], self.now, context={"method": "POST"})
        return Response(status=status_of(taken.require().outcome))


class Records(OwnedView):
    """GET, PUT and DELETE of one record."""

    module = settlement.MODULE
    is_of_whole_objects = True
    in_one = True

    def get(self, request, version, record_id, **owner):
        record = settlement.known_record(self.party, record_id)
        return Response(version.write(settlement.KIND, settlement.canonical_record(record)))

    def put(self, request, version, record_id, **owner):
        context = {"method": "PUT", "id": record_id}
        (taken,) = take(
            settlement.INTAKE, self.partner, version, [self.body], self.now, owner=self.party, context=context
        )
        return Response(status=status_of(taken.require().outcome))

    def delete(self, request, version, record_id, **owner):
        settlement.remove_record(self.party, record_id, self.now)
        return Response()
