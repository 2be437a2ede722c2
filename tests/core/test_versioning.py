"""Orchestration versions (orchestration-semantics 3.12)."""

from __future__ import annotations

import pytest

from durable_core.core.versioning import Versioning, VersionMatch, compare


@pytest.mark.parametrize(
    ("older", "newer"),
    [("1.9", "1.10"), ("", "0.1"), (None, "a"), ("1.0", "1.0.1"), ("alpha", "BETA"), ("1", "2"), ("10", "9")],
)
def test_behaviour_98_versions_compare_by_number_where_they_are_numbers(older: str | None, newer: str) -> None:
    assert compare(older, newer) < 0 < compare(newer, older)
    assert compare(newer, newer) == 0


@pytest.mark.parametrize(
    ("match", "version", "accepted"),
    [
        (VersionMatch.NONE, "9.9", True),
        (VersionMatch.STRICT, "2.0", True),
        (VersionMatch.STRICT, "1.0", False),
        (VersionMatch.STRICT, None, False),
        (VersionMatch.CURRENT_OR_OLDER, "1.5", True),
        (VersionMatch.CURRENT_OR_OLDER, None, True),
        (VersionMatch.CURRENT_OR_OLDER, "2.0", True),
        (VersionMatch.CURRENT_OR_OLDER, "2.1", False),
    ],
)
def test_behaviour_97_what_a_worker_takes(match: VersionMatch, version: str | None, accepted: bool) -> None:
    assert Versioning("2.0", match).accepts(version) is accepted


def test_a_worker_without_a_version_takes_everything() -> None:
    assert Versioning().accepts("99.0")


def test_the_refusal_names_both_versions_and_the_strategy() -> None:
    text = Versioning("2.0").mismatch("3.0")
    assert "'3.0'" in text and "'2.0'" in text and "CurrentOrOlder" in text
