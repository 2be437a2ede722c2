"""Rows of the four frequent kinds are read in one pass, to the same events as all others."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_core.core import history as h
from durable_core.storage.base import DateTime, Row, Value
from durable_core.taskhub.history_table import read_row
from durable_core.taskhub.usual_rows import usual_events
from tests.taskhub.event_columns import event_columns
from tests.taskhub.test_history_table import ROWS, decided
from tests.taskhub.test_wire import travelling

USUAL: tuple[h.HistoryEvent, ...] = (
    h.OrchestratorStarted(timestamp=10**17),
    h.TaskCompleted(timestamp=10**17 + 1, is_played=True, task_scheduled_id=3, result='"done"'),
    h.TaskScheduled(timestamp=10**17, event_id=4, name="work", version=""),
    h.TaskScheduled(timestamp=10**17 + 2, event_id=5, name="work", version="1.0", input='["x"]'),
    h.OrchestratorCompleted(timestamp=10**17),
)


def stored(event: h.HistoryEvent, **changed: Value) -> Row:
    columns = {**event_columns(event), **changed}
    return Row({name: value for name, value in columns.items() if value is not None}, "")


def test_rows_as_we_write_them_are_all_read_in_one_pass() -> None:
    assert usual_events([stored(event) for event in USUAL]) == list(USUAL)


@given(st.lists(travelling | decided))
def test_what_is_read_in_one_pass_is_what_the_general_way_reads(events: list[h.HistoryEvent]) -> None:
    rows = [stored(event) for event in events]
    read = usual_events(rows)
    assert len(read) == len(events)
    assert all(found is None or found == event for found, event in zip(read, events, strict=True))


def test_captured_rows_are_read_in_one_pass_or_left_to_the_general_way() -> None:
    """Most rows of .NET, too, are of the four kinds."""
    rows = [Row(row, "") for _, row in ROWS if row["RowKey"] != "sentinel"]
    read = usual_events(rows)
    assert all(event is None or event == read_row(row.values) for event, row in zip(read, rows, strict=True))
    assert sum(event is not None for event in read) > len(rows) / 2


@pytest.mark.parametrize("event", USUAL, ids=lambda event: type(event).__name__)
def test_a_row_that_lacks_a_column_is_left_to_the_general_way(event: h.HistoryEvent) -> None:
    optional = {"Input", "Tags", "ParentTraceContext"}
    for name in stored(event).values.keys() - optional:
        assert usual_events([stored(event, **{name: None})]) == [None], name


@pytest.mark.parametrize(
    ("event", "changed"),
    [
        (USUAL[0], {"IsPlayed": 1}),
        (USUAL[0], {"_Timestamp": "2026-01-01T00:00:00.0000000Z"}),
        (USUAL[0], {"_Timestamp": DateTime("yesterday")}),
        (USUAL[0], {"EventId": 7}),
        (USUAL[1], {"TaskScheduledId": "3"}),
        (USUAL[1], {"TaskScheduledId": True}),
        (USUAL[1], {"Result": "", "ResultBlobName": "b"}),
        (USUAL[1], {"Result": 5}),
        (USUAL[2], {"EventId": 1.5}),
        (USUAL[2], {"Name": "", "NameBlobName": "b"}),
        (USUAL[2], {"Input": None, "InputBlobName": "b"}),
        (USUAL[3], {"Input": "", "InputBlobName": "b"}),
        (USUAL[3], {"Tags": '{"a":"b"}'}),
        (USUAL[3], {"Tags": "", "TagsBlobName": "b"}),
        (USUAL[3], {"ParentTraceContext": "{}"}),
        (USUAL[4], {"EventId": 0}),
        (USUAL[4], {"EventType": "TimerFired"}),
    ],
)
def test_a_row_that_looks_different_is_left_to_the_general_way(event: h.HistoryEvent, changed: dict[str, Any]) -> None:
    assert usual_events([stored(event, **changed)]) == [None]
