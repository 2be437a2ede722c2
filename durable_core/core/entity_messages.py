"""What travels between clients, orchestrations and entities (orchestration-semantics 9.3).

Two forms are recorded: that of DurableTask.Core's entities and that of the extension's. Both are read and written
again byte for byte; new messages have Core's form, which both understand.
"""

from __future__ import annotations

import re
from json.encoder import encode_basestring as _quoted
from typing import Any

from durable_core.core import ticks
from durable_core.core.entity_ids import EntityId, is_entity
from durable_core.core.entity_json import NEVER, dumps, loads, read_time, text_member, time_text
from durable_core.core.json_text import text_members
from durable_core.core.records import record

OPERATION = "op"
"""Name of the event that brings a request."""
RELEASE = "release"
CONTINUE = "continue"

GRANTED = "Lock Acquisition Completed"
"""Result of the response that grants a lock; bare text, not JSON."""
ERROR = "Error"
"""``exceptionType`` of the errors that we write; the result is the JSON text of the message."""
ORPHANED = "fix-orphaned-lock"
"""``id`` of the release that frees an entity whose lock owner is gone (semantics 9.11)."""


_TEXTS = ("id", "op", "input", "parent", "parentExecution", "requestTime", "$type")
_OF_CORE = ',"IsLockRequest":false,"createTrace":false'


def scheduled_name(due: int) -> str:
    """Name of the event that brings a request at ``due`` ticks: the provider delays messages by it (task-hub 3.7)."""
    return f"{OPERATION}@{ticks.format_column(due)}"


def scheduled_time(event_name: str) -> int | None:
    """The time inside an event name, None if it has none."""
    if not event_name.startswith(f"{OPERATION}@"):
        return None
    try:
        return ticks.parse(event_name[len(OPERATION) + 1 :])
    except ValueError:
        return None


@record
class RequestMessage:
    """An operation, or with a ``lockset`` a request to lock all of these entities.

    Attributes:
        id: GUID in "D" form; also the name of the event that answers.
        operation: None in a lock request.
        input: JSON text.
        parent: instance id of the sender, None for a client.
        parent_execution: the sending orchestration's execution id, None for entities and clients.
        due: ticks before which it must not run.
        timestamp, predecessor: the sender's label (semantics 9.8), ``NEVER`` if it has none.
        lockset: all entities to lock, in order.
        position: index in ``lockset`` of the entity that is asked now.
        is_core: written by DurableTask.Core, or by us; False for the extension's form.
        type_name: ``$type`` of a message of the extension, None if it has none.
    """

    id: str
    operation: str | None
    is_signal: bool = False
    input: str | None = None
    parent: str | None = None
    parent_execution: str | None = None
    due: int | None = None
    timestamp: int = NEVER
    predecessor: int = NEVER
    lockset: tuple[EntityId, ...] = ()
    position: int = 0
    parent_trace_context: Any = None
    create_trace: bool = False
    request_time: str | None = None
    is_core: bool = True
    type_name: str | None = None

    @property
    def is_lock_request(self) -> bool:
        return bool(self.lockset)

    def to_json(self) -> dict[str, Any]:
        """The members in the order of .NET; those at their default are left out."""
        document: dict[str, Any] = {}
        if self.type_name is not None:
            document["$type"] = self.type_name
        document["op"] = self.operation
        if self.is_signal:
            document["signal"] = True
        if self.input is not None:
            document["input"] = self.input
        document["id"] = self.id
        if self.parent is not None:
            document["parent"] = self.parent
        if self.parent_execution is not None:
            document["parentExecution"] = self.parent_execution
        if self.due is not None:
            document["due"] = time_text(self.due)
        document["Timestamp"] = time_text(self.timestamp)
        document["Predecessor"] = time_text(self.predecessor)
        if self.lockset:
            document["lockset"] = [{"name": item.name, "key": item.key} for item in self.lockset]
        if self.position:
            document["pos"] = self.position
        if self.is_core:
            document["IsLockRequest"] = self.is_lock_request
        if self.parent_trace_context is not None:
            document["parentTraceContext"] = self.parent_trace_context
        if self.is_core:
            document["createTrace"] = self.create_trace
        if self.request_time is not None:
            document["requestTime"] = self.request_time
        return document

    def encode(self) -> str:
        """JSON text of the event's input."""
        if self.lockset or self.parent_trace_context is not None:
            return dumps(self.to_json())
        # The text of ``to_json`` built by hand, which takes a quarter of the time: every signal and call needs it.
        members = [
            "" if self.type_name is None else f'"$type":{_quoted(self.type_name)},',
            f'"op":{"null" if self.operation is None else _quoted(self.operation)}',
            ',"signal":true' if self.is_signal else "",
            "" if self.input is None else f',"input":{_quoted(self.input)}',
            f',"id":{_quoted(self.id)}',
            "" if self.parent is None else f',"parent":{_quoted(self.parent)}',
            "" if self.parent_execution is None else f',"parentExecution":{_quoted(self.parent_execution)}',
            "" if self.due is None else f',"due":"{time_text(self.due)}"',
            f',"Timestamp":"{time_text(self.timestamp)}","Predecessor":"{time_text(self.predecessor)}"',
            f',"pos":{self.position}' if self.position else "",
            (',"IsLockRequest":false,"createTrace":true' if self.create_trace else _OF_CORE) if self.is_core else "",
            "" if self.request_time is None else f',"requestTime":{_quoted(self.request_time)}',
        ]
        text = f"{{{''.join(members)}}}"
        return text if text.isascii() else dumps(self.to_json())

    @classmethod
    def of_json(cls, document: dict[str, Any]) -> RequestMessage:
        """Read either form.

        Raises:
            ValueError: a member has the wrong type, or ``id`` is missing.
        """
        member = document.get
        identity, operation, input, parent, parent_execution, request_time, type_name = text_members(
            document, _TEXTS, text_member
        )
        if not identity:
            raise ValueError("member 'id' is missing")
        locks, position = _lock_set(document) if "lockset" in document or "pos" in document else ((), 0)
        due = member("due")
        return cls(
            id=identity,
            operation=operation,
            is_signal=bool(member("signal")),
            input=input,
            parent=parent,
            parent_execution=parent_execution,
            due=None if due is None else read_time(due),
            timestamp=read_time(member("Timestamp")),
            predecessor=read_time(member("Predecessor")),
            lockset=locks,
            position=position,
            parent_trace_context=member("parentTraceContext"),
            create_trace=bool(member("createTrace")),
            request_time=request_time,
            is_core="IsLockRequest" in document or "createTrace" in document,
            type_name=type_name,
        )

    @classmethod
    def decode(cls, text: str | None) -> RequestMessage:
        """Read the input of an ``op`` event.

        Raises:
            ValueError: it is no request.
        """
        return cls.of_json(loads(text, "the request"))


def _lock_set(document: dict[str, Any]) -> tuple[tuple[EntityId, ...], int]:
    """Members ``lockset`` and ``pos`` of a request."""
    try:
        locks = tuple(EntityId(item["name"], item["key"]) for item in document.get("lockset") or ())
        position = int(document.get("pos") or 0)
    except (TypeError, KeyError) as error:
        raise ValueError(f"'lockset' or 'pos' cannot be read: {error!r}") from error
    if not 0 <= position < max(len(locks), 1):
        raise ValueError(f"'pos' is {position}, but the lock set has {len(locks)} entities")
    return locks, position


@record
class ResponseMessage:
    """The answer to a call or to a lock request.

    Attributes:
        result: JSON text; of an error its message, in what form depends on who wrote it.
        exception_type: set for errors; .NET's Core puts the message itself here when it has no other place.
        failure_details: set for some errors of Core.
    """

    result: str | None = None
    exception_type: str | None = None
    failure_details: Any = None
    type_name: str | None = None

    @property
    def is_error(self) -> bool:
        return self.exception_type is not None or self.failure_details is not None

    def error_text(self, parse: Any) -> str:
        """The message of an error, whichever of the recorded producers wrote it.

        Args:
            parse: reads JSON text and raises ValueError.
        """
        details = self.failure_details if isinstance(self.failure_details, dict) else {}
        if details.get("ErrorMessage"):
            return str(details["ErrorMessage"])
        if self.result is None:
            return self.exception_type or "the entity operation failed"
        try:
            value = parse(self.result)
        except ValueError:
            return self.result
        return value if isinstance(value, str) else self.result

    def encode(self) -> str:
        document: dict[str, Any] = {} if self.type_name is None else {"$type": self.type_name}
        document["result"] = self.result
        if self.exception_type is not None:
            document["exceptionType"] = self.exception_type
        if self.failure_details is not None:
            document["failureDetails"] = self.failure_details
        return dumps(document)

    @classmethod
    def decode(cls, text: str | None) -> ResponseMessage:
        """Read the input of the event that is named like a request.

        Raises:
            ValueError: it is no response.
        """
        document = loads(text, "the entity's response")
        return cls(
            result=text_member(document, "result"),
            exception_type=text_member(document, "exceptionType"),
            failure_details=document.get("failureDetails"),
            type_name=text_member(document, "$type"),
        )


_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)


def is_response(event_name: str, execution_id: str | None) -> bool:
    """An event for an orchestration answers an entity request: it is named by a GUID and, unlike all others, goes to
    one certain execution."""
    return bool(execution_id) and _GUID.fullmatch(event_name) is not None


@record
class ReleaseMessage:
    """The owner gives the lock back.

    Attributes:
        parent: the owner's instance id, which alone decides.
        id: of the lock request.
    """

    parent: str | None
    id: str | None
    type_name: str | None = None

    def encode(self) -> str:
        document: dict[str, Any] = {} if self.type_name is None else {"$type": self.type_name}
        document["parent"] = self.parent
        document["id"] = self.id
        return dumps(document)

    @classmethod
    def decode(cls, text: str | None) -> ReleaseMessage:
        """Read the input of a ``release`` event.

        Raises:
            ValueError: it is no release.
        """
        document = loads(text, "the release")
        return cls(
            parent=text_member(document, "parent"),
            id=text_member(document, "id"),
            type_name=text_member(document, "$type"),
        )


def request_to(target: str | None, event_name: str | None, input: str | None) -> RequestMessage | ReleaseMessage | None:
    """What an event sent to ``target`` asks of an entity; None if it is no entity, or no readable request."""
    if not is_entity(target) or event_name is None:
        return None
    try:
        if event_name == RELEASE:
            return ReleaseMessage.decode(input)
        return RequestMessage.decode(input) if event_name.startswith(OPERATION) else None
    except ValueError:
        return None
