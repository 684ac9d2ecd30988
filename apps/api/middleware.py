"""Our own API's way through Django: straight from the URL to the view, around everything that is for people."""

from django.http import HttpResponse
from django.urls import get_resolver

from apps.postgresql.base import impatient

from . import problems


class Api:
    """Answers everything under /api/, never with a web page, whatever goes wrong where.

    No session and no CSRF token: a key is presented with each request, and a browser sends none by itself.
    """

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        if not (request.path_info + "/").startswith("/api/"):
            return self.get_response(request)
        try:
            request.get_host()
            with impatient():
                response = _answered(request)
        except Exception as error:  # what the frame of the views could not catch, or never saw
            response = problems.of(error)
        response.headers.setdefault("Cache-Control", "no-store")
        response.headers["X-Content-Type-Options"] = "nosniff"
        response._has_been_logged = True  # RequestLog writes the line; Django would write another about each error
        return response


def _answered(request) -> HttpResponse:
    match = request.resolver_match = get_resolver().resolve(request.path_info)
    response = match.func(request, *match.args, **match.kwargs)
    return response.render() if hasattr(response, "render") else response
