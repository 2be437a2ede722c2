"""The part of the orchestration context that concerns entities (python-api 3, 14.2)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from durable_core.core import ticks
from durable_core.core.entity_ids import EntityId
from durable_core.core.replay import OrchestrationRun
from durable_core.core.tasks import TaskBase
from durable_core.model.encoding import InputEncoding
from durable_core.model.entity_id import checked


class EntityOperations:
    """Calls, signals and critical sections."""

    _run: OrchestrationRun
    _encoding: InputEncoding

    def _task(self, schedule: Callable[[], TaskBase]) -> TaskBase:
        """The task that ``schedule`` makes: here at once."""
        return schedule()

    def call_entity(
        self, entityId: EntityId, operationName: str, operationInput: Any = None, expected_type: type | None = None
    ) -> TaskBase:
        """Ask an entity for an operation.

        Args:
            entityId: which entity; it is created if it does not exist.
            operationInput: a JSON value, or an object with ``to_json``.

        Returns:
            A task whose result is the operation's; its failure is raised as ``EntityOperationFailedError``.

        Raises:
            TypeError, ValueError: no entity id, or no operation name.
            SerializationError: the input cannot be written as JSON.
            LockingRulesError: inside a critical section only its own entities may be called, each once at a time.
        """
        entity, text = self._request("call_entity", entityId, operationName, operationInput)
        read = self._encoding.typed(expected_type)
        return self._task(lambda: self._run.entities.call(entity, operationName, text, read))

    def signal_entity(
        self, entityId: EntityId, operationName: str, operationInput: Any = None, signal_time: datetime | None = None
    ) -> TaskBase:
        """Ask an entity for an operation without waiting for it.

        Args:
            signal_time: not before this time; a naive one is UTC.

        Returns:
            A task that is already done, so that it may be yielded or not.

        Raises:
            TypeError, ValueError, SerializationError: as ``call_entity``.
            LockingRulesError: the entity is locked by this orchestration.
        """
        entity, text = self._request("signal_entity", entityId, operationName, operationInput)
        due = None if signal_time is None else ticks.from_datetime(signal_time)
        self._run.entities.signal(entity, operationName, text, due)
        done = TaskBase()
        done.succeed(None)
        return done

    def lock(self, *entities: EntityId) -> TaskBase:
        """Lock entities for a critical section: nobody else's operations run on them meanwhile.

        ::

            with (yield context.lock(source, target)):
                yield context.call_entity(source, "add", -amount)
                yield context.call_entity(target, "add", amount)

        They are locked in one order that everybody uses, so two sections never wait for each other. The locks are
        released at the end of the block, and however the orchestration ends.

        Returns:
            A task whose result is the ``EntityLock``.

        Raises:
            TypeError, ValueError: one of them is no entity id, or there is none.
            LockingRulesError: this orchestration is in a critical section already.
        """
        given: tuple[object, ...] = entities
        if len(given) == 1 and isinstance(given[0], (list, tuple)):
            raise TypeError("lock takes entity ids one by one: lock(a, b); lock_entities([a, b]) takes a list")
        wanted = [checked(entity, "lock") for entity in entities]
        return self._task(lambda: self._run.entities.lock(wanted))

    def lock_entities(self, entities: Iterable[EntityId]) -> TaskBase:
        """``lock`` under the name that ``durabletask`` gives it."""
        if isinstance(entities, EntityId):
            return self.lock(entities)
        return self.lock(*entities)

    @property
    def is_locked(self) -> bool:
        """This orchestration is in a critical section."""
        return self._run.entities.in_critical_section

    @property
    def locked_entities(self) -> tuple[EntityId, ...]:
        """The entities that it has locked, in order."""
        return self._run.entities.locked

    def _request(self, method: str, entity_id: EntityId, operation: str, value: Any) -> tuple[EntityId, str | None]:
        entity = checked(entity_id, method)
        if not operation or not isinstance(operation, str):
            raise ValueError(f"{method}: the operation name cannot be empty")
        return entity, self._encoding.call_input(value, f"the input of operation '{operation}' of entity '{entity}'")
