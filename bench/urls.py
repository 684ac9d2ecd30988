"""The platform's URLs and the ceiling: a bare view, behind the same middleware (decision 26)."""

from django.http import HttpResponse
from django.urls import path

from emsp.urls import urlpatterns as ours


def bare(request):
    return HttpResponse(b"{}", content_type="application/json")


urlpatterns = [path("ocpi/bare", bare), *ours]
