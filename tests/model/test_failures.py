"""How failures of user code are told (python-stack recordings, python-api 5.5)."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

import durable_core as df
from durable_core.model.failures import activity_failure, exception_text, orchestrator_failure
from durable_core.worker.functions import ActivityCall

GOLDEN = Path(__file__).parents[1] / "golden" / "python-stack"
CALL = ActivityCall("boom", "i", "e", 0)


def rows(name: str) -> list[dict[str, Any]]:
    loaded: list[dict[str, Any]] = json.loads((GOLDEN / name).read_text())
    return loaded


def test_reason_and_details_of_an_activity_are_like_the_recorded_ones() -> None:
    """Behaviour 65."""
    failed = next(row for row in rows("history.json") if row.get("EventType", {}).get("value") == "TaskFailed")
    golden = json.loads(failed["Details"]["value"])
    app = df.DFApp()

    @app.activity_trigger(input_name="x")
    def boom(x: str) -> None:
        raise ValueError(f"bad thing {x}")

    activity = app.durable_functions().activities["boom"]
    with pytest.raises(ValueError) as raised:
        activity.body(CALL, '["caught"]')
    reason, details = activity.describe_failure(raised.value)
    assert reason == failed["Reason"]["value"]
    document = json.loads(details or "")
    assert document["Message"] == golden["Message"]
    assert document["$type"] == golden["$type"]
    assert set(document) <= set(golden)
    assert 'raise ValueError(f"bad thing {x}")' in document["StackTraceString"]
    assert "durable_core/model" not in document["StackTraceString"]


@pytest.mark.parametrize(
    ("instance", "error"),
    [("orchestrator-fails", KeyError("orch broke")), ("orchestrator-fails-first", RuntimeError("at once"))],
)
def test_outputs_of_failed_orchestrators_are_the_recorded_ones(instance: str, error: Exception) -> None:
    row = next(row for row in rows("instances.json") if row["PartitionKey"]["value"] == instance)
    assert orchestrator_failure(row["Name"]["value"])(error) == row["Output"]["value"]


def test_an_exception_without_a_text_is_told_by_its_type() -> None:
    assert orchestrator_failure("o")(ValueError()) == "Orchestrator function 'o' failed: <class 'ValueError'>"
    assert exception_text(ValueError()) == "ValueError"


class Silent(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


def test_an_exception_that_cannot_be_shown_still_fails_the_function() -> None:
    reason, _ = activity_failure("a")(Silent())
    assert reason == "Activity function 'a' failed: Silent: (its __str__ raised RuntimeError)"


def test_half_surrogates_become_text_that_storage_takes() -> None:
    reason, details = activity_failure("a")(ValueError("\ud800"))
    assert (reason + str(details)).encode()
    assert json.loads(str(details))["Message"] == "ValueError: \ud800"


def test_the_causes_of_a_failure_are_told_first() -> None:
    try:
        try:
            raise KeyError("order")
        except KeyError as error:
            raise ValueError("no such order") from error
    except ValueError as error:
        _, details = activity_failure("a")(error)
    trace = json.loads(str(details))["StackTraceString"]
    assert trace.index("KeyError: 'order'") < trace.index("which led to") < trace.index('raise ValueError("no such')


def test_an_app_in_a_folder_called_durable_core_keeps_its_traceback(tmp_path: Path) -> None:
    folder = tmp_path / "durable_core"
    folder.mkdir()
    (folder / "mine.py").write_text("def fail():\n    raise ValueError('here')\n")
    spec = importlib.util.spec_from_file_location("mine", folder / "mine.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with pytest.raises(ValueError) as raised:
        module.fail()
    _, details = activity_failure("a")(raised.value)
    assert "mine.py" in str(details)


def test_a_coroutine_from_a_plain_function_is_told() -> None:
    app = df.DFApp()

    async def hidden() -> int:
        return 1

    @app.activity_trigger(input_name="x")
    def decorated(x: Any) -> Any:
        return hidden()

    with pytest.raises(TypeError, match="returned a coroutine"):
        app.durable_functions().activities["decorated"].body(CALL, "[1]")


async def test_activities_may_be_async_and_ask_for_their_call() -> None:
    app = df.DFApp()

    @app.activity_trigger(input_name="x")
    async def waits(x: int, context: Any) -> list[Any]:
        return [x, context.function_name, context.instance_id, context.task_id]

    activity = app.durable_functions().activities["waits"]
    assert activity.is_async
    work = activity.body(ActivityCall("waits", "i", "e", 7), "[5]")
    assert work is not None and not isinstance(work, str)
    assert await work == '[5,"waits","i",7]'
