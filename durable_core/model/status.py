"""What a status query gives to user code (python-api 6.5, 6.6)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from typing import Any

from durable_core.core import ticks
from durable_core.model.serialization import decode_or_text
from durable_core.taskhub.instance_table import InstanceStatus


class OrchestrationRuntimeStatus(Enum):
    """Status of an instance; the value is its name."""

    Running = "Running"
    Completed = "Completed"
    ContinuedAsNew = "ContinuedAsNew"
    Failed = "Failed"
    Canceled = "Canceled"
    Terminated = "Terminated"
    Pending = "Pending"
    Suspended = "Suspended"


class DurableOrchestrationStatus:
    """What a status query found; false if there is no such instance.

    Args:
        createdTime, lastUpdatedTime: ISO 8601 text or a ``datetime``.
        runtimeStatus: a member of ``OrchestrationRuntimeStatus`` or its name.
        history: events as status documents show them; ``historyEvents``, the HTTP API's name, means the same.
        others: become attributes.

    Raises:
        ValueError, KeyError: a time or status cannot be read.
    """

    name: str | None = None
    instance_id: str | None = None
    created_time: datetime | None = None
    last_updated_time: datetime | None = None
    input_: Any = None
    output: Any = None
    runtime_status: OrchestrationRuntimeStatus | None = None
    custom_status: Any = None
    history: list[Any] | None = None
    historyEvents: list[Any] | None = None
    # The class has them too, so that mocks with this class as their spec do.

    def __init__(
        self,
        name: str | None = None,
        instanceId: str | None = None,
        createdTime: str | datetime | None = None,
        lastUpdatedTime: str | datetime | None = None,
        input: Any = None,
        output: Any = None,
        runtimeStatus: str | OrchestrationRuntimeStatus | None = None,
        customStatus: Any = None,
        history: list[Any] | None = None,
        **others: Any,
    ) -> None:
        self.name = name
        self.instance_id = instanceId
        self.created_time = _time(createdTime)
        self.last_updated_time = _time(lastUpdatedTime)
        self.input_ = input
        self.output = output
        self.runtime_status = (
            OrchestrationRuntimeStatus[runtimeStatus] if isinstance(runtimeStatus, str) else runtimeStatus
        )
        self.custom_status = customStatus
        self.history = history if history is not None else others.get("historyEvents")
        self.historyEvents = self.history
        for key, value in others.items():
            if key != "historyEvents":
                setattr(self, key, value)

    def __bool__(self) -> bool:
        return self.created_time is not None

    @classmethod
    def from_json(cls, json_obj: Mapping[str, Any] | str) -> DurableOrchestrationStatus:
        """The status that a status document tells; a bare text becomes the attribute ``message``."""
        return cls(message=json_obj) if isinstance(json_obj, str) else cls(**json_obj)

    def to_json(self) -> dict[str, Any]:
        """A status document; what has no value is None, but ``runtimeStatus`` is left out then."""
        document: dict[str, Any] = {
            "name": self.name,
            "instanceId": self.instance_id,
            "createdTime": _text(self.created_time),
            "lastUpdatedTime": _text(self.last_updated_time),
            "output": self.output,
            "input": self.input_,
        }
        if self.runtime_status is not None:
            document["runtimeStatus"] = self.runtime_status.name
        document["customStatus"] = self.custom_status
        document["history"] = self.history
        return document


def status_of(
    row: InstanceStatus | None, *, show_input: bool = False, history: list[Any] | None = None
) -> DurableOrchestrationStatus:
    """The status that a row of the Instances table tells; None gives the false status."""
    if row is None:
        return DurableOrchestrationStatus()
    return DurableOrchestrationStatus(
        name=row.name,
        instanceId=row.instance_id,
        createdTime=_moment(row.created_time),
        lastUpdatedTime=_moment(row.last_updated_time),
        input=decode_or_text(row.input) if show_input else None,
        output=decode_or_text(row.output),
        runtimeStatus=OrchestrationRuntimeStatus[row.runtime_status.name],
        customStatus=decode_or_text(row.custom_status),
        history=history,
    )


def stored_document(row: InstanceStatus) -> str:
    """The status document of a row as JSON text, with objects in their stored form."""
    document = status_of(row).to_json()
    document["output"] = plain(row.output)
    document["customStatus"] = plain(row.custom_status)
    return json.dumps(document)


def plain(text: str | None) -> Any:
    """The JSON value of a stored text without turning envelopes into objects; the text itself if it is no JSON."""
    try:
        return None if text is None else json.loads(text)
    except ValueError:
        return text


def _moment(value: int | None) -> datetime | None:
    return None if value is None else ticks.to_datetime(value)


def _time(value: str | datetime | None) -> datetime | None:
    return ticks.to_datetime(ticks.parse(value)) if isinstance(value, str) else value


def _text(value: datetime | None) -> str | None:
    return None if value is None else value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
