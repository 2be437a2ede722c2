"""``Orchestrator`` and ``Entity``: how ``function.json`` apps name their functions, and how tests replay them.

What ``create`` returns takes a payload of the .NET extension and answers as SDK 1.7.0 does (captures python-stack).
With anything else, a mock for example, it calls the function.
"""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Callable
from typing import Any

from durable_core.alias.app import AZURE
from durable_core.alias.context import start
from durable_core.alias.messages import EntityState, OperationResult, OrchestratorState, ReplaySchema
from durable_core.alias.recorder import Recorder
from durable_core.core import replay
from durable_core.core.decisions import Complete
from durable_core.core.entities import Operation
from durable_core.core.entity_ids import EntityId
from durable_core.core.history import OrchestrationStatus
from durable_core.model.entities import entity_of
from durable_core.model.failures import exception_message
from durable_core.model.serialization import decode, encode_or_none
from durable_core.taskhub.event_json import read_event


class Orchestrator:
    """Marks an orchestrator function, and replays it for tests.

    Args:
        activity_func: the function.
    """

    def __init__(self, activity_func: Callable[[Any], Any]) -> None:
        self.fn = activity_func

    @classmethod
    def create(cls, fn: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """A callable that ``orchestration_trigger`` takes for the function itself."""
        orchestrator = cls(fn)

        @functools.wraps(fn)
        def handle(context: Any) -> Any:
            return orchestrator.handle(context)

        handle.orchestrator_function = fn  # type: ignore[attr-defined]
        return handle

    def handle(self, context: Any) -> Any:
        """The answer to a payload, or what the function returns for a context.

        Raises:
            Exception: the orchestrator failed; the text holds the answer behind ``$OutOfProcData$``, as in the SDK.
        """
        text = _payload(context)
        return self.fn(context) if text is None else self._answer(json.loads(text))

    def _answer(self, payload: dict[str, Any]) -> str:
        schema = ReplaySchema(min(int(payload.get("upperSchemaVersionNew") or payload.get("upperSchemaVersion", 0)), 2))
        recorder = Recorder()
        name = getattr(self.fn, "__name__", "orchestrator")
        run = replay.OrchestrationRun(
            replay.Orchestrator(
                name,
                lambda run: start(self.fn, run, None, recorder),
                lambda value: encode_or_none(value, f"the output of orchestrator '{name}'"),
                exception_message,
            )
        )
        for event in payload["history"]:
            run.feed([read_event(event)], replaying=bool(event.get("IsPlayed")))
        end = next((found for found in run.take_decisions() if isinstance(found, Complete)), None)
        # That an instance was terminated is no business of the SDK's: its answer is what the code decided.
        status = None if end is None else end.status
        failed = status is OrchestrationStatus.Failed
        state = OrchestratorState(
            status in (OrchestrationStatus.Completed, OrchestrationStatus.ContinuedAsNew),
            [recorder.actions(flat=schema is ReplaySchema.V1)],
            decode(end.result) if end is not None and status is OrchestrationStatus.Completed else None,
            schema,
            end.result if end is not None and failed else None,
            decode(run.custom_status),
        )
        if failed:
            raise Exception(f"{state.error}\n\n$OutOfProcData$:{state.to_json_string()}")
        return state.to_json_string()


class Entity:
    """Marks an entity function, and runs batches of operations for tests.

    Args:
        entity_func: the function.
    """

    def __init__(self, entity_func: Callable[[Any], Any]) -> None:
        self.fn = entity_func

    @classmethod
    def create(cls, fn: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """A callable that ``entity_trigger`` takes for the function itself."""
        entity = cls(fn)

        @functools.wraps(fn)
        def handle(context: Any) -> Any:
            return entity.handle(context)

        handle.entity_function = fn  # type: ignore[attr-defined]
        return handle

    def handle(self, context: Any, batch: Any = None) -> Any:
        """The answer to a payload, or what the function returns for a context."""
        text = _payload(context)
        return self.fn(context) if text is None else self._answer(json.loads(text))

    def _answer(self, payload: dict[str, Any]) -> str:
        entity = entity_of(payload["self"]["name"], self.fn, AZURE)
        target = EntityId(payload["self"]["name"], payload["self"]["key"])
        state: str | None = payload["state"] if payload["exists"] else None
        results = []
        for item in payload["batch"]:
            began = time.time()
            outcome = entity.run(Operation(target, item["name"], item["input"], state, item["isSignal"], 0, item["id"]))
            state = outcome.state
            value = decode(outcome.result) if outcome.error is None else outcome.error
            lasted = int((time.time() - began) * 1000)
            results.append(OperationResult(outcome.error is not None, lasted, int(began * 1000), value))
        return EntityState(results, [], state is not None, decode(state)).to_json_string()


def _payload(context: Any) -> str | None:
    """The text that the extension sends, itself or as the ``body`` of a message; None for a context."""
    text = context if isinstance(context, str) else getattr(context, "body", None)
    return text if isinstance(text, str) else None
