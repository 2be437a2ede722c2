"""Times with seven digits (task-hub 3.2, 4.2)."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_core.core import ticks

moments = st.integers(0, ticks.from_datetime(datetime(9999, 12, 31, 23, 59, 59, tzinfo=timezone.utc)))


@given(moments)
def test_both_text_forms_give_the_same_ticks_back(moment: int) -> None:
    assert ticks.parse(ticks.format_column(moment)) == moment
    assert ticks.parse(ticks.format_message(moment)) == moment


@given(st.datetimes(timezones=st.just(timezone.utc)))
def test_datetimes_survive(moment: datetime) -> None:
    assert ticks.to_datetime(ticks.from_datetime(moment)) == moment


def test_message_form_trims_zeros_and_column_form_keeps_them() -> None:
    moment = ticks.parse("2024-05-01T12:00:00.1200000Z")
    assert ticks.format_message(moment) == "2024-05-01T12:00:00.12Z"
    assert ticks.format_column(moment) == "2024-05-01T12:00:00.1200000Z"
    assert ticks.format_message(ticks.parse("2024-05-01T12:00:00Z")) == "2024-05-01T12:00:00Z"


def test_offsets_are_converted_and_no_suffix_means_utc() -> None:
    """task-hub 0.3 rule 2."""
    utc = ticks.parse("2024-05-01T12:00:00Z")
    assert ticks.parse("2024-05-01T17:00:00+05:00") == utc
    assert ticks.parse("2024-05-01T12:00:00") == utc
    assert ticks.from_datetime(datetime(2024, 5, 1, 14, tzinfo=timezone(timedelta(hours=2)))) == utc


@pytest.mark.parametrize("text", ["", "yesterday", "2024-13-01T00:00:00Z", "2024-05-01"])
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"date|month"):
        ticks.parse(text)
