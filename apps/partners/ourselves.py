"""What partners are told about us: who we are, and where we answer. Facts of the deployment, read from the settings."""

from django.conf import settings

from apps.ocpi import modules, objects
from apps.ocpi.versions import LISTED, Version


def us() -> objects.Party:
    """The one party we are; the home country stands for all countries (credentials, CredentialsRole)."""
    return objects.Party(settings.OCPI_COUNTRY_CODE, settings.OCPI_PARTY_ID)


def versions_url() -> str:
    """Every URL we publish starts with PUBLIC_URL, never with the Host header (decision 5)."""
    return f"{settings.PUBLIC_URL}/ocpi/versions"


def version_url(version: Version) -> str:
    return f"{settings.PUBLIC_URL}/ocpi/{version.number}"


def credentials(token: str) -> objects.Credentials:
    """Our side of a registration, with the token that the partner is to present to us."""
    party = us()
    role = objects.CredentialsRole(
        role="EMSP",
        country_code=party.country_code,
        party_id=party.party_id,
        business_details=objects.BusinessDetails(name=settings.OCPI_PARTY_NAME),
    )
    return objects.Credentials(token=token, url=versions_url(), roles=(role,))


def versions() -> list[objects.VersionRef]:
    """All that we speak, with their URLs (version_information_endpoint, Versions)."""
    return [objects.VersionRef(version=version.number, url=version_url(version)) for version in LISTED]


def details(version: Version) -> objects.VersionDetails:
    """Our endpoints of one version (version_information_endpoint, Version details)."""
    endpoints = [_endpoint(module, version) for module in version.modules]
    return objects.VersionDetails(version=version.number, endpoints=tuple(endpoints))


def _endpoint(module: modules.Module, version: Version) -> objects.Endpoint:
    url = f"{version_url(version)}/{module.path}"
    return objects.Endpoint(identifier=module.identifier, role=module.role, url=url)
