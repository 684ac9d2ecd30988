"""Sessions and CDRs as CPOs send them (mod_sessions and mod_cdrs, Receiver Interface), and what became of our commands.

All commit the record of the exchange with the work, so what we answered is never without what we stored (decision 25).
"""

from rest_framework.response import Response

from apps.ocpi import reader
from apps.ocpi.errors import UnknownObject
from apps.partners import ourselves
from apps.partners.receiver import OwnedView, PartnerView, status_of
from apps.partners.taking import take

from . import commands, intake, store


class Sessions(OwnedView):
    """GET, PUT and PATCH of one session; nothing below it has a URL (SES-02)."""

    module = "sessions"
    is_of_whole_objects = True
    in_one = True

    def get(self, request, version, session_id, **owner):
        session = store.find_session(self.party, session_id)
        place = store.place_of(self.party, session) if version.embeds_places else None
        return Response(version.write_session(session, place))

    def put(self, request, version, session_id, **owner):
        how = {"owner": self.party, "context": {"method": "PUT", "id": session_id}, "in_hope": self.is_hopeful}
        (taken,) = take(store.INTAKE, self.partner, version, [self.body], self.now, **how)
        return Response(None, status=status_of(taken.require().outcome))

    def patch(self, request, version, session_id, **owner):
        store.take_patch(self.partner, self.party, version, session_id, self.body, self.now)
        return Response(None)


class Cdrs(PartnerView):
    """POST: a CDR, once and for all. The same again gets the same Location, another of its id 2001 and none (CDR-02)."""

    module = "cdrs"
    paced_as = "cdrs"
    in_one = True
    body_limit = reader.CDR_LIMIT

    def post(self, request, version):
        how = {"owner": self.speaker, "context": {"method": "POST"}, "in_hope": self.is_hopeful}
        (taken,) = take(intake.INTAKE, self.partner, version, [self.body], self.now, **how)
        location = f"{ourselves.version_url(version)}/cdrs/{taken.require().row}"
        return Response(None, status=status_of(taken.outcome), headers={"Location": location})


class CdrDetail(PartnerView):
    """GET: a CDR by the Location that its POST answered; for whoever is the route to its party now (trust S14)."""

    module = "cdrs"

    def get(self, request, version, public_id):
        cdr = intake.find(self.partner, public_id)
        if cdr is None:
            raise UnknownObject("There is no such CDR of yours here")
        return Response(intake.retell(cdr, version))


class CommandResults(PartnerView):
    """POST: what a charge point said to a command of ours, at the URL that was for this one (mod_commands, Sender)."""

    module = "commands"
    in_one = True

    def post(self, request, version, kind, reply_key):
        command = commands.answerable(self.partner, kind, reply_key, self.now)
        commands.settle(command, version.read_command_result(self.body).object, self.now)
        return Response(None)
