"""The map of locations, by mouse and by keyboard."""

from apps.locations.models import Location
from apps.staff.office import url_of
from tests.browser.conftest import TELEPHONE


def put(places):
    for location, (longitude, latitude) in zip(Location.objects.order_by("pk"), places, strict=True):
        Location.objects.filter(pk=location.pk).update(longitude=longitude, latitude=latitude)


def test_a_crowd_is_looked_at_closer_until_it_is_one_location(visit):
    put([(13.19, 55.70), (13.20, 55.71)])
    page, location = visit(), Location.objects.order_by("pk").first()
    page.goto("/admin/locations/location/map/?box=5,50,20,60")
    page.click(".marker-many")
    page.wait_for_selector(".marker-free >> nth=1")
    assert page.locator(".map-list tbody tr").count() == 2

    page.click(f".map a[href='{url_of(location)}']")
    page.wait_for_selector("#related")
    assert page.url.endswith(url_of(location))


def test_the_map_is_moved_by_the_keyboard_and_keeps_its_place(visit):
    put([(13.19, 55.70), (18.06, 59.33)])
    page = visit(TELEPHONE)
    page.goto("/admin/locations/location/map/?box=17.9,59.2,18.3,59.5")
    assert page.locator(".map .marker").count() == 1
    page.focus("#map-east")
    page.keyboard.press("Enter")
    page.wait_for_function("document.querySelectorAll('.map .marker').length === 0")
    assert page.evaluate("document.activeElement.id") == "map-east"
    page.go_back()
    page.wait_for_selector(".map .marker")


def test_the_part_on_the_map_is_also_a_list(visit):
    put([(13.19, 55.70), (18.06, 59.33)])
    page = visit()
    page.goto("/admin/locations/location/map/?box=17.9,59.2,18.3,59.5")
    page.click("text=As a list")
    page.wait_for_selector("#result_list")
    assert page.locator("#result_list tbody tr").count() == 1
