"""Instances rows: what is written at each stage has the captured members, in order and with the captured types."""

from __future__ import annotations

import json
from typing import Any

import pytest

from durable_core.core import history as h
from durable_core.core.ticks import parse
from durable_core.storage.base import DateTime, Row, Value
from durable_core.taskhub.history_table import read_row
from durable_core.taskhub.instance_table import (
    checkpoint,
    created,
    merge_columns,
    read_status,
    terminated_without_history,
)
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


@pytest.mark.parametrize("instance", ["hello3", "fanout"])
def test_checkpoints_merge_the_captured_members(instance: str) -> None:
    merges = [body(entry) for entry in CALLS if entry["verb"] == "table.merge" and f"'{instance}'" in entry["path"]]
    episodes: list[list[h.HistoryEvent]] = [[]]
    for event in history_of(instance):
        episodes[-1].append(event)
        if isinstance(event, h.OrchestratorCompleted):
            episodes.append([])
    execution_id = str(merges[0]["ExecutionId"])
    for captured, events in zip(merges, episodes, strict=False):
        now = parse(str(captured["CompletedTime"])) if "CompletedTime" in captured else NOW
        ours = checkpoint(instance, execution_id, events, None, {}, hub="GoldenHub", now=now)
        assert list(ours) == list(captured)
        assert ours == captured


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
