"""Values of the SDK's protocol beside actions: history events, entity batches, states, bindings.

Only tests make them; the runtime here has forms of its own. Classes have the attributes of their instances, so that
mocks with such a class as their spec have them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import Enum, IntEnum
from types import MappingProxyType
from typing import Any, NoReturn

from durable_core.alias.actions import Action
from durable_core.core import ticks
from durable_core.core.entity_ids import EntityId
from durable_core.errors import DurableError
from durable_core.model import function_context
from durable_core.model.serialization import encode_spaced


class HistoryEventType(IntEnum):
    """Number of a kind of history event."""

    EXECUTION_STARTED = 0
    EXECUTION_COMPLETED = 1
    EXECUTION_FAILED = 2
    EXECUTION_TERMINATED = 3
    TASK_SCHEDULED = 4
    TASK_COMPLETED = 5
    TASK_FAILED = 6
    SUB_ORCHESTRATION_INSTANCE_CREATED = 7
    SUB_ORCHESTRATION_INSTANCE_COMPLETED = 8
    SUB_ORCHESTRATION_INSTANCE_FAILED = 9
    TIMER_CREATED = 10
    TIMER_FIRED = 11
    ORCHESTRATOR_STARTED = 12
    ORCHESTRATOR_COMPLETED = 13
    EVENT_SENT = 14
    EVENT_RAISED = 15
    CONTINUE_AS_NEW = 16
    GENERIC_EVENT = 17
    HISTORY_STATE = 18
    EXECUTION_SUSPENDED = 19
    EXECUTION_RESUMED = 20


class HistoryEvent:
    """One event of a history; members that are not arguments become attributes of their names."""

    event_type: HistoryEventType | None = None
    event_id: int | None = None
    is_played = False
    is_processed = False
    timestamp: datetime | None = None

    def __init__(self, EventType: int, EventId: int, IsPlayed: bool, Timestamp: str, **others: Any) -> None:
        self.event_type = HistoryEventType(EventType)
        self.event_id = EventId
        self.is_played = IsPlayed
        self.timestamp = ticks.to_datetime(ticks.parse(Timestamp))
        self.is_processed = False
        for name in ("Name", "InstanceId", "TaskScheduledId", "Reason", "Details", "Input"):
            setattr(self, name, None)
        for name, value in others.items():
            setattr(self, name, value)


class ReplaySchema(Enum):
    """Version of the protocol between SDK and extension."""

    V1 = 0
    V2 = 1
    V3 = 2


class OrchestratorState:
    """What the SDK answers for one episode."""

    is_done = False
    actions: Sequence[list[Action]] = ()
    output: Any = None
    schema_version = ReplaySchema.V1
    error: str | None = None
    custom_status: Any = None

    def __init__(
        self,
        is_done: bool,
        actions: list[list[Action]],
        output: Any,
        replay_schema: ReplaySchema,
        error: str | None = None,
        custom_status: Any = None,
    ) -> None:
        self.is_done = is_done
        self.actions = actions
        self.output = output
        self.schema_version = replay_schema
        self.error = error
        self.custom_status = custom_status

    def to_json(self) -> dict[str, Any]:
        """The answer's object; what has no value is left out."""
        found: dict[str, Any] = {"isDone": self.is_done}
        if self.schema_version is not ReplaySchema.V1:
            found["schemaVersion"] = self.schema_version.value
        found["actions"] = [[action.to_json() for action in group] for group in self.actions]
        if self.output is not None:
            found["output"] = self.output
        if self.error:
            found["error"] = self.error
        if self.custom_status:
            found["customStatus"] = self.custom_status
        return found

    def to_json_string(self) -> str:
        """The answer's text."""
        return encode_spaced(self.to_json(), "the orchestrator's answer")


class OperationResult:
    """What became of one operation of an entity batch."""

    is_error = False
    duration = 0
    execution_start_time_ms = 0
    result: Any = None

    def __init__(self, is_error: bool, duration: int, execution_start_time_ms: int, result: Any = None) -> None:
        self.is_error = is_error
        self.duration = duration
        self.execution_start_time_ms = execution_start_time_ms
        self.result = result

    def to_json(self) -> dict[str, Any]:
        """Its object; the result is JSON text."""
        return {
            "isError": self.is_error,
            "duration": self.duration,
            "startTime": self.execution_start_time_ms,
            "result": encode_spaced(self.result, "the result of the operation"),
        }


class Signal:
    """A message from one entity to another."""

    target: EntityId | None = None
    name = ""
    input = ""

    def __init__(self, target: EntityId, name: str, input_: str) -> None:
        self.target = target
        self.name = name
        self.input = input_


class EntityState:
    """What the SDK answers for a batch of operations."""

    results: Sequence[OperationResult] = ()
    signals: Sequence[Signal] = ()

    def __init__(
        self,
        results: Sequence[OperationResult],
        signals: Sequence[Signal],
        entity_exists: bool = False,
        state: Any = None,
        state_is_raw: bool = False,
    ) -> None:
        self.results = list(results)
        self.signals = list(signals)
        self.entity_exists = entity_exists
        self.state = state
        self.state_is_raw = state_is_raw

    def to_json(self) -> dict[str, Any]:
        """The answer's object; the state is JSON text."""
        return {
            "entityExists": self.entity_exists,
            "entityState": self.state if self.state_is_raw else encode_spaced(self.state, "the state of the entity"),
            "results": [result.to_json() for result in self.results],
            "signals": list(self.signals),
        }

    def to_json_string(self) -> str:
        """The answer's text."""
        return json.dumps(self.to_json())


class RequestMessage:
    """A request to an entity."""

    def __init__(
        self,
        id_: str,
        name: str | None = None,
        signal: bool | None = None,
        input_: str | None = None,
        arg: Any = None,
        parent: str | None = None,
        lockset: list[EntityId] | None = None,
        pos: int | None = None,
        **others: Any,
    ) -> None:
        self.id = id_
        self.name = name
        self.signal = signal
        self.input = input_
        self.arg = arg
        self.parent = parent
        self.lockset = lockset
        self.pos = pos

    @classmethod
    def from_json(cls, json_str: str) -> RequestMessage:
        """The request that a text tells."""
        document = json.loads(json_str)
        return cls(document.pop("id"), input_=document.pop("input", None), **document)


class ResponseMessage:
    """An entity's answer."""

    def __init__(self, result: str, is_exception: bool = False) -> None:
        self.result = result
        self.is_exception = is_exception

    @classmethod
    def from_dict(cls, d: dict[str, Any]) -> ResponseMessage:
        """The answer that an object tells."""
        return cls(d["result"], "exceptionType" in d)


class FunctionContext(function_context.FunctionContext):
    """What the original keeps of a payload's unknown members; each argument becomes an attribute."""

    def __init__(self, function_name: str = "", function_directory: str = "", **kwargs: Any) -> None:
        super().__init__(function_name, function_directory)
        for name, value in kwargs.items():
            setattr(self, name, value)


class InternalEntityException(Exception):
    """An entity's machinery failed."""


class DurableOrchestrationBindings:
    """What the client binding of the extension holds."""

    task_hub_name = ""
    creation_urls: Mapping[str, str] = MappingProxyType({})
    management_urls: Mapping[str, str] = MappingProxyType({})
    rpc_base_url: str | None = None
    client_data: Any = None

    def __init__(
        self,
        taskHubName: str,
        creationUrls: dict[str, str],
        managementUrls: dict[str, str],
        rpcBaseUrl: str | None = None,
        **client_data: Any,
    ) -> None:
        self.task_hub_name = taskHubName
        self.creation_urls = creationUrls
        self.management_urls = managementUrls
        self.rpc_base_url = rpcBaseUrl
        self.client_data = client_data

    @classmethod
    def from_json(cls, json_string: str) -> DurableOrchestrationBindings:
        """The binding that a text tells."""
        return cls(**json.loads(json_string))


class _Refused:
    """A name that has no meaning here; making one says why."""

    _why = ""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        refuse(type(self).__name__, self._why)


class RpcManagementOptions(_Refused):
    """Addresses of the extension's local endpoint."""

    _why = "there is no local endpoint of the .NET extension; use the client's methods"


class TaskOrchestrationExecutor(_Refused):
    """The SDK's own replay."""

    _why = "durable_core replays orchestrators itself; in tests call what Orchestrator.create returns"


def refuse(name: str, why: str) -> NoReturn:
    """A use that has no meaning here.

    Raises:
        DurableError: always; the text says why.
    """
    raise DurableError(f"{name} of azure.durable_functions makes no sense under durable_core: {why}.")
