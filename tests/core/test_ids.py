"""Rules of instance ids and deterministic GUIDs (orchestration-semantics 2.9, 8.2)."""

from __future__ import annotations

from datetime import datetime, timezone
from random import Random
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_core.core.ids import dotnet_guid, new_guid, new_uuid, random_guid, validate_instance_id

MOMENT = datetime(2021, 5, 5, 18, 45, 32, 362000, tzinfo=timezone.utc)


@pytest.mark.parametrize("instance_id", ["a", "x" * 256, "a b", "a@b", "ü-注", "a%2Fb", "."])
def test_ids_that_follow_the_rules(instance_id: str) -> None:
    validate_instance_id(instance_id)


@pytest.mark.parametrize(
    ("instance_id", "text"),
    [
        ("", "must not be empty"),
        ("x" * 257, "longer than 256 characters; this one has 257"),
        ("@counter@1", "must not start with '@'"),
        ("a/b", "this one contains '/'"),
        ("a\\b", "must not contain"),
        ("a#b", "this one contains '#'"),
        ("a?b", "must not contain"),
        ("a\nb", "control characters"),
        ("a\x7f", "control characters"),
        ("a\x85", "control characters"),
        ("a\ud800", "valid Unicode"),
    ],
)
def test_ids_that_break_a_rule_are_told_which(instance_id: str, text: str) -> None:
    with pytest.raises(ValueError, match="Orchestration instance ids") as refusal:
        validate_instance_id(instance_id)
    assert text in str(refusal.value)


def test_an_id_that_is_no_text_is_told_where_inputs_go() -> None:
    wrong: Any = {"x": 1}
    with pytest.raises(TypeError, match="text, not dict; the input of an instance is given as client_input"):
        validate_instance_id(wrong)


def test_behaviour_14_the_guids_of_dotnet() -> None:
    moment = "2021-05-05T18:45:32.3620000Z"
    assert str(dotnet_guid("eaee885b", moment, 0)) == "cecfe083-db5a-5462-a57d-4f256fa0094a"
    assert str(dotnet_guid("eaee885b", moment, 1)) == "b52e6a38-0640-580b-b719-95e314cf0a12"


def test_behaviours_15_16_the_uuids_of_the_python_sdk() -> None:
    assert new_uuid("eaee885b", MOMENT, 0) == "8e8bbd2d-1976-578e-9717-4686068a1494"
    assert new_uuid("eaee885b", MOMENT, 1) == "01204fe0-3f3c-5062-a063-301c6e27a719"
    assert str(new_guid("eaee885b", MOMENT, 0)) == "791b8c8a-2921-50ea-9941-c7289afe0698"


@given(st.integers(0, 2**128 - 1))
def test_a_random_guid_is_a_version_4_uuid(seed: int) -> None:
    guid = UUID(random_guid(Random(seed)))
    assert guid == UUID(int=Random(seed).getrandbits(128), version=4)
    assert str(guid) == random_guid(Random(seed))
