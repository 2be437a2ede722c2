"""History rows: the captures column for column, checkpoints in batches, the current generation."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_core.core import history as h
from durable_core.errors import UndecodableMessageError
from durable_core.storage.base import Row, Value
from durable_core.taskhub.history_table import (
    MAX_BYTES,
    OVERFLOW_UNITS,
    assemble,
    batches,
    event_row,
    overflowing,
    read_row,
    sentinel_row,
)
from durable_core.taskhub.keys import SENTINEL, row_key, unescape_key
from durable_core.taskhub.wire import decode
from tests.golden_data import GOLDEN, columns, documents, message_texts
from tests.taskhub.event_columns import event_columns
from tests.taskhub.test_wire import common, failures, moments, optional_texts, tags, travelling

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


RECEIVED = (
    h.ExecutionStarted,
    h.TaskCompleted,
    h.TaskFailed,
    h.SubOrchestrationInstanceCompleted,
    h.SubOrchestrationInstanceFailed,
    h.TimerFired,
    h.EventRaised,
    h.ExecutionTerminated,
    h.ExecutionSuspended,
    h.ExecutionResumed,
    h.GenericEvent,
)
UNSENT = {
    *((f"@counter@{key}", 1) for key in ("c1", "c2", "c3", "c4", "c5", "t-a", "t-b")),
    *((instance, 1) for instance in ("can", "can_events")),
    *(("large", 5), ("large_input", 1), ("large_input", 4)),
}
"""Rows of starts that no message carried (entities, continue-as-new), and of messages that travelled in blobs."""


def test_received_events_stand_in_the_history_as_they_came() -> None:
    """golden README 2.5: the message's event, played. The README counts 78 such rows; there are 79."""
    sent: dict[tuple[str, str], set[str]] = {}
    for where, _, text in message_texts():
        message = decode(text).task_message
        if message is not None and where.startswith("dtfx/"):
            stored = {**event_columns(message.event), "IsPlayed": True}
            sent.setdefault((message.target.instance_id, str(stored["_Timestamp"])), set()).add(json.dumps(stored))
    seen, unsent = 0, set()
    for where, row in ROWS:
        if not where.startswith("dtfx ") or row["RowKey"] == SENTINEL or _is_rewound(row):
            continue
        event = read_row(row)
        if not isinstance(event, RECEIVED):
            continue
        instance = unescape_key(str(row["PartitionKey"]))
        found = sent.get((instance, str(row["_Timestamp"])))
        if found is None:
            unsent.add((instance, int(str(row["RowKey"]), 16)))
            continue
        assert json.dumps(event_columns(event)) in found, where
        seen += 1
    assert (seen, unsent) == (79, UNSENT)


decided: st.SearchStrategy[h.HistoryEvent] = st.one_of(
    *(
        st.builds(
            kind,
            **common,
            status=st.sampled_from(h.OrchestrationStatus),
            result=optional_texts,
            failure_details=failures,
        )
        for kind in (h.ExecutionCompleted, h.ContinueAsNew)
    ),
    st.builds(
        h.SubOrchestrationInstanceCreated,
        **common,
        name=optional_texts,
        instance_id=optional_texts,
        version=optional_texts,
        input=optional_texts,
        client_span_id=optional_texts,
        tags=tags,
    ),
    st.builds(h.TimerCreated, **common, fire_at=moments),
    st.builds(h.OrchestratorStarted, **common),
    st.builds(h.OrchestratorCompleted, **common),
    st.builds(h.EventSent, **common, instance_id=optional_texts, name=optional_texts, input=optional_texts),
)


@given(travelling | decided)
def test_events_survive_a_row(event: h.HistoryEvent) -> None:
    stored = {name: value for name, value in event_columns(event).items() if value is not None}
    again = read_row({**stored, "RowKey": row_key(0), "PartitionKey": "p"})
    assert again == event


@pytest.mark.parametrize("kind", ["ExecutionStarted", "EventRaised"])
def test_an_event_without_a_name_does_not_make_its_history_unreadable(kind: str) -> None:
    """A null Name has no column; on read a missing column is the default (task-hub 4.2)."""
    members: dict[str, Any] = {"Name": None, "OrchestrationInstance": {"InstanceId": "i", "ExecutionId": "e"}}
    body = {
        "TaskMessage": {
            "Event": {"$type": f"DurableTask.Core.History.{kind}Event", "Timestamp": "2026-01-01T00:00:00Z", **members},
            "OrchestrationInstance": {"InstanceId": "i"},
        }
    }
    message = decode(json.dumps(body)).task_message
    assert message is not None
    stored = event_columns(message.event)
    assert stored.pop("Name") == ""
    assert read_row(stored) == message.event


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("FailureDetails", '{"InnerFailure":' * 300 + "null" + "}" * 300, "nested more than 64 deep"),
        ("FailureDetails", "[1]", "FailureDetails is an array"),
        ("FailureDetails", "{", "Expecting"),
        ("TaskScheduledId", 1.5, "TaskScheduledId is a number"),
        ("TaskScheduledId", None, "'TaskScheduledId' is missing"),
        ("Reason", 5, "Reason is a number, not text"),
    ],
)
def test_an_unreadable_column_is_named_with_its_row(column: str, value: Value, said: str) -> None:
    row: dict[str, Value] = {**event_columns(h.TaskFailed(timestamp=1, task_scheduled_id=0)), column: value}
    with pytest.raises(UndecodableMessageError, match=f"row '{row_key(7)}' of instance key 'p' .*{said}"):
        read_row({**row, "PartitionKey": "p", "RowKey": row_key(7)})


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


@pytest.mark.parametrize("char", ["x", '"', "é", "注", "😀", "\x01"])
@pytest.mark.parametrize("column", ["Result", "Data"])
def test_no_batch_outgrows_the_service_whatever_it_is_written_in(char: str, column: str) -> None:
    """The request is JSON: what takes two bytes in UTF-16 may take six there, and 4 MiB is the service's limit."""
    value = char * (OVERFLOW_UNITS // (2 if char == "😀" else 1))
    rows = [{"RowKey": row_key(number), column: value} for number in range(90)]
    parts = batches(rows)
    assert [row for part in parts for row in part] == rows
    assert max(sum(len(json.dumps(row)) for row in part) for part in parts) <= MAX_BYTES


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
