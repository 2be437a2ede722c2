"""Every numbered behaviour and check of the specifications has a test that names it, or a line in the page of
deliberate differences."""

from __future__ import annotations

from tests.spec.behaviours import (
    checklist_items_in_tests,
    checklists,
    host_checks,
    host_checks_in_tests,
    named_in_compatibility,
    named_in_tests,
    numbers_in,
    specified,
)


def test_every_behaviour_is_named_in_a_test_or_in_the_compatibility_page() -> None:
    assert len(specified()) == 122
    missing = specified() - named_in_tests() - named_in_compatibility()
    assert not missing, f"no test names the behaviours {sorted(missing)}"


def test_nobody_names_a_behaviour_that_does_not_exist() -> None:
    assert named_in_tests() | named_in_compatibility() <= specified()


def test_how_numbers_are_named() -> None:
    assert numbers_in("Behaviours 1, 3 and 5; behaviour 7 of 9; behaviours 10 to 12") == {1, 3, 5, 7, 10, 11, 12}
    assert numbers_in("def test_behaviour_3_and_4_hold(): # behaviour_8") == {3, 4, 8}


def test_every_conformance_check_of_hosts_is_named_in_a_test() -> None:
    assert len(host_checks()) == 20
    missing = host_checks() - host_checks_in_tests()
    assert not missing, f"no test names the checks {sorted(missing)} of functions-host 15"


def test_every_item_of_the_checklists_is_named_in_a_test() -> None:
    """The must-haves of the Python surface (python-api 15) and the rules of writers (task-hub 0.3)."""
    assert {name: len(numbers) for name, numbers in checklists().items()} == {"python-api 15": 11, "task-hub 0.3": 9}
    assert checklist_items_in_tests() == checklists()
