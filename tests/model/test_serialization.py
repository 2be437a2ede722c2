"""The one JSON codec (python-api 10)."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_core.errors import SerializationError
from durable_core.model.serialization import (
    decode,
    decode_activity_input,
    decode_or_text,
    encode,
    encode_activity_input,
    encode_or_none,
)

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@given(values)
def test_json_values_come_back(value: Any) -> None:
    assert decode(encode(value, "x")) == value
    assert decode_activity_input(encode_activity_input(value, "x")) == value


@dataclass
class Money:
    amount: int

    @staticmethod
    def to_json(value: Money) -> Any:
        return {"amount": value.amount}

    @staticmethod
    def from_json(data: Any) -> Money:
        return Money(data["amount"])


def test_objects_travel_in_the_envelope_of_the_sdk() -> None:
    text = encode({"price": [Money(3)]}, "x")
    assert json.loads(text) == {"price": [{"__class__": "Money", "__module__": __name__, "__data__": {"amount": 3}}]}
    assert decode(text) == {"price": [Money(3)]}


def test_only_imported_modules_are_looked_at() -> None:
    text = '{"__class__": "Popen", "__module__": "not_imported_here", "__data__": 1}'
    with pytest.raises(ValueError, match="not imported"):
        decode(text)
    assert "not_imported_here" not in sys.modules
    with pytest.raises(ValueError, match="no from_json"):
        decode('{"__class__": "datetime", "__module__": "datetime", "__data__": 1}')


def endless() -> list[Any]:
    value: list[Any] = []
    value.append({"again": value})
    return value


@pytest.mark.parametrize(
    ("value", "where"),
    [
        ({"order": {"items": [1, datetime(2026, 1, 1)]}}, r"\$\.order\.items\[1\] is a datetime"),
        ([float("nan")], r"\$\[0\] is nan"),
        ({(1, 2): 3}, r"\$ has a key of type tuple"),
        (endless(), r"\$\[0\]\.again contains itself"),
        (b"x", r"\$ is a bytes"),
    ],
)
def test_what_cannot_be_written_is_named_with_its_path(value: Any, where: str) -> None:
    with pytest.raises(
        SerializationError, match=rf"^the input of activity 'charge' cannot be written as JSON: {where}"
    ):
        encode_activity_input(value, "charge")


def test_activity_input_is_an_array_of_one_argument() -> None:
    """orchestration-semantics 4.2."""
    assert encode_activity_input("Tokyo", "x") == '["Tokyo"]'
    assert encode_activity_input(None, "x") == "[null]"
    assert encode_activity_input([1], "x") == "[[1]]"
    assert decode_activity_input(None) is None
    assert decode_activity_input('"raw"') == "raw"
    assert decode_activity_input("[1,2]") == [1, 2]
    assert decode_activity_input("no json") == "no json"


def test_none_stays_absent_and_text_that_is_no_json_stays_text() -> None:
    assert encode_or_none(None, "x") is None
    assert encode_or_none(0, "x") == "0"
    assert decode_or_text("plain words") == "plain words"
    assert encode("é注", "x") == '"é注"'
    assert encode({"a": (1, 2)}, "x") == '{"a":[1,2]}'


class Grumpy:
    def to_json(self) -> Any:
        raise KeyError("secret")

    @staticmethod
    def from_json(data: Any) -> Any:
        raise KeyError("gone")


class Nested:
    def to_json(self) -> Any:
        return [Nested()]


def deep() -> Any:
    value: Any = []
    for _ in range(100_000):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "where"),
    [
        ([Grumpy()], r"\$\[0\]: Grumpy\.to_json raised KeyError\('secret'\)"),
        (deep(), "it is nested too deeply"),
        (Nested(), "it is nested too deeply"),
    ],
    ids=["to_json fails", "deep", "endless to_json"],
)
def test_values_that_break_the_encoder_are_told_too(value: Any, where: str) -> None:
    with pytest.raises(SerializationError, match=f"^x cannot be written as JSON: {where}"):
        encode(value, "x")


def test_half_surrogates_are_escaped_because_no_storage_takes_them() -> None:
    text = encode({"é": "\ud800"}, "x")
    assert text.encode()
    assert decode(text) == {"é": "\ud800"}


def test_undecodable_input_is_passed_on_but_a_missing_class_is_an_error() -> None:
    """python-api 9."""
    assert decode_activity_input("[1,") == "[1,"
    missing = '[{"__class__":"A","__module__":"not_imported_here","__data__":1}]'
    with pytest.raises(ValueError, match="not_imported_here, which is not imported"):
        decode_activity_input(missing)
    assert decode_or_text(missing) == missing


def test_a_from_json_that_fails_is_named() -> None:
    with pytest.raises(ValueError, match=r"Grumpy\.from_json raised KeyError\('gone'\)"):
        decode(json.dumps({"__class__": "Grumpy", "__module__": __name__, "__data__": 1}))


def test_documents_that_only_look_like_envelopes_stay_documents() -> None:
    for value in ({"__class__": "A"}, {"__class__": 1, "__module__": [], "__data__": 2}):
        assert decode(json.dumps(value)) == value


def test_text_that_is_no_json_is_shown_in_the_error() -> None:
    with pytest.raises(ValueError, match="'plain words' is not JSON"):
        decode("plain words")
