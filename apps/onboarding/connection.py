"""Is the connection itself in order: versions, version details, credentials, and who is let in."""

import secrets
from http import HTTPStatus

from apps.ocpi import modules
from apps.ocpi.client import Peer
from apps.ocpi.errors import PeerFailed
from apps.ocpi.versions import read_versions
from apps.onboarding.trial import PATIENCE_S, Check, Failed, Trial, Untried
from apps.partners import certificates, handshake, peers


def certificate(trial: Trial) -> str:
    """Until when, of every host of theirs that we call; one that is not believed fails the line."""
    hosts = certificates.hosts_of(trial.partner)
    if not hosts:
        raise Untried("It is called without TLS, as a private host.", is_needed=False)
    told = [f"{host} until {certificates.host_ends_at(trial.partner, host):%Y-%m-%d}" for host in hosts]
    return f"{', '.join(told)}."


def versions(trial: Trial) -> str:
    """(version_information_endpoint, GET)"""
    answer = stranger(trial, peers.token_of(trial.partner)).get(trial.partner.versions_url)
    offered = {ref.version: ref.url for ref in read_versions(answer.data or b"null")}
    url = offered.get(trial.report.version)
    if url is None:
        raise Failed(
            f"It lists {', '.join(sorted(offered)) or 'nothing'}, not {trial.version}, which we registered in."
        )
    trial.memory["details_url"] = url
    return f"It lists {', '.join(sorted(offered))}; we speak {trial.version}."


def details(trial: Trial) -> str:
    """What we pull and push goes where its endpoints say, so what they say must be what they said."""
    peer = stranger(trial, peers.token_of(trial.partner))
    told = trial.version.read_version_details(peer.get(trial.memory["details_url"]).data or b"null").object
    if missing := modules.missing_modules({(one.identifier, one.role) for one in told.endpoints}):
        raise Failed(f"It needs one of: {', '.join(missing)} (CRED-02).")
    urls = {one.url for one in told.endpoints}
    moved = [held for held in trial.partner.endpoints.order_by("identifier", "role") if held.url not in urls]
    if moved:
        raise Failed(
            f"It no longer lists {moved[0]} at {moved[0].url}; a change is told by PUT of credentials (CRED-06)."
        )
    return f"It offers {', '.join(sorted({one.identifier for one in told.endpoints}))}."


def credentials(trial: Trial) -> str:
    """(credentials, GET Method)"""
    url = trial.endpoint("credentials", modules.SENDER)
    answer = stranger(trial, peers.token_of(trial.partner)).get(url)
    told = trial.version.read_credentials(answer.data or b"null").object
    if told.url != trial.partner.versions_url:
        raise Failed(f"url is {told.url}, but it registered with {trial.partner.versions_url} (CRED-06).")
    named = [(role.country_code, role.party_id) for role in told.roles]
    known = {str(party) for party in trial.partner.parties.all()}
    missing = known - {f"{country}*{party}".upper() for country, party in named}
    if len(missing) == len(known):
        raise Failed(f"roles names none of {', '.join(sorted(known)) or 'its parties'} (CRED-11).")
    return f"It speaks for {', '.join(sorted(known - missing))}."


def refusal(trial: Trial) -> str:
    """Who has no token of theirs must not get in: else anybody reads what is meant for us."""
    try:
        stranger(trial, secrets.token_urlsafe(24)).get(trial.partner.versions_url)
    except PeerFailed as error:
        if error.http_status == HTTPStatus.UNAUTHORIZED:
            return "A token that it never gave is answered 401."
        raise Failed(f"A token that it never gave is answered so, not with 401: {error} (TR-04).") from error
    raise Failed("It answers whoever presents a token that it never gave (TR-04).")


def stranger(trial: Trial, token: str) -> Peer:
    return handshake.stranger(trial.partner, token, trial.version, trial.partner.token_form, PATIENCE_S)


CHECKS = (
    Check("certificate", "Certificates", "TR-01", (), certificate),
    Check("versions", "Versions", "VER-01", (), versions),
    Check("details", "Version details", "VER-02, CRED-02", ("versions",), details),
    Check("credentials", "Credentials", "CRED-09, CRED-11", ("versions",), credentials),
    Check("refusal", "A wrong token is refused", "TR-04", ("versions",), refusal),
)
