"""Every URL there is, who may call it, how often and with how much. `make lists` writes docs/urls.md (trust S56)."""

from collections.abc import Iterator

from django.urls import URLPattern, get_resolver
from rest_framework.views import APIView

from apps.api import frame
from apps.ocpi import reader
from apps.ocpi.versions import VERSIONS
from apps.partners.receiver import PartnerView
from emsp import local

FILE = local.PROJECT / "docs/urls.md"
HEAD = """# URLs

Every URL the platform answers. Made by `make lists`; a test fails where it is not current, so that no URL comes or goes
unseen. What is not here is answered 404.

"""
OPEN = {
    "healthz": "anybody; the proxy keeps it inside",
    "readyz": "anybody; the proxy keeps it inside",
    "metrics": "METRICS_TOKEN, else this machine alone",
}
VIEWS = "whoever has an address that staff made, until it expires or is taken back; 30 pages, then 1 a second"
OPEN |= {
    "view/<path:address>": VIEWS,
    "view/<str:address>/tests": VIEWS,
    "view/<str:address>/cdrs.csv": f"{VIEWS}; 5 files, then 1 a minute",
}
HALFWAY = {
    "admin/second-factor/enrol/": "staff who gave their password; who has a second factor, with a code of this moment",
    "admin/second-factor/prove/": "staff who gave their password; codes are counted",
    "admin/second-factor/": "staff, for themselves",
}
METHODS = ("get", "post", "put", "patch", "delete")


def routes(patterns=None, before: str = "") -> Iterator[tuple[str, object]]:
    for one in get_resolver().url_patterns if patterns is None else patterns:
        route = before + str(one.pattern)
        if isinstance(one, URLPattern):
            yield route, one.callback
        else:
            yield from routes(one.url_patterns, route)


def table() -> str:
    known = list(routes())
    partners = [_partners_row(route, cls) for route, view in known if (cls := _class_of(view, PartnerView))]
    keyed = [_keys_row(route, cls) for route, view in known if (cls := _class_of(view, frame.ApiView))]
    others = sorted(_others_row(route) for route, view in known if not _class_of(view, APIView))
    return (
        f"{HEAD}## Partners\n\n| URL | versions | methods | token | largest body |\n|---|---|---|---|---|\n"
        + "".join(partners)
        + "\n## Our own app and web site\n\n| URL | methods | key | largest body |\n|---|---|---|---|\n"
        + "".join(keyed)
        + "\n## People and probes\n\n| URL | who |\n|---|---|\n"
        + "".join(others)
    )


def _class_of(view, kind: type) -> type | None:
    """The class of a view, if it is of that kind."""
    found = getattr(view, "cls", None)
    return found if isinstance(found, type) and issubclass(found, kind) else None


def _keys_row(route: str, cls: type[frame.ApiView]) -> str:
    key = "acting for drivers" if cls.acts else "any"
    names = ", ".join(method.upper() for method in METHODS if hasattr(cls, method))
    body = f"{frame.BODY_LIMIT // 1024} KiB" if hasattr(cls, "post") else "–"
    return f"| `/{route}` | {names} | {key} | {body} |\n"


def _partners_row(route: str, cls: type[PartnerView]) -> str:
    methods = [method for method in METHODS if hasattr(cls, method)]
    versions = ", ".join(VERSIONS) if "version:version" in route else "all"
    token = "A or C" if cls.is_registration else "C, connected"
    names = ", ".join(map(str.upper, methods))
    return f"| `/{route}` | {versions} | {names} | {token} | {_bodies(cls, methods)} |\n"


def _bodies(cls: type[PartnerView], methods: list[str]) -> str:
    sizes = {
        min(reader.PATCH_LIMIT, cls.body_limit) if m == "patch" else cls.body_limit
        for m in methods
        if m in METHODS[1:4]
    }
    return ", ".join(f"{size // 1024} KiB" for size in sorted(sizes)) or "–"


def _others_row(route: str) -> str:
    who = (OPEN | HALFWAY).get(route)
    if who is None:
        who = "anybody" if route in ("admin/login/", "admin/jsi18n/") else "staff, by permission"
    return f"| `/{route.replace('|', chr(92) + '|')}` | {who} |\n"
