"""JSON of callers: strictly read, compactly kept."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_core.http.content import json_text

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(VALUES, st.booleans())
def test_a_value_keeps_its_meaning(value: Any, ascii_only: bool) -> None:
    text = json_text(json.dumps(value, ensure_ascii=ascii_only, indent=2).encode("utf-8", "surrogatepass"))
    assert json.loads(text) == value
    text.encode()


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "Expecting value"),
        (b"{", "line 1"),
        (b"\xff\xfe\x00", "UTF-8"),
        (b"\xc3", "UTF-8"),
        (b"NaN", "NaN is no JSON value"),
        (b"[-Infinity]", "no JSON value"),
        (b"1e999", "too large"),
        (b"9" * 5000, "limit"),
        (b"[" * 200_000, "nested too deeply"),
        (b"1 2", "Extra data"),
        (b"plain words", "Expecting value"),
    ],
)
def test_what_is_no_json_value_is_refused_with_the_reason(body: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        json_text(body)


def test_half_a_surrogate_pair_stays_an_escape() -> None:
    assert json_text(b'"\\ud800\xc3\xa9"') == '"\\ud800\\u00e9"'
    assert json_text(b'"\\ud83d\\ude00"') == '"\U0001f600"'
