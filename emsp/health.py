"""Whether we are alive, whether we can work, and how much (trust O6)."""

from django.http import HttpResponse


def healthz(request):
    return HttpResponse("ok\n", content_type="text/plain")


def readyz(request):
    return HttpResponse("ok\n", content_type="text/plain")


def metrics(request):
    return HttpResponse("", content_type="text/plain")
