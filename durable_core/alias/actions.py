"""What the SDK tells the extension of an orchestrator's decisions: ``azure.durable_functions.models.actions``.

Here they only serve tests, and ``Orchestrator.create``, which answers such tests in the same form.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import IntEnum
from typing import Any, ClassVar

from durable_core.core.entity_ids import EntityId
from durable_core.model.http_calls import DurableHttpRequest
from durable_core.model.retry import RetryOptions
from durable_core.model.serialization import encode_spaced

_TIME = "%Y-%m-%dT%H:%M:%S.%fZ"


class ActionType(IntEnum):
    """Number of an action in the protocol."""

    CALL_ACTIVITY = 0
    CALL_ACTIVITY_WITH_RETRY = 1
    CALL_SUB_ORCHESTRATOR = 2
    CALL_SUB_ORCHESTRATOR_WITH_RETRY = 3
    CONTINUE_AS_NEW = 4
    CREATE_TIMER = 5
    WAIT_FOR_EXTERNAL_EVENT = 6
    CALL_ENTITY = 7
    CALL_HTTP = 8
    SIGNAL_ENTITY = 9
    WHEN_ANY = 11
    WHEN_ALL = 12


class Action:
    """One decision."""

    kind: ClassVar[ActionType]

    @property
    def action_type(self) -> int:
        """Its number."""
        return self.kind

    def to_json(self) -> dict[str, Any]:
        """Its JSON object."""
        return {"actionType": self.kind, **self._members()}

    def _members(self) -> dict[str, Any]:
        return {}


class _Call(Action):
    """A call of a function by name; ``input_`` is a value here and JSON text in the object."""

    def __init__(self, function_name: str, input_: Any) -> None:
        self.function_name = _filled("function_name", function_name)
        self.input_ = encode_spaced(input_, f"the input of '{function_name}'")

    def _members(self) -> dict[str, Any]:
        return {"functionName": self.function_name, "input": self.input_}


class CallActivityAction(_Call):
    """An activity."""

    kind = ActionType.CALL_ACTIVITY

    def __init__(self, function_name: str, input_: Any = None) -> None:
        super().__init__(function_name, input_)


class CallActivityWithRetryAction(_Call):
    """An activity with retries."""

    kind = ActionType.CALL_ACTIVITY_WITH_RETRY

    def __init__(self, function_name: str, retry_options: RetryOptions | None, input_: Any = None) -> None:
        super().__init__(function_name, input_)
        self.retry_options = retry_options

    def _members(self) -> dict[str, Any]:
        return super()._members() | _retry(self.retry_options)


class CallSubOrchestratorAction(_Call):
    """A sub-orchestration."""

    kind = ActionType.CALL_SUB_ORCHESTRATOR

    def __init__(
        self, function_name: str, _input: Any = None, instance_id: str | None = None, version: str | None = None
    ) -> None:
        super().__init__(function_name, _input)
        self.instance_id = instance_id
        self.version = version

    def _members(self) -> dict[str, Any]:
        return super()._members() | {"instanceId": self.instance_id, "version": self.version}


class CallSubOrchestratorWithRetryAction(_Call):
    """A sub-orchestration with retries."""

    kind = ActionType.CALL_SUB_ORCHESTRATOR_WITH_RETRY

    def __init__(
        self,
        function_name: str,
        retry_options: RetryOptions | None,
        _input: Any = None,
        instance_id: str | None = None,
        version: str | None = None,
    ) -> None:
        super().__init__(function_name, _input)
        self.retry_options = retry_options
        self.instance_id = instance_id
        self.version = version

    def _members(self) -> dict[str, Any]:
        target = {"instanceId": self.instance_id, "version": self.version}
        return super()._members() | _retry(self.retry_options) | target


class _EntityAction(Action):
    def __init__(self, entity_id: EntityId, operation: str, input_: Any = None) -> None:
        self.entity_id = _filled("entity_id", entity_id)
        self.instance_id = entity_id.instance_id
        self.operation = _filled("operation", operation)
        self.input_ = encode_spaced(input_, f"the input of operation '{operation}'")

    def _members(self) -> dict[str, Any]:
        return {"instanceId": self.instance_id, "operation": self.operation, "input": self.input_}


class CallEntityAction(_EntityAction):
    """An entity operation with an answer."""

    kind = ActionType.CALL_ENTITY


class SignalEntityAction(_EntityAction):
    """An entity operation without an answer."""

    kind = ActionType.SIGNAL_ENTITY


class CallHttpAction(Action):
    """An HTTP call."""

    kind = ActionType.CALL_HTTP

    def __init__(self, http_request: DurableHttpRequest) -> None:
        self.http_request = http_request

    def _members(self) -> dict[str, Any]:
        request = self.http_request
        members: dict[str, Any] = {"method": request.method, "uri": request.uri, "content": request.content}
        members["headers"] = None if request.headers is None else dict(request.headers)
        if request.token_source is not None:
            members["tokenSource"] = request.token_source.to_json()
        return {"httpRequest": members}


class CreateTimerAction(Action):
    """A timer."""

    kind = ActionType.CREATE_TIMER

    def __init__(self, fire_at: datetime, is_cancelled: bool = False) -> None:
        if not isinstance(fire_at, datetime):
            raise ValueError(f"fireAt: Expected valid datetime object but got {fire_at!r}")
        self.fire_at = fire_at
        self.is_cancelled = is_cancelled

    def _members(self) -> dict[str, Any]:
        return {"fireAt": self.fire_at.strftime(_TIME), "isCanceled": self.is_cancelled}


class WaitForExternalEventAction(Action):
    """A wait for an event."""

    kind = ActionType.WAIT_FOR_EXTERNAL_EVENT

    def __init__(self, external_event_name: str) -> None:
        self.external_event_name = _filled("external_event_name", external_event_name)
        self.reason = "ExternalEvent"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, WaitForExternalEventAction):
            return NotImplemented
        return bool(self.external_event_name == other.external_event_name)

    __hash__ = Action.__hash__

    def _members(self) -> dict[str, Any]:
        return {"externalEventName": self.external_event_name, "reason": self.reason}


class ContinueAsNewAction(Action):
    """The next generation."""

    kind = ActionType.CONTINUE_AS_NEW

    def __init__(self, input_: Any = None) -> None:
        self.input_ = encode_spaced(input_, "the next input")

    def _members(self) -> dict[str, Any]:
        return {"input": self.input_}


class CompoundAction(Action):
    """Several actions that are waited for together."""

    def __init__(self, compound_tasks: Sequence[Action]) -> None:
        self.compound_tasks = list(compound_tasks)

    def _members(self) -> dict[str, Any]:
        return {"compoundActions": [action.to_json() for action in self.compound_tasks]}


class WhenAllAction(CompoundAction):
    """All of them."""

    kind = ActionType.WHEN_ALL


class WhenAnyAction(CompoundAction):
    """The first of them."""

    kind = ActionType.WHEN_ANY


class NoOpAction(Action):
    """Nothing that the protocol knows."""

    def __init__(self, metadata: str | None = None) -> None:
        self.metadata = metadata

    def to_json(self) -> dict[str, Any]:
        """Never: such an action stays in its process."""
        raise Exception("Attempted to convert an anonymous Action to JSON")


def _filled(name: str, value: Any) -> Any:
    if not value:
        raise ValueError(f"{name} cannot be empty")
    return value


def _retry(options: RetryOptions | None) -> dict[str, Any]:
    return {} if options is None else {"retryOptions": options.to_json()}
