"""Where one can charge, who may be shown it, and what it costs a contract."""

from django.db.models import Prefetch, QuerySet
from rest_framework.response import Response

from apps.billing.offering import Offers
from apps.drivers.models import Contract
from apps.locations.models import Evse, Location
from apps.locations.nearby import Point, near
from apps.locations.publishing import shown_to
from apps.locations.routes import shown_once
from apps.tokens.cards import shown_as

from .frame import ApiView
from .schema import described
from .shapes import ForContract, LocationShape, Near, NearLocation, page_of


def shown(contract: Contract | None) -> QuerySet[Location]:
    """What somebody of this contract may be shown; of nobody's, what everybody may (LOC-05)."""
    tokens = contract.tokens.all() if contract else ()
    return shown_to(*map(shown_as, tokens)).filter(vanished_at=None)


def whole(rows: QuerySet[Location], **those) -> QuerySet[Location]:
    """With what is there of each, of `those` EVSEs: three statements for all of them."""
    there = Evse.objects.filter(**those).exclude(status="REMOVED").defer("details").order_by("uid")
    there = there.prefetch_related("connectors")
    rows = rows.select_related("party").defer("body", "details", "content_hash", "warnings")
    return rows.prefetch_related(Prefetch("evses", there, to_attr="there"))


class Locations(ApiView):
    @described("locations_near", page_of(NearLocation), asks=Near)
    def get(self, request):
        """Locations near a point, the nearest first. What several partners tell of is told once."""
        asked = self.read(Near, request.query_params.dict())
        contract, point = asked.get("contract"), Point(asked["latitude"], asked["longitude"])
        found = near(point, asked["radius_m"], whole(shown_once(shown(contract)), same_as=None))
        return self.page(found, asked, NearLocation, now=self.now, offers=Offers.read(contract, self.now))


class LocationDetail(ApiView):
    @described("location", LocationShape, asks=ForContract)
    def get(self, request, location_id):
        """A location by its id."""
        contract = self.read(ForContract, request.query_params.dict()).get("contract")
        location = self.only(whole(shown(contract)), location_id)
        context = {"now": self.now, "offers": Offers.read(contract, self.now)}
        return Response(LocationShape(location, context=context).data)
