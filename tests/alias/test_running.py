"""The recorded app on a worker: rows, outputs and failures as the original stack left them (golden python-stack)."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from datetime import datetime, timezone
from functools import lru_cache
from typing import Any

import pytest

from durable_core.model.runtime import ClientProvider, LinkSettings
from durable_core.taskhub.instance_table import InstanceStatus
from durable_core.testing.virtual_time import run
from tests.alias import captured_app
from tests.alias.captured_app import ORCHESTRATORS, df
from tests.alias.test_worker_payloads import GOLDEN
from tests.worker.world import Process, World

_calls: dict[str, int] = {}


def flaky(x: str) -> str:
    _calls[x] = _calls.get(x, 0) + 1
    if _calls[x] < 3:
        raise RuntimeError(f"flaky {_calls[x]}")
    return f"ok after {_calls[x]}"


def boom(x: str) -> None:
    raise ValueError(f"bad thing {x}")


ACTIVITIES: dict[str, Callable[..., Any]] = {
    "say": lambda x: f"Hello {x}!",
    "echo_act": lambda x: x,
    "square": lambda x: x * x,
    "nothing": lambda x: None,
    "boom": boom,
    "flaky": flaky,
}


def an_app() -> Any:
    app = df.DFApp()
    for name, orchestrator in ORCHESTRATORS.items():
        app.orchestration_trigger(context_name="context", orchestration=name)(orchestrator)
    for name, activity in ACTIVITIES.items():
        app.activity_trigger(input_name="x", activity=name)(activity)
    app.entity_trigger(context_name="context", entity_name="counter")(captured_app.counter)
    return app


def in_app(scenario: Callable[[Process, Any], Awaitable[None]], app: Any = None) -> None:
    async def main() -> None:
        world = World((app or an_app()).durable_functions())
        process = await world.start()
        client = df.DurableOrchestrationClient(ClientProvider(process.client, LinkSettings("http://x")))
        await scenario(process, client)

    run(main(), limit=3600)


@lru_cache
def recorded() -> dict[str, dict[str, Any]]:
    rows = json.loads((GOLDEN.parent / "instances.json").read_text(encoding="utf-8"))
    return {row["PartitionKey"]["value"]: {name: cell["value"] for name, cell in row.items()} for row in rows}


INPUTS: dict[str, Any] = {
    "hello3": None,
    "input-object": {"a": 1, "list": [True, None, "é", 1.5], "nested": {"x": "y"}},
    "input-string": "plain text",
    "input-number": 42,
    "input-list": [1, 2],
    "fan4": 4,
    "timer-wins": 1,
    "parent": None,
    "parent-fail": None,
    "activity-fails": None,
    "activity-caught": None,
    "orchestrator-fails": None,
    "orchestrator-fails-first": None,
    "retry": None,
    "retry-exhausted": None,
    "again": None,
    "returns-nothing": None,
    "uses-entity": "k1",
}

_IDS = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{32}")


def shape(row: dict[str, Any]) -> dict[str, Any]:
    """What the row says, with generated ids and what follows ``Details`` set aside: it holds stack traces."""
    output = row.get("Output")
    if output is not None:
        output = _IDS.sub("ID", output.partition(" \\n " if '"caught"' in output else " \n ")[0])
    return {
        "Input": row.get("Input"),
        "Output": output,
        "CustomStatus": row.get("CustomStatus") or "null",
        "RuntimeStatus": row["RuntimeStatus"],
    }


def row_of(status: InstanceStatus) -> dict[str, Any]:
    return {
        "Input": status.input,
        "Output": status.output,
        "CustomStatus": status.custom_status,
        "RuntimeStatus": status.runtime_status.name,
    }


def test_the_rows_say_what_the_original_rows_say() -> None:
    """python-stack: inputs, outputs, custom status and status of 18 recorded instances."""

    async def scenario(process: Process, client: Any) -> None:
        _calls.clear()
        for instance_id, value in INPUTS.items():
            row = recorded()[instance_id]
            await client.start_new(row["Name"], instance_id, value)
            await asyncio.sleep(5)
            found = await process.client.get_status(instance_id)
            assert found is not None
            assert shape(row_of(found)) == shape(row), instance_id

    in_app(scenario)


def test_events_of_the_client_are_encoded_twice_and_those_of_others_once() -> None:
    """``event-wins``: the orchestrator receives text."""

    async def scenario(process: Process, client: Any) -> None:
        await client.start_new("approval", "event-wins", 30)
        await client.raise_event("event-wins", "approve", {"by": "me"})
        await client.start_new("approval", "outside", 30)
        await process.client.raise_event("outside", "approve", '{"by":"you"}')
        await asyncio.sleep(5)
        assert (await client.get_status("event-wins")).output == json.loads(recorded()["event-wins"]["Output"])
        assert (await client.get_status("outside")).output == {"approved": {"by": "you"}}

    in_app(scenario)


def test_what_the_http_api_sends_once_is_read_too() -> None:
    """The original breaks on scalars and lists; text that is JSON itself is the one ambiguity."""

    async def scenario(process: Process, client: Any) -> None:
        for number, (text, value) in enumerate(
            [('{"n":1}', {"n": 1}), ("42", 42), ("[1,2]", [1, 2]), ('"plain"', "plain"), ("null", None), ('"5"', 5)]
        ):
            await process.client.start_new("echogen", instance_id=f"i{number}", input=text)
            await asyncio.sleep(3)
            status = await client.get_status(f"i{number}")
            assert (status.output["in"], status.output["out"]) == (value, value)

    in_app(scenario)


def test_what_a_failed_operation_changed_is_kept() -> None:
    """``@counter@k1``: 8, then 1000 more by an operation that fails."""

    async def scenario(process: Process, client: Any) -> None:
        entity = df.EntityId("counter", "k2")
        await client.signal_entity(entity, "add", 7)
        await client.signal_entity(entity, "fail", "x")
        await asyncio.sleep(3)
        assert (await client.read_entity_state(entity)).entity_state == 1007

    in_app(scenario)


def test_an_unknown_activity_or_sub_orchestrator_fails_in_the_orchestrator_with_the_known_names() -> None:
    def unknown(context: Any) -> Any:
        told = []
        for call in (context.call_activity, context.call_sub_orchestrator):
            try:
                yield call("does_not_exist", 1)
            except Exception as error:
                told.append(str(error))
        return told

    app = an_app()
    app.orchestration_trigger(context_name="context")(unknown)

    async def scenario(process: Process, client: Any) -> None:
        await client.start_new("unknown", "u")
        await asyncio.sleep(300)
        activity, child = (await client.get_status("u")).output
        assert "does_not_exist" in activity
        assert "'boom', 'echo_act'" in activity
        assert "does_not_exist" in child
        assert "'again', 'approval'" in child

    in_app(scenario, app)


@pytest.mark.parametrize("bad", ["@st", "a/b", "a\\b", "a#b", "a?b", "a\nb", "x" * 257])
def test_ids_with_forbidden_characters_are_refused_at_the_start(bad: str) -> None:
    """python-api 8.0."""

    async def scenario(process: Process, client: Any) -> None:
        with pytest.raises(ValueError, match="instance id"):
            await client.start_new("hello3", bad)

    in_app(scenario)


def test_history_is_shown_under_both_names() -> None:
    async def scenario(process: Process, client: Any) -> None:
        await client.start_new("hello3", "h")
        await asyncio.sleep(3)
        status = await client.get_status("h", show_history=True)
        assert status.history is status.historyEvents
        assert [event["EventType"] for event in status.history][:2] == ["ExecutionStarted", "TaskCompleted"]
        missing = await client.get_status("missing")
        assert not missing
        assert missing.to_json()["createdTime"] is None

    in_app(scenario)


def test_the_client_lists_restarts_rewinds_and_purges() -> None:
    """python-api 8; captured texts and forms where there are any."""

    async def scenario(process: Process, client: Any) -> None:
        status = df.OrchestrationRuntimeStatus
        await client.start_new("hello3", "chk1")
        await client.start_new("fail_orch_first", "bad")
        await asyncio.sleep(3)
        links = await client.restart("chk1")
        assert set(links) == set(client.create_http_management_payload("chk1")) - {"rewindPostUri"}
        assert links["id"] != "chk1"
        assert (await client.restart("chk1", restart_with_new_instance_id=False))["id"] == "chk1"
        await asyncio.sleep(3)
        assert len(await client.get_status_all()) == 3
        completed = await client.get_status_by(runtime_status=[status.Completed], instance_id_prefix="ch")
        assert [found.instance_id for found in completed] == ["chk1"]
        with pytest.raises(Exception, match=r"No instance with ID missing found\."):
            await client.rewind("missing", "r")
        with pytest.raises(Exception, match="only"):
            await client.rewind("chk1", "r")
        await client.rewind("bad", "r")
        with pytest.raises(Exception, match=r"No instance with ID 'missing' found\."):
            await client.restart("missing")
        assert (await client.purge_instance_history("missing")).instances_deleted == 0
        assert (await client.purge_instance_history("chk1")).instances_deleted == 1
        with pytest.raises(ValueError, match="created_time_from is required"):
            await client.purge_instance_history_by()
        begin = datetime(2000, 1, 1, tzinfo=timezone.utc)
        with pytest.raises(ValueError, match="not those with runtimeStatus Running"):
            await client.purge_instance_history_by(begin, runtime_status=[status.Running])
        with pytest.raises(ValueError, match="members of OrchestrationRuntimeStatus, not 'Failed'"):
            await client.purge_instance_history_by(begin, runtime_status=["Failed"])
        await asyncio.sleep(3)
        assert (await client.purge_instance_history_by(begin, runtime_status=[status.Completed])).instances_deleted == 1
        assert (await client.purge_instance_history_by(begin)).instances_deleted == 1
        assert await client.get_status_all() == []

    in_app(scenario)
