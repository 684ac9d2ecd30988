"""The lists of controls, of URLs and of requirements are what the code says (trust S56)."""

import pytest

from tests.ocpi import requirements
from tests.security import controls, inventory


@pytest.mark.parametrize("listed", [controls, inventory, requirements], ids=["controls", "urls", "ocpi"])
@pytest.mark.control("S56")
def test_a_list_is_current(listed):
    assert listed.FILE.read_text() == listed.table(), "make lists ocpi-matrix, and look at what has changed"


def test_what_is_built_has_a_test_and_what_is_not_has_a_reason():
    tests = controls.marked()
    without = [
        control for control, (_, state, _) in controls.CONTROLS.items() if state == "built" and control not in tests
    ]
    assert without == []
    assert [control for control, (_, state, note) in controls.CONTROLS.items() if state != "built" and not note] == []


def test_no_test_names_a_control_that_there_is_not():
    assert set(controls.marked()) - set(controls.CONTROLS) == set()


@pytest.mark.control("S56")
def test_the_list_of_urls_sees_all_of_them():
    routes = [route for route, _ in inventory.routes()]
    assert "ocpi/<version:version>/cdrs" in routes
    assert len([route for route in routes if route.startswith("admin/")]) > 50
