"""The list of requirements tells the truth, and only ever gets better."""

from tests.ocpi import requirements


def test_what_is_covered_stays_so_and_what_gets_covered_leaves_the_list():
    known = {(wanted, version) for wanted, versions in requirements.UNCOVERED.items() for version in versions}
    assert requirements.uncovered() - known == set(), "a requirement lost its last test"
    assert known - requirements.uncovered() == set(), "it is covered now: take it from UNCOVERED"


def test_no_test_names_a_requirement_or_a_version_that_there_is_not():
    assert requirements.unknown() == set()
