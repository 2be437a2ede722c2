"""Calls, signals and critical sections of one orchestration (orchestration-semantics 9.7 and 9.9)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Protocol

from durable_core.core.entity_ids import EntityId
from durable_core.core.entity_messages import (
    OPERATION,
    RELEASE,
    ReleaseMessage,
    RequestMessage,
    ResponseMessage,
    scheduled_name,
)
from durable_core.core.entity_sorter import MessageSorter
from durable_core.core.failures import TaskFailedError
from durable_core.core.ids import orchestration_request_id
from durable_core.core.tasks import Decode, TaskBase
from durable_core.core.ticks import PER_SECOND, hop
from durable_core.errors import LockingRulesError

_WINDOW = 30 * 60 * PER_SECOND
"""How long a sender remembers its labels; the receiver's setting decides about the order."""


class EntityOperationFailedError(TaskFailedError):
    """An entity operation failed; ``str()`` is the message of its exception.

    Attributes:
        entity_id, operation: what was called.
    """

    def __init__(self, entity_id: EntityId, operation: str, message: str) -> None:
        super().__init__(message)
        self.entity_id = entity_id
        self.operation = operation


class _Run(Protocol):
    """What the execution of an orchestration offers."""

    instance_id: str
    execution_id: str
    current_time: int

    def send_event(self, instance_id: str, name: str, input: str | None, *, due: int | None = None) -> None: ...

    def wait_for_event(self, name: str, decode: Decode) -> TaskBase: ...


class EntityLock:
    """A critical section: the entities are locked until ``release``, the end of the ``with`` block, or the end of the
    orchestration, whichever comes first."""

    def __init__(self, calls: EntityCalls, entities: Sequence[EntityId], lock_id: str) -> None:
        self._calls = calls
        self.entities = tuple(entities)
        self.lock_id = lock_id
        self.is_held = False

    def release(self) -> None:
        """Give the locks back; a second time does nothing."""
        self._calls.release(self)

    def __enter__(self) -> EntityLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


class EntityCalls:
    """What one execution of an orchestrator has asked entities for.

    Replay brings everything here into the same state: ids come from a counter, labels from the orchestration's clock.
    """

    def __init__(self, run: _Run) -> None:
        self._run = run
        self._sorter = MessageSorter()
        self._requests = 0
        self._lock: EntityLock | None = None
        self._calling: set[EntityId] = set()
        """Locked entities that have not answered yet."""

    @property
    def in_critical_section(self) -> bool:
        """Locks are held."""
        return self._lock is not None and self._lock.is_held

    @property
    def locked(self) -> tuple[EntityId, ...]:
        """The entities that this orchestration has locked."""
        return self._lock.entities if self._lock is not None and self._lock.is_held else ()

    def call(self, entity: EntityId, operation: str, input: str | None, decode: Decode) -> TaskBase:
        """Ask for an operation; the task settles with its result.

        Raises:
            LockingRulesError: a critical section does not allow it.
        """
        lock = self._lock
        if lock is not None:
            self._check_call(lock, entity)
            self._calling.add(entity)
        request = self._request(entity, operation, input)

        def answered(text: str | None) -> Any:
            self._calling.discard(entity)
            response = ResponseMessage.decode(text)
            if response.is_error:
                raise EntityOperationFailedError(entity, operation, response.error_text(json.loads))
            return decode(response.result)

        self._send(entity, request)
        return self._run.wait_for_event(request.id, answered)

    def signal(self, entity: EntityId, operation: str, input: str | None, due: int | None = None) -> None:
        """Ask for an operation without an answer, at ``due`` ticks or at once.

        Raises:
            LockingRulesError: the entity is locked by this orchestration.
        """
        if self._lock is not None and entity in self._lock.entities:
            raise LockingRulesError(
                f"While entity '{entity}' is locked by this orchestration it must not be signalled; call it, or signal "
                "it after the critical section."
            )
        request = replace(self._request(entity, operation, input), is_signal=True, due=due)
        if due is None:
            self._send(entity, request)
            return
        delivery = hop(due, self._run.current_time)  # one that is due later is sent on by the entity (behaviour 113)
        self._run.send_event(entity.instance_id, scheduled_name(delivery), request.encode(), due=delivery)

    def lock(self, entities: Iterable[EntityId]) -> TaskBase:
        """Lock entities, in the one order that everybody uses; the task's result is an ``EntityLock``.

        Raises:
            LockingRulesError: a critical section is open or asked for already.
            ValueError: there is nothing to lock.
        """
        wanted = sorted(set(entities))
        if not wanted:
            raise ValueError("there is no entity to lock")
        if self._lock is not None:
            raise LockingRulesError(
                "Must not enter another critical section from within a critical section: lock all entities that are "
                "needed at once, or release the first section before."
            )
        request = self._request(wanted[0], None, None)
        request = replace(request, lockset=tuple(EntityId(item.name.lower(), item.key) for item in wanted))
        lock = self._lock = EntityLock(self, wanted, request.id)

        def granted(text: str | None) -> EntityLock:
            response = ResponseMessage.decode(text)
            if response.is_error:
                self._lock = None
                raise EntityOperationFailedError(wanted[0], "lock", response.error_text(lambda value: value))
            lock.is_held = True
            return lock

        self._send(wanted[0], request)
        return self._run.wait_for_event(request.id, granted)

    def release(self, lock: EntityLock) -> None:
        """Leave the critical section (one message to each of its entities)."""
        if self._lock is not lock:
            return
        self._lock = None
        self._calling.clear()
        lock.is_held = False
        release = ReleaseMessage(parent=self._run.instance_id, id=lock.lock_id).encode()
        for entity in lock.entities:
            self._run.send_event(entity.instance_id, RELEASE, release)

    def check_child(self) -> None:
        """May a sub-orchestration be called now?

        Raises:
            LockingRulesError: locks are held.
        """
        if self._lock is not None:
            raise LockingRulesError(
                "While holding locks, cannot call suborchestrators; call it before or after the critical section, or "
                "start it without waiting."
            )

    def adopt(self, issued: str | None, recorded: str | None, target: str) -> tuple[str, str] | None:
        """The history holds this request under another id, because another runtime wrote it: go on with that one.

        Returns:
            The id that this run issued and the recorded one, None if the recorded event is no request.
        """
        try:
            ours, theirs = RequestMessage.decode(issued), RequestMessage.decode(recorded)
        except ValueError:
            return None
        if theirs.timestamp:
            self._sorter.sent[target] = int(theirs.timestamp)
        if self._lock is not None and self._lock.lock_id == ours.id:
            self._lock.lock_id = theirs.id
        return ours.id, theirs.id

    def _check_call(self, lock: EntityLock, entity: EntityId) -> None:
        if not lock.is_held:
            raise LockingRulesError(
                "Must await the completion of the lock request before calling an entity: write "
                "`with (yield context.lock(...)):`"
            )
        if entity not in lock.entities:
            locked = ", ".join(f"'{item}'" for item in lock.entities)
            raise LockingRulesError(
                f"Must not call entity '{entity}' from within a critical section that has not locked it; locked are "
                f"{locked}. Lock it, too, or signal it."
            )
        if entity in self._calling:
            raise LockingRulesError(
                f"Must not call entity '{entity}' from a critical section while another call to it is pending; wait "
                "for that one first."
            )

    def _request(self, entity: EntityId, operation: str | None, input: str | None) -> RequestMessage:
        number = self._requests
        self._requests += 1
        run = self._run
        what = "lock" if operation is None else f"op {operation}"
        identity = orchestration_request_id(run.instance_id, run.execution_id, number, entity.instance_id, what)
        return RequestMessage(
            id=str(identity),
            operation=operation,
            input=input,
            parent=run.instance_id,
            parent_execution=run.execution_id or None,
        )

    def _send(self, entity: EntityId, request: RequestMessage) -> None:
        target = entity.instance_id
        labelled = self._sorter.label(request, target, self._run.current_time, _WINDOW)
        self._run.send_event(target, OPERATION, labelled.encode())
