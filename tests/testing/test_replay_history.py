"""Replaying exports: rows, status documents, and what they may lack."""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

import durable_core as df
from durable_core.core import history as h
from durable_core.errors import ExportError, NonDeterminismError
from durable_core.taskhub.history_table import event_row
from durable_core.taskhub.status_history import history_events
from durable_core.testing.exports import RowExport
from durable_core.testing.replaying import replay_histories, replay_history
from tests.golden_data import lines
from tests.testing.test_golden_histories import REPLAYED, functions, started

Steps = Generator[Any, Any, Any]


def status(export: RowExport, *, with_input: bool = True, with_output: bool = True) -> dict[str, Any]:
    events = history_events(export.events, with_input=with_input, with_output=with_output)
    name = started(export).name
    return {"name": name, "instanceId": export.instance_id, "runtimeStatus": "?", "historyEvents": events}


@pytest.mark.parametrize(("folder", "export"), REPLAYED)
def test_a_status_document_replays_like_the_rows(folder: str, export: RowExport) -> None:
    outcome = replay_history(status(export), functions(folder))
    assert outcome.is_same, str(outcome)
    if export.instance_id not in OTHER_OUTPUT and started(export).name != "child":
        assert not [note for note in outcome.notes if "the code now returns" in note]


OTHER_OUTPUT = ("ids-and-dates", "uses-entity")
"""Their outputs contain ids made from times, which status documents tell only roughly."""


LEFT_OUT = ("nondet", "nondet_name", "no_act", "no_sub", "nope")
UNREADABLE = ("g_scalar", "g_list", "g_str", "g_echo", "rp1")
"""Inputs sent over HTTP that the original SDK cannot read."""


def recorded_documents() -> list[Any]:
    found = {}
    for line in lines("python-stack/http_golden.jsonl"):
        body = line["response"].get("body")
        complete = "showHistoryOutput=true" in line["request"]["path"]
        if complete and isinstance(body, str) and '"historyEvents":[{' in body:
            document = json.loads(body)
            if document["name"] not in LEFT_OUT and document["instanceId"] not in UNREADABLE:
                found[f"{line['name']}-{document['instanceId']}"] = document
    return [pytest.param(document, id=name) for name, document in found.items()]


@pytest.mark.parametrize("document", recorded_documents())
def test_recorded_status_documents_replay(document: dict[str, Any]) -> None:
    outcome = replay_history(document, functions("python-stack"))
    assert outcome.is_same, str(outcome)


# ---- an app that changes ---------------------------------------------------------------------------------------------


def app_of(function: Any) -> df.DFApp:
    app = df.DFApp()
    app.orchestration_trigger(context_name="context", orchestration="order")(function)
    return app


def before(context: df.DurableOrchestrationContext) -> Steps:
    paid = yield context.call_activity("pay", context.get_input())
    yield context.create_timer(context.current_utc_datetime)
    sent = yield context.call_sub_orchestrator("ship")
    yield context.wait_for_external_event("received")
    return [paid, sent]


RECORDED: list[h.HistoryEvent] = [
    h.OrchestratorStarted(timestamp=1000),
    h.ExecutionStarted(
        timestamp=900, instance=h.OrchestrationInstance("order-1", "e1"), name="order", input='{"sum":5}'
    ),
    h.TaskScheduled(timestamp=1000, event_id=0, name="pay"),
    h.OrchestratorCompleted(timestamp=1000),
    h.OrchestratorStarted(timestamp=2000),
    h.TaskCompleted(timestamp=1900, task_scheduled_id=0, result='"paid"'),
    h.TimerCreated(timestamp=2000, event_id=1, fire_at=2000),
    h.OrchestratorCompleted(timestamp=2000),
    h.OrchestratorStarted(timestamp=3000),
    h.TimerFired(timestamp=2000, timer_id=1, fire_at=2000),
    h.SubOrchestrationInstanceCreated(timestamp=3000, event_id=2, name="ship", instance_id="e1:2"),
    h.OrchestratorCompleted(timestamp=3000),
    h.OrchestratorStarted(timestamp=4000),
    h.SubOrchestrationInstanceCompleted(timestamp=3900, task_scheduled_id=2, result='"sent"'),
    h.OrchestratorCompleted(timestamp=4000),
    h.OrchestratorStarted(timestamp=5000),
    h.EventRaised(timestamp=4900, name="received", input="null"),
    h.ExecutionCompleted(timestamp=5000, event_id=3, status=h.OrchestrationStatus.Completed, result='["paid","sent"]'),
    h.OrchestratorCompleted(timestamp=5000),
]


def rows(events: list[h.HistoryEvent] = RECORDED) -> list[dict[str, Any]]:
    """Plain values, as an export without types has them."""
    return [
        json.loads(json.dumps(event_row(event, partition_key="order-1", position=number, execution_id="e1")))
        for number, event in enumerate(events)
    ]


def document(events: list[h.HistoryEvent] = RECORDED, **flags: bool) -> dict[str, Any]:
    return status(RowExport("order-1", events), **flags)


BOTH = [pytest.param(rows, id="rows"), pytest.param(document, id="status")]


@pytest.mark.parametrize("export", BOTH)
def test_unchanged_code_replays_to_its_end(export: Any) -> None:
    outcome = replay_history(export(), app_of(before))
    outcome.raise_if_diverged()
    assert (outcome.status, outcome.output, outcome.notes) == (h.OrchestrationStatus.Completed, '["paid","sent"]', ())


def other_activity(context: df.DurableOrchestrationContext) -> Steps:
    yield context.call_activity("charge")


def no_timer(context: df.DurableOrchestrationContext) -> Steps:
    yield context.call_activity("pay")
    yield context.call_sub_orchestrator("ship")


def ends_early(context: df.DurableOrchestrationContext) -> Steps:
    yield context.call_activity("pay")
    return "done"


def asks_more(context: df.DurableOrchestrationContext) -> Steps:
    yield from before(context)
    yield context.call_activity("thank")


def fails_at_the_end(context: df.DurableOrchestrationContext) -> Steps:
    yield from before(context)
    raise ValueError("no")


@pytest.mark.parametrize(
    ("code", "expected", "instead", "at"),
    [
        (other_activity, "TaskScheduled named 'pay'", "a call of activity 'charge'", (2, 1)),
        (no_timer, "TimerCreated", "a call of sub-orchestrator 'ship'", (6, 2)),
        (ends_early, "TimerCreated", "the end of the orchestration", (6, 2)),
        (asks_more, "the end of the orchestration, Completed", "a call of activity 'thank'", (17, 6)),
        (fails_at_the_end, "the end of the orchestration, Completed", "the end, Failed", (17, 6)),
    ],
)
@pytest.mark.parametrize("export", BOTH)
def test_where_changed_code_diverges(code: Any, expected: str, instead: str, at: tuple[int, int], export: Any) -> None:
    outcome = replay_history(export(), app_of(code))
    found = outcome.divergence
    assert found is not None
    assert found.expected.startswith(expected)
    assert found.instead.startswith(instead)
    assert found.position == (at[0] if export is rows else at[1])
    assert found.function == "order"
    with pytest.raises(NonDeterminismError, match="order-1"):
        outcome.raise_if_diverged()


@pytest.mark.parametrize("export", BOTH)
def test_what_is_added_behind_the_end_of_a_running_instance_is_only_noted(export: Any) -> None:
    def longer(context: df.DurableOrchestrationContext) -> Steps:
        yield context.call_activity("pay")
        yield context.create_timer(context.current_utc_datetime)
        yield context.call_sub_orchestrator("ship")
        yield context.call_activity("thank")

    outcome = replay_history(export(RECORDED[:15]), app_of(longer))
    assert outcome.is_same
    assert outcome.notes == ("beyond the end of the history the code goes on: a call of activity 'thank'",)


@pytest.mark.parametrize("export", BOTH)
def test_another_output_is_only_noted(export: Any) -> None:
    def shorter(context: df.DurableOrchestrationContext) -> Steps:
        yield from before(context)
        return "ok"

    outcome = replay_history(export(), app_of(shorter))
    assert outcome.is_same
    assert outcome.notes == ('the code now returns "ok", recorded is ["paid","sent"]',)


def test_an_unknown_orchestrator_names_the_known_ones() -> None:
    app = df.DFApp()
    app.orchestration_trigger(context_name="context", orchestration="orders")(before)
    found = replay_history(rows(), app).divergence
    assert found is not None and "'orders'" in found.hint


def test_several_instances_are_replayed_or_chosen() -> None:
    more = [*rows(), *({**row, "PartitionKey": "order-2"} for row in rows())]
    assert [outcome.is_same for outcome in replay_histories(more, app_of(before))] == [True, True]
    with pytest.raises(ExportError, match="2 instances"):
        replay_history(more, app_of(before))
    with pytest.raises(ExportError, match="no instance 'x'"):
        replay_history(more, app_of(before), instance_id="x")


def test_answers_in_another_order_and_calls_that_cannot_be_told_apart() -> None:
    def fan(context: df.DurableOrchestrationContext) -> Steps:
        return (yield context.task_all([context.call_activity(name) for name in "aba"]))

    events: list[h.HistoryEvent] = [
        *RECORDED[:2],
        *(h.TaskScheduled(timestamp=1000, event_id=number, name=name) for number, name in enumerate("aba")),
        h.OrchestratorCompleted(timestamp=1000),
        h.OrchestratorStarted(timestamp=2000),
        *(h.TaskCompleted(timestamp=1900, task_scheduled_id=number, result=str(number)) for number in (1, 2, 0)),
        h.ExecutionCompleted(timestamp=2000, event_id=3, status=h.OrchestrationStatus.Completed, result="[0,1,2]"),
    ]
    exact = replay_history(rows(events), app_of(fan))
    assert (exact.is_same, exact.output, exact.notes) == (True, "[0,1,2]", ())
    guessed = replay_history(document(events), app_of(fan))
    assert guessed.is_same
    assert guessed.output == "[2,1,0]"
    assert "cannot be told apart" in guessed.notes[0] and "--rows" in guessed.notes[0]


# ---- exports that lack something -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("export", "text"),
    [
        ({"hello": 1}, "neither a status document nor a row"),
        ([], "no exported history"),
        ([1], "no exported history"),
        ({"name": "order", "instanceId": "i", "runtimeStatus": "Running", "historyEvents": None}, "showHistory=true"),
        ({"name": "order", "instanceId": "i", "runtimeStatus": "Running"}, "showHistory=true"),
        (document(with_input=False), "showInput=true"),
        (document(with_output=False), "showHistoryOutput=true"),
        ({**document(), "historyEvents": document()["historyEvents"][1:]}, "no ExecutionStarted"),
        (rows(RECORDED[2:]), "no orchestration with an ExecutionStarted"),
        ([{**rows()[0], "EventType": "Strange"}], "cannot be read"),
        ([*rows()[:5], {**rows()[5], "Result": "", "ResultBlobName": "order-1/x.json.gz"}], "order-1/x.json.gz"),
    ],
)
def test_what_is_missing_is_told_with_the_way_to_export_it(export: Any, text: str) -> None:
    with pytest.raises(ExportError, match=text.replace("(", r"\(")) as caught:
        replay_history(export, app_of(before))
    assert "showHistory" in str(caught.value)


def test_a_blob_may_be_given_and_those_of_outputs_are_not_needed() -> None:
    large = rows()
    large[5] = {**large[5], "Result": "", "ResultBlobName": "order-1/x.json.gz"}
    large[17] = {**large[17], "Result": "", "ResultBlobName": "order-1/y.json.gz"}
    outcome = replay_history(large, app_of(before), blobs={"order-1/x.json.gz": '"paid"'})
    assert (outcome.is_same, outcome.output, outcome.notes) == (True, '["paid","sent"]', ())


def test_files_are_read_and_bad_ones_told(tmp_path: Path) -> None:
    file = tmp_path / "history.json"
    file.write_text("\ufeff" + json.dumps({"value": rows()}), encoding="utf-8")
    assert replay_history(file, app_of(before)).is_same
    file.write_text("{")
    with pytest.raises(ExportError, match="cannot be read as JSON"):
        replay_history(str(file), app_of(before))
