"""Tariffs, as CPOs tell us of them (mod_tariffs, Receiver Interface)."""

from rest_framework.response import Response

from apps.ocpi.errors import MethodNotAllowed
from apps.partners.receiver import OwnedView, status_of
from apps.partners.taking import take

from .store import INTAKE, canonical_tariff, known_tariff, patched, remove_tariff


class Tariffs(OwnedView):
    module = "tariffs"
    is_of_whole_objects = True
    in_one = True

    def get(self, request, version, tariff_id, **owner):
        return Response(version.write("tariff", canonical_tariff(known_tariff(self.party, tariff_id))))

    def put(self, request, version, tariff_id, **owner):
        context = {"method": "PUT", "id": tariff_id}
        (taken,) = take(INTAKE, self.partner, version, [self.body], self.now, owner=self.party, context=context)
        return Response(status=status_of(taken.require().outcome))

    def patch(self, request, version, tariff_id, **owner):
        """Only where the version has it (TAR, PATCH of 2.1.1)."""
        if not version.patches_tariffs:
            raise MethodNotAllowed(allowed=self.allowed)
        context = {"method": "PATCH", "id": tariff_id}
        body = patched(known_tariff(self.party, tariff_id), version, self.body)
        (taken,) = take(INTAKE, self.partner, version, [body], self.now, owner=self.party, context=context)
        taken.require()
        return Response()

    @property
    def allowed(self) -> tuple[str, ...]:
        return tuple(method for method in super().allowed if method != "PATCH" or self.version.patches_tariffs)

    def delete(self, request, version, tariff_id, **owner):
        remove_tariff(self.party, tariff_id, self.now)
        return Response()
