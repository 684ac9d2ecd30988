"""Every URL on one page."""

from django.contrib import admin
from django.urls import path

from emsp import health

urlpatterns = [
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", health.metrics, name="metrics"),
    path("admin/", admin.site.urls),
    # The receivers of OCPI: one list for three versions.
]
