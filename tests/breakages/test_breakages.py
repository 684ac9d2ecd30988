"""The list of faults fits the code as it is. That each is noticed takes minutes, and `make breakages`."""

from emsp import local
from tests.breakages.breakages import BREAKAGES

ENOUGH = 60


def test_each_fault_is_one_place_and_names_a_test_that_there_is():
    for one in BREAKAGES:
        where, name = one.test.split("::")
        assert (local.PROJECT / one.file).read_text().count(one.old) == 1, one
        assert f"def test_{name}(" in (local.PROJECT / "tests" / where).read_text(), one


def test_there_are_enough_of_them_and_none_twice():
    assert len({(one.file, one.old, one.new) for one in BREAKAGES}) == len(BREAKAGES) >= ENOUGH
