"""Who changed what (decision 35): every change that staff make is kept with the one who made it."""

import pytest
from django.apps import apps
from django.urls import reverse

from apps.drivers.models import Account, Driver
from apps.staff.models import User

pytestmark = pytest.mark.django_db


@pytest.mark.control("S49")
def test_a_change_is_kept_with_who_made_it(client):
    eva = User.objects.create_superuser("eva", password="a-long-password-1")
    driver = Driver.objects.create(
        account=Account.objects.create(name="Fleet", kind="company", country="SE", currency="SEK"), name="Anna"
    )
    client.force_login(eva)

    client.post(reverse("admin:drivers_driver_change", args=[driver.pk]), {"name": "Anna B", "email": ""})

    event = apps.get_model("drivers", "DriverEvent").objects.filter(pgh_obj=driver).latest("pgh_id")
    assert (event.name, event.pgh_context.metadata["user"]) == ("Anna B", eva.pk)
