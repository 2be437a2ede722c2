"""History rows: the captures column for column, checkpoints in batches, the current generation."""

from __future__ import annotations

import pytest
from hypothesis import given

from durable_core.core import history as h
from durable_core.errors import UndecodableMessageError
from durable_core.storage.base import Row, Value
from durable_core.taskhub.history_table import (
    OVERFLOW_UNITS,
    assemble,
    batches,
    event_columns,
    event_row,
    overflowing,
    read_row,
    sentinel_row,
)
from durable_core.taskhub.keys import SENTINEL, row_key
from tests.golden_data import GOLDEN, columns, documents
from tests.taskhub.test_wire import travelling

ROWS = [
    (f"{path.parent.name} {row['PartitionKey']['value']} {row['RowKey']['value']}", columns(row))
    for path in sorted(GOLDEN.glob("*/history.json"))
    for row in documents(f"{path.parent.name}/history.json")
]


def _is_rewound(row: dict[str, Value]) -> bool:
    return str(row.get("Reason", "")).startswith("Rewound:")


def test_every_captured_row_is_written_again_column_for_column() -> None:
    """golden README 2.4: same columns, same order, same types; a native null has no column."""
    seen = 0
    for where, row in ROWS:
        if row["RowKey"] == SENTINEL or _is_rewound(row):
            continue
        again = event_row(
            read_row(row),
            partition_key=str(row["PartitionKey"]),
            position=int(str(row["RowKey"]), 16),
            execution_id=str(row["ExecutionId"]),
        )
        stored = {name: value for name, value in again.items() if value is not None}
        expected = {name: value for name, value in row.items() if not name.endswith("BlobName")}
        assert stored == expected, where
        assert [type(stored[name]) for name in expected] == [type(value) for value in expected.values()], where
        keys = ("PartitionKey", "RowKey")
        assert [name for name in stored if name not in keys] == [name for name in expected if name not in keys], where
        seen += 1
    assert seen > 900


def test_rewound_rows_are_read_as_markers() -> None:
    """Behaviour 92: they keep the columns of the event they were, and replay ignores them."""
    rewound = [row for _, row in ROWS if _is_rewound(row) and row["EventType"] == "GenericEvent"]
    assert rewound
    assert all(isinstance(read_row(row), h.GenericEvent) for row in rewound)


def test_every_captured_sentinel_has_the_columns_that_we_write() -> None:
    for where, row in ROWS:
        if row["RowKey"] == SENTINEL:
            ours = sentinel_row(str(row["PartitionKey"]), str(row["ExecutionId"]), complete_at=1)
            assert {name: type(value) for name, value in ours.items()} == {
                name: type(value) for name, value in row.items()
            }, where


@given(travelling)
def test_events_survive_a_row(event: h.HistoryEvent) -> None:
    stored = {name: value for name, value in event_columns(event).items() if value is not None}
    again = read_row({**stored, "RowKey": row_key(0), "PartitionKey": "p"})
    if isinstance(event, h.GenericEvent):
        assert again == event
    else:
        assert again == event or _only_blank_names(event, again)


def _only_blank_names(event: h.HistoryEvent, again: h.HistoryEvent) -> bool:
    """An absent Version column reads as null; nothing else may differ."""
    return event_columns(event) == event_columns(again)


@pytest.mark.parametrize(("length", "overflows"), [(OVERFLOW_UNITS, False), (OVERFLOW_UNITS + 1, True)])
def test_a_column_of_more_than_60_kib_overflows(length: int, overflows: bool) -> None:
    """task-hub 4.5, measured in UTF-16 code units."""
    assert overflowing({"Input": "x" * length}) == (["Input"] if overflows else [])
    half = length // 2 + (length % 2)
    assert bool(overflowing({"Result": "\U0001f600" * half})) is overflows


def test_batches_hold_99_rows_and_3_mib() -> None:
    """task-hub 4.4; captured in fanout250 as 99, 99 and the rest."""
    rows = [{"RowKey": str(number)} for number in range(253)]
    assert [len(batch) for batch in batches(rows)] == [99, 99, 55]
    large = [{"RowKey": str(number), "Result": "x" * 30_000} for number in range(60)]
    assert [len(batch) for batch in batches(large)] == [51, 9]
    assert batches([]) == [[]]


def generation(execution_id: str, *kinds: type[h.HistoryEvent], first: int = 0) -> list[Row]:
    return [
        Row(
            event_row(kind(timestamp=1), partition_key="p", position=first + index, execution_id=execution_id),
            "",
        )
        for index, kind in enumerate(kinds)
    ]


def sentinel(execution_id: str, *, complete: bool = True) -> Row:
    return Row(sentinel_row("p", execution_id, complete_at=1 if complete else None), "E")


def test_leftovers_of_a_longer_generation_are_not_read() -> None:
    """task-hub 4.7 step 3."""
    rows = [
        *generation("new", h.OrchestratorStarted, h.OrchestratorCompleted),
        *generation("old", h.OrchestratorStarted, h.OrchestratorCompleted, first=2),
        sentinel("new"),
    ]
    loaded = assemble(rows)
    assert (len(loaded.rows), loaded.execution_id, loaded.etag, loaded.partial_rows) == (2, "new", "E", [])


def test_a_checkpoint_that_was_cut_off_ends_at_the_last_complete_episode() -> None:
    """Design rule 2, split checkpoints."""
    rows = [
        *generation("a", h.OrchestratorStarted, h.OrchestratorCompleted, h.OrchestratorStarted, h.OrchestratorStarted),
        sentinel("a", complete=False),
    ]
    loaded = assemble(rows)
    assert len(loaded.rows) == 2
    assert loaded.partial_rows == [row_key(2), row_key(3)]
    only_partial = assemble([*generation("a", h.OrchestratorStarted), sentinel("a", complete=False)])
    assert (only_partial.rows, only_partial.execution_id, only_partial.etag) == ([], None, "E")


def test_no_rows_mean_no_history_and_no_lock() -> None:
    loaded = assemble([])
    assert (loaded.rows, loaded.etag, loaded.execution_id) == ((), None, None)


def test_a_row_of_an_unknown_event_is_refused_by_name() -> None:
    with pytest.raises(UndecodableMessageError, match="0000000000000007"):
        read_row(
            {"PartitionKey": "p", "RowKey": row_key(7), "EventType": "Surprise", "_Timestamp": "2026-01-01T00:00:00Z"}
        )
