"""Task messages: what travels on queues (task-hub 3.3 and 3.4)."""

from __future__ import annotations

from collections.abc import Mapping

from durable_core.core.history import HistoryEvent, OrchestrationInstance
from durable_core.core.records import struct


@struct
class Sender:
    """Who sent a message: both empty for a client, the owning orchestration for activity replies."""

    instance_id: str
    execution_id: str | None


CLIENT = Sender("", "")


@struct
class TaskMessage:
    """One event on its way to one instance."""

    event: HistoryEvent
    target: OrchestrationInstance
    orchestration_tags: Mapping[str, str] | None = None
    """Tags of the *sending* orchestration: a (possibly empty) mapping on work items and on starts that an orchestration
    sends, None elsewhere (OrchestrationExecutionContext, task-hub 3.4)."""


@struct
class MessageData:
    """The envelope of a queue message. ``task_message`` is None only in a reference to a large-message blob."""

    activity_id: str
    """GUID in "D" form; tracing, and part of the name of the overflow blob."""
    task_message: TaskMessage | None
    sequence_number: int
    sender: Sender | None
    episode: int | None = None
    compressed_blob_name: str | None = None
    trace_context: str | None = None
