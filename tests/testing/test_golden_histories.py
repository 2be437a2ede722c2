"""Every recorded orchestration history replays to its recorded decisions (golden README 2.6), with named exceptions."""

from __future__ import annotations

import base64
import gzip
import importlib.util
import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from durable_core.alias.finder import install
from durable_core.core import history as h
from durable_core.core.replay import OrchestrationRun
from durable_core.core.ticks import PER_SECOND
from durable_core.testing.exports import RowExport, read_exports
from durable_core.testing.replaying import replay_histories, replay_history
from durable_core.worker.functions import Functions, unknown_function
from tests.golden_data import documents
from tests.testing.golden_twins import DTFX

RECORDED_APP = Path(__file__).parents[1] / "exchanges" / "app" / "function_app.py"
FOLDERS = ("dtfx", "dtfx-more", "dtfx-base64", "dtfx-extended-sessions", "python-stack")
OTHERWISE = {
    "two_events": "waits for 'A' and was sent 'a': .NET ignores case, we match exactly",
    "no-such-activity": "waits for ever there, fails here",
    "no-such-sub": "waits for ever there, fails here",
}
"""What does not replay to the recorded decisions, and why."""
NON_DETERMINISTIC = ("nondeterministic", "nondeterministic-name")
CUT = {"fanout250": "the capture leaves the middle of its rows out"}


@lru_cache
def recorded_app() -> Any:
    """The app that was recorded on the Python stack, written again; it knows nothing of this package."""
    install()
    spec = importlib.util.spec_from_file_location("recorded_app", RECORDED_APP)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.app


def functions(folder: str) -> Functions:
    app = recorded_app() if folder == "python-stack" else DTFX
    durable: Functions = app.durable_functions()
    return durable


def blobs(folder: str) -> Mapping[str, str]:
    """Texts of large columns; the Python stack's are described instead of kept."""
    if folder == "python-stack":
        names = ("05-TaskCompleted-54088B16", "06-ExecutionCompleted-01638157")
        return {f"big/history-00000000000000{name}-Result.json.gz": json.dumps("x" * 100_000) for name in names}
    if folder != "dtfx":
        return {}
    return {
        blob["name"]: gzip.decompress(base64.b64decode(blob["base64"])).decode()
        for blob in documents("dtfx/blobs.json")
        if blob["name"].endswith(".gz")
    }


def exports() -> list[Any]:
    found = []
    for folder in FOLDERS:
        for export in read_exports(documents(f"{folder}/history.json"), blobs=blobs(folder)):
            assert isinstance(export, RowExport)
            found.append(pytest.param(folder, export, id=f"{folder}-{export.instance_id}"))
    return found


ALL = exports()
REPLAYED = [
    item
    for item in ALL
    if item.values[1].instance_id not in {*OTHERWISE, *NON_DETERMINISTIC, *CUT, "no-such-orchestrator"}
]


def started(export: RowExport) -> h.ExecutionStarted:
    return next(event for event in export.events if isinstance(event, h.ExecutionStarted))


def test_every_capture_is_here() -> None:
    assert len(ALL) == 80
    assert len(REPLAYED) == 80 - 7


@pytest.mark.parametrize(("folder", "export"), REPLAYED)
def test_a_recorded_history_replays_to_its_recorded_decisions(folder: str, export: RowExport) -> None:
    """Behaviours 71 and 76 among them: `retry-exhausted` has the timer after the last attempt that fires at once."""
    orchestrator = functions(folder).orchestrators[started(export).name]
    run = OrchestrationRun(orchestrator, export.events)
    for event in export.events:
        if isinstance(event, _DECISIONS):
            assert event.event_id in run.pending, f"not decided: {event}"
            assert _shape(run.pending[event.event_id], run, folder) == _shape(event, run, folder)
        run.feed([event], replaying=True)
        if isinstance(event, h.ExecutionCompleted):
            run.pending.pop(event.event_id)
    assert not run.pending, "a decision that was not recorded"
    assert run.mismatch is None


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_replay_tool_says_the_same(folder: str) -> None:
    rows = documents(f"{folder}/history.json")
    outcomes = {o.instance_id: o for o in replay_histories(rows, functions(folder), blobs=blobs(folder))}
    for name in outcomes.keys() - CUT.keys():
        outcome = outcomes[name]
        if name in {"two_events", "no-such-orchestrator", *NON_DETERMINISTIC}:
            assert not outcome.is_same
        elif name in {*OTHERWISE, *CUT}:
            assert outcome.is_same and "goes on" in outcome.notes[0]
        else:
            assert outcome.is_same, str(outcome)


@pytest.mark.parametrize("name", NON_DETERMINISTIC)
def test_the_text_of_a_mismatch_begins_with_the_captured_sentences(name: str) -> None:
    """The duplicates of the mismatching decisions, which .NET records before the end, are not made here."""
    rows = documents("python-stack/history.json")
    outcome = replay_history(rows, functions("python-stack"), instance_id=name, blobs=blobs("python-stack"))
    recorded = next(
        row["Result"]["value"]
        for row in rows
        if row["PartitionKey"]["value"] == name and row.get("EventType", {}).get("value") == "ExecutionCompleted"
    )
    assert outcome.status is h.OrchestrationStatus.Failed
    first, _, second = (outcome.output or "").partition("\n")
    assert first == recorded
    orchestrator = {"nondeterministic": "nondet", "nondeterministic-name": "nondet_name"}[name]
    assert second.startswith(f"Orchestrator function '{orchestrator}', history position 2: expected TaskScheduled")
    assert outcome.divergence is not None
    assert outcome.divergence.position == 2
    assert outcome.divergence.expected == "TaskScheduled named 'say' (sequence number 0)"


def test_an_orchestrator_that_does_not_exist_is_told_with_the_captured_sentences() -> None:
    rows = [
        row for row in documents("python-stack/history.json") if row["PartitionKey"]["value"] == "no-such-orchestrator"
    ]
    outcome = replay_history(rows, Functions())
    recorded = next(row["Result"]["value"] for row in rows if "Result" in row)
    known = functions("python-stack").orchestrators
    sentences, colon, _ = unknown_function("orchestrator", "nope", known).partition("functions: ")
    assert recorded.startswith(sentences + colon)
    assert outcome.divergence is not None and "'nope'" in outcome.divergence.hint


def test_uuids_are_those_of_the_original() -> None:
    """Behaviours 14 to 16: the outputs of `ids-and-dates` and `uses-entity` contain ids that the SDK made."""
    rows = documents("python-stack/history.json")
    for name in ("ids-and-dates", "uses-entity"):
        outcome = replay_history(rows, functions("python-stack"), instance_id=name, blobs=blobs("python-stack"))
        assert outcome.is_same and not outcome.notes


_DECISIONS = (
    h.TaskScheduled,
    h.TimerCreated,
    h.SubOrchestrationInstanceCreated,
    h.EventSent,
    h.ExecutionCompleted,
)


def _shape(item: Any, run: OrchestrationRun, folder: str) -> tuple[Any, ...]:
    """Name, target, delay, status and result of a decision or of the event that records it."""
    fire_at = getattr(item, "fire_at", None)
    name = getattr(item, "name", None)
    if name is not None and name.startswith("op@"):
        name = name[: len("op@2026-11-21T11:48:16.595495")]  # Python's times have microseconds, .NET's seven digits
    status = getattr(item, "status", None)
    result = getattr(item, "result", None)
    if status is h.OrchestrationStatus.Failed and folder != "python-stack":
        # DurableTask.Core alone gives the bare message; the function's name in front of it is the extension's.
        result = (result or "").removeprefix(f"Orchestrator function '{run.name}' failed: ")
    elif status is h.OrchestrationStatus.Completed and result is not None:
        result = json.loads(result)
    return (
        name,
        getattr(item, "instance_id", None),
        None if fire_at is None else round((fire_at - run.current_time) / PER_SECOND, 3),
        status,
        result,
    )
