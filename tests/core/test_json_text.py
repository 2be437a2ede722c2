"""``read_json`` reads what ``json.loads`` reads, and nothing else."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_core.core.json_text import read_json

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(values, st.sampled_from(["", " ", "\n\t"]), st.sampled_from([None, 2]))
def test_values_are_read_with_and_without_space_around_them(value: object, space: str, indent: int | None) -> None:
    assert read_json(f"{space}{json.dumps(value, indent=indent)}{space}") == value


@pytest.mark.parametrize("text", ["", " ", "1 2", "{}x", "[1", "{", "nul", "\ufeff1", '"a', "'a'", "{1:2}"])
def test_what_is_no_json_is_refused_in_the_words_of_json_loads(text: str) -> None:
    with pytest.raises(json.JSONDecodeError) as expected:
        json.loads(text)
    with pytest.raises(json.JSONDecodeError) as found:
        read_json(text)
    assert str(found.value) == str(expected.value)
