"""``DurableEntity``: entities whose operations are methods."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from datetime import datetime
from typing import Any

from durable_core.core.entity_ids import EntityId
from durable_core.model.entity_context import DurableEntityContext
from durable_core.model.typed import annotated_type


class DurableEntity:
    """Base of class-based entities; every public method of a subclass is an operation, but no static or class method.

    ::

        @app.entity_trigger(context_name="context", entity_name="counter")
        class Counter(df.DurableEntity):
            def add(self, amount: int) -> int:
                value = self.get_state(default=0) + amount
                self.set_state(value)
                return value

            def get(self) -> int:
                return self.get_state(default=0)

    A method takes the operation's input as its one argument, or none; a default counts where the operation has no
    input. An argument that is annotated with a class is read as one, as an activity's input is. What the method returns
    is the result. A new object is made for every operation: attributes do not survive it, only the state does.
    ``delete`` is there for every entity.
    """

    entity_context: DurableEntityContext
    """The operation under way."""

    @property
    def entity_id(self) -> EntityId:
        """Which entity this is."""
        return self.entity_context.entity_id

    def get_state(self, intended_type: type | None = None, default: Any = None) -> Any:
        """The state, or ``default`` if there is none; ``default`` may be a function that makes one.

        Args:
            intended_type: the class that the state should have; one with ``from_json`` is made of plain JSON.
        """
        made = default if callable(default) else lambda: default
        return self.entity_context.get_state(made, intended_type)

    def set_state(self, state: Any) -> None:
        """Replace the state; None deletes the entity."""
        if state is None:
            self.entity_context.destruct_on_exit()
        else:
            self.entity_context.set_state(state)

    def signal_entity(
        self, entity_id: EntityId, operation: str, input: Any = None, signal_time: datetime | None = None
    ) -> None:
        """Ask another entity for an operation, at ``signal_time`` or at once."""
        self.entity_context.signal_entity(entity_id, operation, input, signal_time)

    def schedule_new_orchestration(
        self, name: str | Callable[..., Any], input: Any = None, instance_id: str | None = None
    ) -> str:
        """Start an orchestration and return its instance id."""
        return self.entity_context.start_new_orchestration(name, input, instance_id)

    def delete(self) -> None:
        """The operation that deletes the entity."""
        self.entity_context.destruct_on_exit()


_HELPERS = frozenset(name for name in vars(DurableEntity) if name != "delete")


def operations(kind: type[DurableEntity]) -> dict[str, Callable[..., Any]]:
    """The operations of an entity class, by name."""
    return {
        name: method
        for name, method in inspect.getmembers(kind, inspect.isfunction)
        if not name.startswith("_")
        and name not in _HELPERS
        and not isinstance(inspect.getattr_static(kind, name), staticmethod)
    }


def call_operation(kind: type[DurableEntity], context: DurableEntityContext) -> Any:
    """Run the method that is named like the operation, exactly or ignoring case.

    Raises:
        AttributeError: there is none; the text names those there are.
        Exception: whatever the method raises.
    """
    known = operations(kind)
    wanted = context.operation_name
    if wanted not in known:
        alike = [name for name in known if name.casefold() == wanted.casefold()]
        if len(alike) != 1:
            raise AttributeError(
                f"Entity '{context.entity_name}' has no operation '{wanted}'; it has: {', '.join(sorted(known))}."
            )
        wanted = alike[0]
    entity = kind()
    entity.entity_context = context
    method = getattr(entity, wanted)
    argument = _argument(known[wanted])
    if argument is None:
        return method()
    value = context.get_input(annotated_type(known[wanted], argument.name))
    return method() if value is None and argument.default is not argument.empty else method(value)


def _argument(method: Callable[..., Any]) -> inspect.Parameter | None:
    """What takes the operation's input, None if nothing does."""
    parameters = list(inspect.signature(method).parameters.values())[1:]
    return next(
        (
            parameter
            for parameter in parameters
            if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD, parameter.VAR_POSITIONAL)
        ),
        None,
    )


def check_operations(name: str, kind: type[DurableEntity]) -> None:
    """Look at the class when the app is loaded.

    Raises:
        TypeError: an operation takes more than one argument, or the class cannot be made without arguments.
    """
    for operation, method in operations(kind).items():
        required = [
            parameter
            for parameter in list(inspect.signature(method).parameters.values())[1:]
            if parameter.default is parameter.empty
            and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        ]
        if len(required) > 1 or any(parameter.kind is parameter.KEYWORD_ONLY for parameter in required):
            raise TypeError(
                f"Operation '{operation}' of entity '{name}' must take one argument, its input, or none; pass several "
                "values as a list or dictionary."
            )
    try:
        inspect.signature(kind).bind()
    except TypeError as error:
        raise TypeError(
            f"Entity class '{kind.__name__}' must be callable without arguments; what it needs belongs into its state."
        ) from error
