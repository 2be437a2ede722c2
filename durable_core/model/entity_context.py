"""What an entity function sees of the operation that it runs (python-api 7)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from durable_core.core import ticks
from durable_core.core.entities import EntitySignal, EntityStart, Operation, Outcome
from durable_core.core.entity_ids import EntityId
from durable_core.core.ids import entity_request_id
from durable_core.model.encoding import ENCODED_ONCE, InputEncoding
from durable_core.model.entity_id import checked
from durable_core.model.naming import orchestrator_name
from durable_core.model.serialization import encode, encode_or_none

_UNREAD = object()


class DurableEntityContext:
    """One operation on one entity.

    What it changes and sends takes effect when the operation ends; if it fails, nothing of it does (unless
    ``rollbackEntityOperationsOnExceptions`` in host.json is false).
    """

    _encoding: InputEncoding = ENCODED_ONCE

    def __init__(self, operation: Operation) -> None:
        self._operation = operation
        self._state: Any = _UNREAD
        self._is_changed = False
        self._is_deleted = False
        self._result: Any = None
        self._has_result = False
        self._sent: list[EntitySignal | EntityStart] = []

    # ---- about this operation --------------------------------------------------------------------------------------

    @property
    def entity_id(self) -> EntityId:
        """Which entity this is."""
        return self._operation.entity

    @property
    def entity_name(self) -> str:
        """The name in its address, in lower case."""
        return self._operation.entity.name

    @property
    def entity_key(self) -> str:
        """The key in its address."""
        return self._operation.entity.key

    @property
    def operation_name(self) -> str:
        """What is asked for."""
        return self._operation.name

    @property
    def is_signal(self) -> bool:
        """Nobody waits for the result."""
        return self._operation.is_signal

    @property
    def is_newly_constructed(self) -> bool:
        """The entity had no state before this operation."""
        return self._operation.state is None

    def get_input(self, expected_type: type | None = None) -> Any:
        """The operation's input, None if there is none.

        Args:
            expected_type: the class that it should have.

        Raises:
            ValueError: the input is no JSON, or names a class that is not imported.
        """
        return self._encoding.read_input(self._operation.input, expected_type)

    # ---- state and result ------------------------------------------------------------------------------------------

    def get_state(self, initializer: Callable[[], Any] | None = None, expected_type: type | None = None) -> Any:
        """The state; what ``initializer`` returns if there is none (that is not stored), or None.

        Raises:
            TypeError: ``initializer`` cannot be called.
            ValueError: the stored state is no JSON, or names a class that is not imported.
        """
        if initializer is not None and not callable(initializer):
            raise TypeError(f"get_state: the initializer must be callable, e.g. `lambda: 0`, but it is {initializer!r}")
        if self._state is _UNREAD and self._operation.state is not None:
            self._state = self._encoding.typed(expected_type)(self._operation.state)
        if self._state is not _UNREAD and not self._is_deleted:
            return self._state
        return None if initializer is None else initializer()

    def set_state(self, state: Any) -> None:
        """Replace the state; the entity exists from now on. It is written as JSON when the operation ends."""
        self._state = state
        self._is_changed = True
        self._is_deleted = False

    def set_result(self, result: Any) -> None:
        """The value that the caller gets."""
        self._result = result
        self._has_result = True

    def destruct_on_exit(self) -> None:
        """Delete the entity when the operation ends, unless its state is set again."""
        self._is_deleted = True
        self._is_changed = True

    # ---- others ----------------------------------------------------------------------------------------------------

    def signal_entity(
        self,
        entity_id: EntityId,
        operation_name: str,
        operation_input: Any = None,
        signal_time: datetime | None = None,
    ) -> None:
        """Ask another entity, or this one, for an operation.

        Args:
            signal_time: not before this time; a naive one is UTC.

        Raises:
            TypeError, ValueError: no entity id, or no operation name.
            SerializationError: the input cannot be written as JSON.
        """
        target = checked(entity_id, "signal_entity")
        if not operation_name:
            raise ValueError("signal_entity: the operation name cannot be empty")
        what = f"the input of operation '{operation_name}' of entity '{target}'"
        text = self._encoding.call_input(operation_input, what)
        due = None if signal_time is None else ticks.from_datetime(signal_time)
        self._sent.append(EntitySignal(target, operation_name, text, due))

    def start_new_orchestration(
        self, name: str | Callable[..., Any], input_: Any = None, instance_id: str | None = None
    ) -> str:
        """Start an orchestration, which never reports back, and return its instance id.

        Raises:
            ValueError: the name is empty, or the id is an entity's.
            SerializationError: the input cannot be written as JSON.
        """
        resolved = orchestrator_name(name)
        if instance_id is not None and (not instance_id or instance_id.startswith("@")):
            raise ValueError(f"'{instance_id}' cannot be the id of an orchestration")
        if instance_id is None:
            number = len(self._sent)
            instance_id = entity_request_id(self.entity_id.instance_id, self._operation.request_id, number).hex
        text = self._encoding.start_input(input_, f"the input of orchestrator '{resolved}'")
        self._sent.append(EntityStart(resolved, text, instance_id))
        return instance_id

    schedule_new_orchestration = start_new_orchestration

    # ---- for the runtime -------------------------------------------------------------------------------------------

    def outcome(self, returned: Any) -> Outcome:
        """What the operation comes to when the function has returned.

        Raises:
            SerializationError: state or result cannot be written as JSON.
        """
        result = self._result if self._has_result else returned
        operation = self._operation
        what = f"the result of operation '{operation.name}' of entity '{operation.entity.instance_id}'"
        return Outcome(self._state_text(), encode_or_none(result, what), sent=self._sent)

    def failure(self, message: str, trace: str) -> Outcome:
        """What it comes to when the function has raised: the state as it is now, for those who keep it."""
        try:
            state = self._state_text()
        except TypeError:  # it cannot be written, so there is nothing to keep
            state = self._operation.state
        return Outcome(state, error=message, sent=self._sent, trace=trace)

    def _state_text(self) -> str | None:
        if not self._is_changed:
            return self._operation.state
        if self._is_deleted:
            return None
        return encode(self._state, f"the state of entity '{self._operation.entity.instance_id}'")
