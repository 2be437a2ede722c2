"""What the extension sent to SDK 1.7.0 is answered under the alias as the SDK answered (golden python-stack)."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.alias import captured_app
from tests.alias.captured_app import ORCHESTRATORS, df

GOLDEN = Path(__file__).parents[1] / "golden" / "python-stack" / "worker_payloads.jsonl"

UNNOTICED = ("nondeterministic", "nondeterministic-name")
"""The SDK does not look for differences from the history, the extension does; here the replay fails at once."""
HELD_BACK = {"suspended": "an event that comes while suspended waits until the instance is resumed"}


def pairs(kind: str) -> list[Any]:
    found = []
    rows = [json.loads(line) for line in GOLDEN.read_text(encoding="utf-8").splitlines()]
    for number, (given, answer) in enumerate(pairwise(rows)):
        if given["kind"] == f"{kind}_in":
            found.append(pytest.param(given["json"], answer, id=f"{number}-{_label(given['json'])}"))
    return found


def _label(payload: dict[str, Any]) -> str:
    return str(payload["instanceId"] if "instanceId" in payload else payload["self"]["key"])


def _name(payload: dict[str, Any]) -> str:
    return next(str(event["Name"]) for event in payload["history"] if event["EventType"] == 0)


def test_every_recorded_orchestrator_is_replayed() -> None:
    recorded = {_name(param.values[0]) for param in pairs("orchestrator")}
    assert recorded == {*ORCHESTRATORS}


@pytest.mark.parametrize(("payload", "answer"), pairs("orchestrator"))
def test_an_orchestrator_answers_as_recorded(payload: dict[str, Any], answer: dict[str, Any]) -> None:
    name = _name(payload)
    handle = df.Orchestrator.create(ORCHESTRATORS[name])
    if "raised" in answer:
        with pytest.raises(Exception) as caught:
            handle(json.dumps(payload))
        assert type(caught.value) is Exception
        assert str(caught.value) == answer["text"]
        return
    if payload["instanceId"] in UNNOTICED and len(payload["history"]) > 2:
        rows = json.loads((GOLDEN.parent / "instances.json").read_text(encoding="utf-8"))
        row = next(row for row in rows if row["PartitionKey"]["value"] == payload["instanceId"])
        with pytest.raises(Exception, match="Non-Deterministic workflow detected") as diverged:
            handle(json.dumps(payload))
        assert str(diverged.value).startswith(row["Output"]["value"] + "\n")
        return
    expected = answer["json"]
    if payload["instanceId"] in HELD_BACK and payload["history"][-1]["EventType"] == 15:
        expected = {key: value for key, value in expected.items() if key != "output"} | {"isDone": False}
    assert json.loads(handle(json.dumps(payload))) == expected


@pytest.mark.parametrize(("payload", "answer"), pairs("entity"))
def test_an_entity_answers_as_recorded(payload: dict[str, Any], answer: dict[str, Any]) -> None:
    found = json.loads(df.Entity.create(captured_app.counter)(json.dumps(payload)))
    assert _timeless(found) == _timeless(answer["json"])


def _timeless(answer: dict[str, Any]) -> dict[str, Any]:
    """Without clock readings."""
    return answer | {"results": [item | {"duration": 0, "startTime": 0} for item in answer["results"]]}


def test_what_create_returns_calls_the_function_for_a_context() -> None:
    assert df.Orchestrator.create(lambda context: context + 1)(1) == 2
    assert df.Entity.create(lambda context: context + 1)(1) == 2
