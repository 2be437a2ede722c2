"""Instances rows: what is written at each stage has the captured members, in order and with the captured types."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_core.core import history as h
from durable_core.core.ticks import parse
from durable_core.errors import UndecodableMessageError
from durable_core.storage.base import DateTime, Row, Value
from durable_core.storage.odata import compile_filter
from durable_core.taskhub.history_table import read_row
from durable_core.taskhub.instance_table import (
    ALL_INSTANCES,
    PROJECTION,
    checkpoint,
    created,
    instance_filter,
    merge_columns,
    read_status,
    repaired,
    rewound,
    terminated_without_history,
)
from durable_core.taskhub.keys import escape_key
from durable_core.taskhub.wire import decode
from tests.golden_data import columns, documents, lines, message_texts

NOW = parse("2026-11-21T12:00:00Z")


def body(entry: dict[str, Any]) -> dict[str, Value]:
    document = json.loads(entry["body"])
    return {
        name: DateTime(value) if f"{name}@odata.type" in document else value
        for name, value in document.items()
        if not name.endswith("@odata.type")
    }


CALLS = [
    entry
    for entry in lines("dtfx/calls.jsonl")
    if "GoldenHubInstances" in entry["path"] and entry.get("body") and entry["verb"] in ("table.insert", "table.merge")
]
STARTS = {
    event.instance.execution_id: event
    for _, _, text in message_texts()
    if (message := decode(text).task_message) and isinstance(event := message.event, h.ExecutionStarted)
}


def test_creation_writes_the_captured_row() -> None:
    seen = 0
    for entry in CALLS:
        if entry["verb"] != "table.insert":
            continue
        captured = body(entry)
        start = STARTS[str(captured["ExecutionId"])]
        ours = created(start, hub="GoldenHub", now=parse(str(captured["LastUpdatedTime"])))
        assert list(ours) == list(captured)
        assert ours == captured
        seen += 1
    assert seen >= 4


def history_of(instance: str) -> list[h.HistoryEvent]:
    rows = [columns(row) for row in documents("dtfx/history.json") if row["PartitionKey"]["value"] == instance]
    return [read_row(row) for row in rows if row["RowKey"] != "sentinel"]


def merges_of(instance: str) -> list[dict[str, Value]]:
    return [body(entry) for entry in CALLS if entry["verb"] == "table.merge" and f"'{instance}'" in entry["path"]]


@pytest.mark.parametrize("instance", ["hello3", "fanout", "transfer"])
def test_checkpoints_merge_the_captured_members(instance: str) -> None:
    """golden README 2.8."""
    merges = merges_of(instance)
    episodes: list[list[h.HistoryEvent]] = [[]]
    for event in history_of(instance):
        episodes[-1].append(event)
        if isinstance(event, h.OrchestratorCompleted):
            episodes.append([])
    assert episodes.pop() == []
    execution_id = str(merges[0]["ExecutionId"])
    for captured, events in zip(merges, episodes, strict=True):
        now = parse(str(captured["CompletedTime"])) if "CompletedTime" in captured else NOW
        ours = checkpoint(instance, execution_id, events, None, {}, hub="GoldenHub", now=now)
        assert list(ours) == list(captured)
        assert ours == captured


def test_a_continued_instance_merges_the_captured_members() -> None:
    """golden README 2.8: each generation like a first episode, with its own start and no Generation (task-hub 6.9)."""
    *generations, last = merges_of("can")
    assert len(generations) == 3
    for number, captured in enumerate(generations):
        start = h.ExecutionStarted(
            timestamp=parse(str(captured["CreatedTime"])),
            instance=h.OrchestrationInstance("can", str(captured["ExecutionId"])),
            name="can",
            input=str(number + 1),
            generation=0 if number == 0 else None,
        )
        end = h.OrchestratorCompleted(timestamp=parse(str(captured["LastUpdatedTime"])))
        ours = checkpoint("can", start.instance.execution_id, [start, end], None, {}, hub="GoldenHub", now=NOW)
        assert (list(ours), ours) == (list(captured), captured)
    final = [event for event in history_of("can") if isinstance(event, h.ExecutionCompleted)]
    end = h.OrchestratorCompleted(timestamp=parse(str(last["LastUpdatedTime"])))
    now = parse(str(last["CompletedTime"]))
    ours = checkpoint("can", str(last["ExecutionId"]), [*final, end], None, {}, hub="GoldenHub", now=now)
    assert (list(ours), ours) == (list(last), last)


def test_a_rewind_and_what_follows_merge_the_captured_members() -> None:
    """golden README 2.8, task-hub 8.5: the rewound episode has no start, so the row stays Pending until the end."""
    _, failed, rewind, again, done = merges_of("rewound")
    ours = rewound("rewound", now=parse(str(rewind["LastUpdatedTime"])))
    assert (list(ours), ours) == (list(rewind), rewind)
    for captured, status in ((failed, "Failed"), (again, None), (done, "Completed")):
        events: list[h.HistoryEvent] = [h.OrchestratorCompleted(timestamp=parse(str(captured["LastUpdatedTime"])))]
        if status is not None:
            result = str(captured["Output"])
            events.insert(0, h.ExecutionCompleted(timestamp=1, status=h.OrchestrationStatus[status], result=result))
        now = parse(str(captured.get("CompletedTime", "2026-01-01T00:00:00Z")))
        merge = checkpoint("rewound", str(captured["ExecutionId"]), events, None, {}, hub="GoldenHub", now=now)
        assert (list(merge), merge) == (list(captured), captured)


@pytest.mark.parametrize("with_input", [True, False])
def test_a_repair_dates_the_end_as_the_history_does(with_input: bool) -> None:
    """task-hub 5.2: every column from the history, the input only if the row was missing."""
    stored = {str(columns(row)["PartitionKey"]): columns(row) for row in documents("dtfx/instances.json")}["hello3"]
    events = history_of("hello3")
    end = next(event for event in events if isinstance(event, h.ExecutionCompleted))
    row = repaired(
        "hello3", str(stored["ExecutionId"]), events, None, {}, hub="GoldenHub", now=NOW, with_input=with_input
    )
    assert parse(str(row["CompletedTime"])) == end.timestamp
    assert ("Input" in row) is with_input
    for name in ("Name", "CreatedTime", "LastUpdatedTime", "RuntimeStatus", "Tags", "Output", "CustomStatus"):
        assert row[name] == stored[name], name


def test_a_reason_too_large_for_a_column_is_a_url() -> None:
    event = h.ExecutionTerminated(timestamp=1, input="x" * 40_000)
    assert terminated_without_history("i", event, now=NOW, reason_url="https://blob")["Output"] == "https://blob"


@pytest.mark.parametrize(
    ("column", "value"), [("RuntimeStatus", "Odd"), ("Tags", "[1]"), ("Tags", "{"), ("CreatedTime", "soon")]
)
def test_an_unreadable_row_is_named_by_its_instance(column: str, value: str) -> None:
    row = {"PartitionKey": "a^0b", "RowKey": "", "RuntimeStatus": "Running", column: value}
    with pytest.raises(UndecodableMessageError, match="'a/b'"):
        read_status(Row(row, "E"))


def test_a_single_status_is_asked_for_as_captured() -> None:
    """golden calls.jsonl, task-hub 8.7."""
    queries = {entry["query"] for entry in lines("dtfx/calls.jsonl") if "GoldenHubInstances" in entry["path"]}
    for instance in ("hello3", "odd%id'é"):
        question = f"$filter={instance_filter(instance_id=instance)}&$top=1"
        assert question in queries
        assert f"{question}&$select={','.join(PROJECTION)},ETag" in queries


def test_conditions_are_joined_as_specified() -> None:
    """task-hub 8.7: parentheses only around several conditions."""
    assert instance_filter() == ""
    assert instance_filter(statuses=[h.OrchestrationStatus.Failed]) == "RuntimeStatus eq 'Failed'"
    asked = instance_filter(
        created_from=NOW,
        created_to=NOW + 1,
        statuses=[h.OrchestrationStatus.Running, h.OrchestrationStatus.Pending],
        hubs=["A"],
        prefix="it's/",
        exclude_entities=True,
    )
    assert asked == (
        "(CreatedTime ge datetime'2026-11-21T12:00:00.0000000Z') and "
        "(CreatedTime le datetime'2026-11-21T12:00:00.0000001Z') and "
        "(RuntimeStatus eq 'Running' or RuntimeStatus eq 'Pending') and (TaskHubName eq 'A') and "
        "(PartitionKey ge 'it''s^0') and (PartitionKey lt 'it''s^1')"
    )
    assert instance_filter(exclude_entities=True) == "PartitionKey lt '@' or PartitionKey ge 'A'"


def test_filters_select_what_they_say() -> None:
    rows = [columns(row) for row in documents("dtfx/instances.json")]
    all_ids = [str(row["PartitionKey"]) for row in rows]

    def chosen(asked: str) -> list[str]:
        matches = compile_filter(asked).matches
        return [str(row["PartitionKey"]) for row in rows if matches(row)]

    assert chosen(ALL_INSTANCES) == all_ids
    assert chosen(instance_filter(exclude_entities=True)) == [key for key in all_ids if not key.startswith("@")]
    assert chosen(instance_filter(prefix="@counter@c")) == [f"@counter@c{number}" for number in range(1, 6)]
    failed = chosen(instance_filter(statuses=[h.OrchestrationStatus.Failed]))
    assert {"fails", "throws_self", "parent_fails"} <= set(failed)
    hello = next(parse(str(row["CreatedTime"])) for row in rows if row["PartitionKey"] == "hello3")
    assert chosen(instance_filter(created_from=hello, created_to=hello)) == ["hello3"]


def _units(key: str) -> bytes:
    return key.encode("utf-16-be", "surrogatepass")


@given(st.text(min_size=1, max_size=4), st.text(max_size=4))
@pytest.mark.parametrize("end", ["", "\ud7ff", "\uffff", "\U0010ffff", "\U000103ff", "'"])
def test_a_prefix_is_a_range_of_keys(end: str, prefix: str, other: str) -> None:
    """Keys are ordered by UTF-16 units."""
    prefix += end
    asked = instance_filter(prefix=prefix)
    low, *high = [part.strip("()").split("'", 1)[1][:-1].replace("''", "'") for part in asked.split(") and (")]
    for instance in (prefix + other, other):
        key = escape_key(instance)
        inside = _units(low) <= _units(key) and all(_units(key) < _units(bound) for bound in high)
        assert inside is instance.startswith(prefix)


def test_every_captured_row_reads_as_a_status() -> None:
    for folder in ("dtfx", "dtfx-more", "python-stack"):
        for row in documents(f"{folder}/instances.json"):
            values = columns(row)
            status = read_status(Row(values, "E"))
            assert status.runtime_status.name == values["RuntimeStatus"]
            assert status.output == values.get("Output")
    by_id = {
        status.instance_id: status
        for row in documents("dtfx/instances.json")
        for status in [read_status(Row(columns(row), ""))]
    }
    assert by_id["hello3"].custom_status is None
    assert by_id["approval"].custom_status == '"done"'
    assert by_id["tags"].tags == {"team": "blue"}
    assert by_id["restarted"].generation == 1
    assert "odd%id'é" in by_id


def test_the_last_event_wins_and_terminate_keeps_its_reason() -> None:
    """task-hub 5.1: ExecutionTerminated, then ExecutionCompleted with status Terminated."""
    events = [
        h.OrchestratorStarted(timestamp=1),
        h.ExecutionTerminated(timestamp=1, input="enough"),
        h.ExecutionCompleted(timestamp=1, status=h.OrchestrationStatus.Terminated, result="enough"),
        h.OrchestratorCompleted(timestamp=2),
    ]
    row = checkpoint("i", "e", events, '{"a":1}', {}, hub="H", now=NOW)
    assert (row["RuntimeStatus"], row["Output"], row["CustomStatus"]) == ("Terminated", "enough", '{"a":1}')
    suspended = checkpoint("i", "e", [h.ExecutionSuspended(timestamp=1, reason="hold")], None, {}, hub="H", now=NOW)
    assert (suspended["RuntimeStatus"], suspended["Output"], suspended["CustomStatus"]) == ("Suspended", "hold", "null")


def test_overflowed_output_is_a_url() -> None:
    events = [h.ExecutionCompleted(timestamp=1, status=h.OrchestrationStatus.Completed, result="x" * 99)]
    row = checkpoint("i", "e", events, None, {(0, "Result"): "https://blob"}, hub="H", now=NOW)
    assert row["Output"] == "https://blob"


def test_one_merge_with_the_effect_of_two() -> None:
    older: dict[str, Value] = {
        "RuntimeStatus": "Running",
        "Input": "1",
        "Generation": 0,
        "LastUpdatedTime": DateTime("a"),
    }
    newer: dict[str, Value] = {
        "RuntimeStatus": "Completed",
        "Input": None,
        "Output": "2",
        "LastUpdatedTime": DateTime("b"),
    }
    assert merge_columns(older, newer) == {
        "RuntimeStatus": "Completed",
        "Input": "1",
        "Generation": 0,
        "LastUpdatedTime": "b",
        "Output": "2",
    }


def test_terminating_what_never_ran_writes_the_captured_members() -> None:
    """task-hub 5.2."""
    row = terminated_without_history("i", h.ExecutionTerminated(timestamp=NOW, input="before start"), now=NOW)
    assert list(row) == ["PartitionKey", "RowKey", "RuntimeStatus", "LastUpdatedTime", "CompletedTime", "Output"]
