"""The commands of ``func durable`` as aliases (http-and-protocol 8), on the in-memory service."""

from __future__ import annotations

import json
from typing import Any

import pytest

from durable_core.cli import func_durable
from tests.cli.conftest import Shell
from tests.worker.sample import FUNCTIONS
from tests.worker.world import World


async def some(world: World) -> None:
    process = await world.start()
    await process.client.start_new("fan_out", instance_id="a", input="2")
    await process.client.start_new("fails", instance_id="b")
    await process.client.start_new("waiter", instance_id="c")
    await world.settle()
    await process.worker.stop()


@pytest.fixture
def filled(shell: Shell) -> Shell:
    shell.fill(FUNCTIONS, some)
    return shell


def events(shell: Shell) -> list[dict[str, Any]]:
    return [json.loads(text)["TaskMessage"]["Event"] for text in shell.sent()]


def test_start_new_takes_a_text_as_a_string_and_a_file_as_json(filled: Shell) -> None:
    (filled.root / "in.json").write_text('{"x": 1}')
    for given in ("plain", "@in.json"):
        done = filled(
            "start-new", "--function-name", "hello5", "--id", f"n{given[:1]}".replace("@", "f"), "--input", given
        )
    assert "Started 'hello5' at 2026-01-01T" in done.stdout and "Instance ID: 'nf'." in done.stdout
    assert sorted(event["Input"] for event in events(filled)) == ['"plain"', '{"x":1}']
    assert "cannot be read" in filled("start-new", "--function-name", "f", "--input", "@nowhere", code=2).stderr
    filled("start-new", "--function-name", "f", "--id", "@x", code=2)
    filled("start-new", code=2)


def test_get_instances_pages_and_filters_by_several_statuses(filled: Shell) -> None:
    done = filled("get-instances", "--runtime-status", "completed", "failed", "--top", "1")
    text, _, token = done.stdout.partition("\nContinuation token for next set of results: ")
    (first,) = json.loads(text)
    assert (first["OrchestrationInstance"]["InstanceId"], first["OrchestrationStatus"]) == ("a", 1)
    assert first["Output"] == '["Hello 0","Hello 1"]' or first["Output"] == '["Hello 0", "Hello 1"]'
    token = token.strip()[1:-1]
    done = filled("get-instances", "--continuation-token", token, "--runtime-status", "completed failed")
    (second,) = json.loads(done.stdout.partition("\nContinuation")[0])
    assert (second["Name"], second["OrchestrationStatus"]) == ("fails", 3)
    assert done.stdout.rstrip().endswith("'none'")
    assert json.loads(filled("get-instances", "--created-after", "2027-01-01").stdout.partition("\nCont")[0]) == []
    assert "Running, Completed" in filled("get-instances", "--runtime-status", "odd", code=2).stderr
    assert "extra" in filled("get-instances", "extra", code=2).stderr


def test_100_get_runtime_status_of_an_unknown_id_exits_with_1(filled: Shell) -> None:
    bare = json.loads(filled("get-runtime-status", "--id", "a").stdout)
    assert (bare["Name"], bare["Input"], bare["Output"]) == ("fan_out", None, None)
    full = json.loads(filled("get-runtime-status", "--id", "a", "--show-input", "--show-output").stdout)
    assert (full["Input"], json.loads(full["Output"])) == ("2", ["Hello 0", "Hello 1"])
    for command in ("get-runtime-status", "get-history", "terminate", "rewind", "raise-event"):
        assert "No instance with ID 'nobody'" in filled(command, "--id", "nobody", code=1).stderr


def test_get_history_names_event_types(filled: Shell) -> None:
    found = json.loads(filled("get-history", "--id", "a").stdout)
    assert [event["EventType"] for event in found[:4]] == [
        "OrchestratorStarted",
        "ExecutionStarted",
        "TaskScheduled",
        "TaskScheduled",
    ]
    assert found[1]["Name"] == "fan_out" and found[-2]["Status"] == "Completed"


def test_rewind_shows_the_status_before_and_after(filled: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    assert func_durable._REWIND_PAUSE == 3
    monkeypatch.setattr(func_durable, "_REWIND_PAUSE", 0.01)
    assert filled("rewind", "--id", "b").stdout.splitlines() == [
        "Rewind message sent to instance 'b'. Retrieving new status now...",
        "Status before rewind: Failed",
        "Status after rewind:  Pending",
    ]
    assert "Failed" in filled("rewind", "--id", "a", code=1).stderr


def test_instances_are_steered(filled: Shell) -> None:
    assert "Raised event 'go'" in filled("raise-event", "--id", "c", "--event-name", "go", "--event-data", "x").stdout
    filled("durable", "raise-event", "--id", "c")
    names = [event.get("Name") for event in events(filled) if "Name" in event]
    assert names[0] == "go" or names[1] == "go"
    assert any(str(name).startswith("Event_") for name in names)


def test_purging_and_deleting_need_a_yes(filled: Shell) -> None:
    filled("purge-history", code=2)
    assert "not those with" in filled("purge-history", "--runtime-status", "failed", "running", "-y", code=2).stderr
    done = filled("purge-history", "--runtime-status", "Completed", "--created-after", "2025-12-01", "--yes")
    assert done.stdout.splitlines() == [
        "Purged orchestration history for all instances created between 2025-12-01 and now",
        "Instances deleted: 1",
    ]
    done = filled("delete-task-hub", "--task-hub-name", "TestHub", "--connection-string-setting", "Storage", "--yes")
    assert done.stdout == "Task hub 'TestHub' successfully deleted.\n"
    filled("delete-task-hub", "--yes", code=1)
