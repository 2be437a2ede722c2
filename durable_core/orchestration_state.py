"""What a ``TaskHubClient`` tells about an instance and about an entity: values, and times as ``datetime``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, is_dataclass
from datetime import datetime
from typing import Any, TypeVar, cast

from durable_core.core import ticks
from durable_core.core.entity_ids import EntityId
from durable_core.model.serialization import decode_or_text
from durable_core.model.status import OrchestrationRuntimeStatus
from durable_core.taskhub.entity_store import EntityRecord
from durable_core.taskhub.instance_table import InstanceStatus

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class OrchestrationState:
    """One orchestration instance at one moment.

    Attributes:
        created_time, last_updated_time, completed_time: UTC; None if storage does not tell.
        input, output, custom_status: values; None if there is none, or payloads were not asked for. The output of a
            failed instance is the text of its error, that of a terminated one the reason.
    """

    instance_id: str
    name: str
    runtime_status: OrchestrationRuntimeStatus
    version: str | None
    created_time: datetime | None
    last_updated_time: datetime | None
    completed_time: datetime | None
    input: Any
    output: Any
    custom_status: Any
    tags: Mapping[str, str] | None

    @property
    def is_finished(self) -> bool:
        """It has completed, failed, or was terminated."""
        return self.runtime_status.name in ("Completed", "Failed", "Canceled", "Terminated")

    def output_as(self, kind: type[T]) -> T:
        """The output as a ``kind``; see ``value_as``.

        Raises:
            TypeError: it is something else, or the instance has not completed.
        """
        if self.runtime_status is not OrchestrationRuntimeStatus.Completed:
            raise TypeError(
                f"instance '{self.instance_id}' is {self.runtime_status.name}, so it has no result: {self.output!r}"
            )
        return value_as(self.output, kind, f"the output of instance '{self.instance_id}'")

    def input_as(self, kind: type[T]) -> T:
        """The input as a ``kind``; see ``value_as``."""
        return value_as(self.input, kind, f"the input of instance '{self.instance_id}'")


@dataclass(frozen=True, slots=True)
class EntityState:
    """One entity as its last batch of operations left it.

    Attributes:
        state: its value; None as well if states were not asked for.
        last_operation_time: UTC.
        queue_size: operations that waited then.
        locked_by: instance id of the orchestration that holds its lock.
    """

    entity_id: EntityId
    state: Any
    last_operation_time: datetime
    queue_size: int
    locked_by: str | None

    def state_as(self, kind: type[T]) -> T:
        """The state as a ``kind``; see ``value_as``."""
        return value_as(self.state, kind, f"the state of entity '{self.entity_id}'")


def value_as(value: Any, kind: type[T], what: str) -> T:
    """``value`` as a ``kind``.

    It is one already, or an int for a float; or ``kind.from_json(value)``; or a dataclass made of an object's members.

    Args:
        what: the value, for the error text.

    Raises:
        TypeError: none of these.
    """
    if isinstance(value, kind) and not (isinstance(value, bool) and kind is int):
        return value
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return cast(T, float(value))
    from_json = getattr(kind, "from_json", None)
    if from_json is not None:
        made: T = from_json(value)
        return made
    if is_dataclass(kind) and isinstance(value, dict):
        try:
            return cast(T, cast(Any, kind)(**value))
        except TypeError as error:
            raise TypeError(f"{what} does not fit {kind.__name__}: {error}") from error
    raise TypeError(f"{what} is a {type(value).__name__}, not a {kind.__name__}: {value!r}")


def state_of(row: InstanceStatus) -> OrchestrationState:
    """What a row of the Instances table tells."""
    return OrchestrationState(
        row.instance_id,
        row.name,
        OrchestrationRuntimeStatus[row.runtime_status.name],
        row.version or None,
        _moment(row.created_time),
        _moment(row.last_updated_time),
        _moment(row.completed_time),
        decode_or_text(row.input),
        decode_or_text(row.output),
        decode_or_text(row.custom_status),
        row.tags,
    )


def entity_of(record: EntityRecord) -> EntityState:
    """What a stored entity tells."""
    return EntityState(
        record.entity_id,
        decode_or_text(record.state),
        ticks.to_datetime(record.last_operation_time),
        record.queue_size,
        record.locked_by,
    )


def _moment(value: int | None) -> datetime | None:
    return None if value is None else ticks.to_datetime(value)
